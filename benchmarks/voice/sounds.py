"""Sounds that are not the caller: music, babble and noise, made here. All float32 mono at 16 kHz, RMS 1."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.head.speech import SpeechVoice, speak

RATE: Final = 16_000
Sound = NDArray[np.float32]

_BEAT_S: Final = 60.0 / 104.0
_CHORDS: Final = ((57, 60, 64, 69), (53, 57, 60, 65), (48, 55, 60, 64), (55, 59, 62, 67))
"""MIDI notes of A minor, F, C, G: four beats each."""
_TUNE: Final = (76, 74, 72, 69, 72, 74, 76, 79, 77, 76, 74, 72, 71, 74, 67, 69)
"""One note a beat, over the chords."""

_TALK: Final = (
    "and then she told me that nobody had seen the letter before Monday, which I find very hard to believe",
    "two coffees please, one with milk and one without, and whatever cake there is left on the counter today",
    "the meeting was moved to the afternoon again, so we will have to change the whole plan for the weekend",
    "did you hear what happened at the station last night, everybody was standing outside in the pouring rain",
    "well I would rather walk through the park than wait another half an hour for that bus to come around",
    "our neighbours bought a little boat last summer and now they want to sail all the way down to Portugal",
    "seventeen, eighteen, nineteen, twenty, and there are still three boxes of them waiting in the other room",
    "honestly the second film was much better than the first one, the music alone was worth going out for",
)
_TALKERS: Final = ("en+m1", "en-us+f2", "en+m7", "en+f4", "en-us+m3", "en+f1", "en+m5", "en-us+m2")


def scaled(sound: NDArray[np.floating[Any]]) -> Sound:
    """Return `sound` with RMS 1; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return np.asarray(sound / max(rms, 1e-9), np.float32)


def white(seconds: float, seed: int = 0) -> Sound:
    """Return white noise."""
    return scaled(np.random.default_rng(seed).standard_normal(round(seconds * RATE)))


def pink(seconds: float, seed: int = 0) -> Sound:
    """Return noise whose power falls by 3 dB an octave from 30 Hz on: a fan, a street."""
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    hz = np.fft.rfftfreq(count, 1.0 / RATE)
    return scaled(np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 30.0)), count))


def music(seconds: float, seed: int = 0) -> Sound:
    """Return chords, bass, drums and a sung-like melody with vibrato at 104 beats a minute."""
    count = round(seconds * RATE)
    beats = int(np.ceil(count / RATE / _BEAT_S))
    out = np.zeros(count + RATE * 4)
    random = np.random.default_rng(seed)
    for beat in range(beats):
        at = round(beat * _BEAT_S * RATE)
        chord = _CHORDS[beat // 4 % len(_CHORDS)]
        if beat % 4 == 0:
            for note in chord:
                _add(out, at, 0.10 * _note(note, 4 * _BEAT_S, harmonics=12, attack_s=0.05))
        _add(out, at, 0.25 * _note(chord[0] - 12, _BEAT_S * 0.9, harmonics=6, attack_s=0.01))
        _add(out, at, 0.22 * _note(_TUNE[beat % len(_TUNE)], _BEAT_S, harmonics=16, attack_s=0.06, vibrato=0.012))
        _add(out, at, 0.5 * _drum(random, snare=beat % 2 == 1))
        for half in (0, round(_BEAT_S / 2 * RATE)):
            hat = random.standard_normal(round(0.06 * RATE)) * np.exp(-np.arange(round(0.06 * RATE)) / (0.012 * RATE))
            _add(out, at + half, 0.12 * np.diff(hat, prepend=0.0))
    return scaled(out[:count])


def babble(seconds: float, talkers: int = 8) -> Sound:
    """Return `talkers` (at most 8) synthetic voices at once, equally loud, each with its own text over and over.

    Raises:
        SpeechUnavailableError: espeak-ng is not installed.
    """
    voices = []
    for index in range(talkers):
        voice = SpeechVoice(_TALKERS[index], words_per_minute=150 + 9 * index, pitch=30 + 6 * index)
        voices.append(speak(_TALK[index], voice, RATE).samples)
    return crowd(voices, seconds)


def crowd(voices: Sequence[Sound], seconds: float) -> Sound:
    """Return `voices` (n,) each repeated for `seconds`, at one loudness, begun at different places, added up."""
    count = round(seconds * RATE)
    total = np.zeros(count)
    for index, voice in enumerate(voices):
        total += np.roll(np.resize(scaled(voice), count), 7919 * index)
    return scaled(total)


def _add(out: NDArray[np.float64], at: int, sound: NDArray[np.float64]) -> None:
    room = max(min(sound.size, out.size - at), 0)
    out[at : at + room] += sound[:room]


def _note(note: int, seconds: float, *, harmonics: int, attack_s: float, vibrato: float = 0.0) -> NDArray[np.float64]:
    """Return a tone of `harmonics` that fall by 1/k; `vibrato` is the share by which pitch swings at 5.5 Hz."""
    t = np.arange(round(seconds * RATE)) / RATE
    hz = 440.0 * 2.0 ** ((note - 69) / 12.0) * (1.0 + vibrato * np.sin(2 * np.pi * 5.5 * t))
    phase = 2.0 * np.pi * np.cumsum(hz) / RATE
    tone = np.zeros_like(t)
    for k in range(1, harmonics + 1):
        if k * float(hz.max()) < 0.45 * RATE:
            tone += np.sin(k * phase) / k
    return np.asarray(tone * np.minimum(t / attack_s, 1.0) * np.minimum((seconds - t) / 0.04, 1.0))


def _drum(random: np.random.Generator, *, snare: bool) -> NDArray[np.float64]:
    t = np.arange(round(0.2 * RATE)) / RATE
    if snare:
        return np.asarray(0.5 * random.standard_normal(t.size) * np.exp(-t / 0.05))
    return np.asarray(np.sin(2.0 * np.pi * 50.0 * (t + 0.06 * (1.0 - np.exp(-t / 0.03)))) * np.exp(-t / 0.07))
