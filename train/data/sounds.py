"""Noise, music, and what rooms and microphones do to sound. float32 mono at 16 kHz."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.mel import SAMPLE_RATE

Rng = np.random.Generator
Sound = NDArray[np.float32]
"""(n,) float32, mono, 16 kHz."""


def scaled(sound: NDArray[np.floating[Any]]) -> Sound:
    """Return `sound` with RMS 1; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return np.asarray(sound / rms if rms > 1e-9 else sound, np.float32)


def coloured(count: int, rng: Rng) -> Sound:
    """Return noise that falls by 0 to 6 dB an octave: hiss, a fan, a street."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.maximum(np.fft.rfftfreq(count, 1.0 / SAMPLE_RATE), 30.0)
    return scaled(np.fft.irfft(spectrum * hz ** -rng.uniform(0.0, 1.0), count))


def music(count: int, rng: Rng) -> Sound:
    """Return a tune over chords and beats, at a tempo, in a key and on instruments of its own."""
    beat, root = rng.uniform(0.35, 0.75), rng.uniform(110.0, 220.0)
    total = np.zeros(count)
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if rng.random() < 0.5 else [0, 2, 4, 5, 7, 9, 11])
    falls, vibrato = rng.uniform(0.8, 2.0, 3), rng.uniform(0.0, 0.012)
    for index in range(int(np.ceil(count / SAMPLE_RATE / beat))):
        at, step = round(index * beat * SAMPLE_RATE), int(rng.integers(7))
        if index % 4 == 0:
            for third in (0, 2, 4):
                hz = root * 2.0 ** ((scale[(step + third) % 7]) / 12.0)
                _add(total, at, 0.12 * _tone(hz, 4.0 * beat, falls[0], 0.0))
        hz = root * 2.0 ** (scale[int(rng.integers(7))] / 12.0)
        _add(total, at, rng.uniform(0.1, 0.3) * _tone(2.0 * hz, beat, falls[1], vibrato))
        _add(total, at, 0.2 * _tone(hz / 2.0, 0.9 * beat, falls[2], 0.0))
        for half in (0.0, 0.5):
            hit = rng.standard_normal(round(0.2 * SAMPLE_RATE)) * np.exp(-np.arange(round(0.2 * SAMPLE_RATE)) / 600.0)
            _add(total, at + round(half * beat * SAMPLE_RATE), rng.uniform(0.0, 0.3) * hit)
    return scaled(total)


def echoing(sound: Sound, rng: Rng, share: float = 1.0) -> Sound:
    """Return `sound` in a room of 0.15 to 0.6 s of reverberation; `share` scales what is not direct."""
    t = np.arange(round(0.35 * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(t.size) * np.exp(-6.9 * t / rng.uniform(0.15, 0.6))
    room[: round(0.002 * SAMPLE_RATE)] = 0.0
    room *= share * rng.uniform(0.3, 1.5) / np.sqrt(np.square(room).sum())
    room[0] = 1.0
    size = 1 << (sound.size + room.size).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(room, size), size)
    return np.asarray(heard[: sound.size], np.float32)


def equalised(sound: Sound, rng: Rng) -> Sound:
    """Return `sound` through another microphone: bands 5 dB up or down, sometimes without what is high."""
    spectrum = np.fft.rfft(sound)
    place = np.linspace(0.0, 1.0, spectrum.size)
    gain = np.interp(place, np.linspace(0.0, 1.0, 7) ** 1.7, rng.uniform(-5.0, 5.0, 7))
    if rng.random() < 0.3:
        gain -= np.clip((place - rng.uniform(0.4, 1.0)) * 80.0, 0.0, 40.0)
    return np.asarray(np.fft.irfft(spectrum * 10.0 ** (gain / 20.0), sound.size), np.float32)


def _tone(hz: float, seconds: float, fall: float, vibrato: float) -> NDArray[np.float64]:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2.0 * np.pi * np.cumsum(hz * (1.0 + vibrato * np.sin(2.0 * np.pi * 5.5 * t))) / SAMPLE_RATE
    tone = np.zeros_like(t)
    for k in range(1, max(2, min(13, int(0.45 * SAMPLE_RATE / hz)))):
        tone += np.sin(k * phase) / k**fall
    return np.asarray(tone * np.minimum(t / 0.03, 1.0) * np.minimum((seconds - t) / 0.04, 1.0))


def _add(total: NDArray[np.float64], at: int, sound: NDArray[np.float64]) -> None:
    room = max(min(sound.size, total.size - at), 0)
    total[at : at + room] += sound[:room]
