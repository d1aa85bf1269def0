"""The gate of the mouth: speech opens it, noise and music do not, voices only when they stand out, silence shuts it."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.alignment import SILENCE, MelWindow
from realtime.audio import SpeechPath
from realtime.mel import StreamingMel
from realtime.voice import VoiceGate

RATE = 16_000
Floats = NDArray[np.float64]


class Told:
    """A detector that is told what it finds in each chunk of 32 ms."""

    def __init__(self, probability: Callable[[float], float]) -> None:
        self._probability, self._samples, self._chunks = probability, 0, 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._samples += samples.size
        found = []
        while (self._chunks + 1) * 512 <= self._samples:
            found.append(self._probability(self._chunks * 32.0))
            self._chunks += 1
        return np.array(found, np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> Floats:
    return level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def vowel(seconds: float, level: float = 0.1) -> Floats:
    t = np.arange(round(seconds * RATE)) / RATE
    return level * sum(np.sin(2 * np.pi * 140.0 * k * t) / k**0.5 for k in range(1, 40))


def openings(samples: Floats, probability: Callable[[float], float]) -> Floats:
    """Return the opening every 12.5 ms, asked for 100 ms behind the newest sound as a call does."""
    gate, mel, out = VoiceGate(Told(probability)), StreamingMel(), []
    for index in range(0, len(samples) - 319, 320):
        block = samples[index : index + 320].astype(np.float32)
        gate.push(block, mel.push(block))
        while len(out) * 12.5 <= (index + 320) / 16.0 - 100.0:
            out.append(gate.opening(len(out) * 12.5))
    return np.array(out)


def between(begin_ms: float, end_ms: float) -> Callable[[float], float]:
    return lambda ms: 0.98 if begin_ms <= ms < end_ms else 0.02


def test_speech_opens_without_delay_and_silence_shuts_within_two_frames() -> None:
    samples = np.concatenate((np.zeros(RATE), vowel(1.0), np.zeros(RATE)))
    opening = openings(samples, between(1000.0, 2300.0))
    assert not opening[: round(920 / 12.5)].any()
    assert (opening[round(1025 / 12.5) : round(1975 / 12.5)] == 1.0).all()
    assert not opening[round(2080 / 12.5) :].any(), "though the detector says speech for longer"


def test_the_gap_of_a_plosive_does_not_shut_it() -> None:
    samples = np.concatenate((np.zeros(RATE), vowel(0.4), np.zeros(round(0.06 * RATE)), vowel(0.4), np.zeros(RATE)))
    opening = openings(samples, between(1000.0, 1860.0))
    assert opening[round(1025 / 12.5) : round(1830 / 12.5)].min() > 0.3


def test_loud_sounds_that_are_no_voice_leave_it_shut() -> None:
    samples = np.concatenate((np.zeros(RATE), noise(1.0, 0.2), vowel(2.0, 0.2)))
    assert not openings(samples, lambda ms: 0.1).any()


def test_voices_that_do_not_stand_out_leave_it_shut_and_one_that_does_opens_it() -> None:
    samples = noise(8.0, 0.02)
    samples[6 * RATE : 7 * RATE] += vowel(1.0, 0.2)
    opening = openings(samples, lambda ms: 0.95)
    assert float(np.mean(opening[3 * 80 : round(5.9 * 80)] ** 2)) < 0.01
    assert opening[round(6.05 * 80) : round(6.95 * 80)].min() > 0.9
    assert float(np.mean(opening[round(7.1 * 80) :] ** 2)) < 0.01


def test_speech_in_noise_needs_not_stand_out() -> None:
    samples = noise(8.0, 0.1)
    samples[6 * RATE : 7 * RATE] += vowel(1.0, 0.05)
    opening = openings(samples, between(6000.0, 7000.0))
    assert float(np.mean(opening[round(6.1 * 80) : round(6.9 * 80)])) > 0.9
    assert not opening[: round(5.8 * 80)].any()


def test_talking_on_for_a_minute_is_not_taken_for_babble() -> None:
    """Continuous speech moves between loud and soft; its own quiet moments must not become what it has to exceed."""
    parts = [vowel(0.25, level) for level in (0.1, 0.03, 0.15, 0.01) * 60]
    opening = openings(np.concatenate(parts), lambda ms: 0.97)
    assert float(np.mean(opening[80:] < 0.3)) < 0.3


def test_it_may_be_asked_at_any_time() -> None:
    gate = VoiceGate(Told(lambda ms: 1.0))
    assert gate.opening(0.0) == gate.opening(1e6) == gate.opening(-1e6) == 0.0


class Fixed:
    def __init__(self, opening: float) -> None:
        self.value, self.asked = opening, list[float]()

    def push(self, samples: NDArray[np.float32], mel: NDArray[np.float32]) -> None:
        assert mel.shape[0] == 80 and samples.dtype == np.float32

    def opening(self, ms: float) -> float:
        self.asked.append(ms)
        return self.value


@pytest.mark.parametrize("opening", [0.0, 0.5, 1.0])
def test_speech_path_asks_its_gate(opening: float) -> None:
    gate, window = Fixed(opening), MelWindow.for_lookahead(80.0)
    path, plain = SpeechPath(window, start_ms=500.0, gate=gate), SpeechPath(window, start_ms=500.0)
    sound = (vowel(0.4) * 32767).astype(np.int16).repeat(3)
    for block in sound[: sound.size // 960 * 960].reshape(-1, 960):
        path.push(block)
        plain.push(block)
    at = path.head_ms - 150.0
    assert path.speech(at) == (opening > 0.0)
    assert gate.asked == [at - 500.0]
    ours, theirs = path.window(at), plain.window(at)
    assert ours is not None and theirs is not None
    np.testing.assert_allclose(ours, SILENCE + opening * (theirs - SILENCE), atol=1e-5)
