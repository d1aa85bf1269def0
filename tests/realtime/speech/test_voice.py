"""The gate of the mouth: the caller's own voice opens it on time, surer where others speak, and its end shuts it."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.alignment import SILENCE, MelWindow
from models.melstream import StreamingMel
from realtime.speech.audio import SpeechPath
from realtime.speech.voice import AHEAD, FULL_ROOM, VoiceGate

RATE = 16_000
Floats = NDArray[np.float64]
Told = Callable[[float], float]
"""Say a probability for a time in ms."""


class Voices:
    """A detector that is told what it finds in each chunk of 32 ms."""

    def __init__(self, probability: Told) -> None:
        self._probability, self._samples, self._chunks = probability, 0, 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._samples += samples.size
        found = []
        while (self._chunks + 1) * 512 <= self._samples:
            found.append(self._probability(self._chunks * 32.0))
            self._chunks += 1
        return np.array(found, np.float32)


class Caller:
    """A network that is told when the caller speaks; it hears `AHEAD` columns more before it says so."""

    def __init__(self, probability: Told) -> None:
        self._probability, self._heard, self.voices = probability, 0, list[float]()

    def push(self, column: NDArray[np.float32], voice: float) -> float:
        assert column.shape == (80,) and column.dtype == np.float32
        self.voices.append(voice)
        self._heard += 1
        return self._probability((self._heard - 1 - AHEAD) * 12.5)


def openings(seconds: float, voices: Told, caller: Told | Caller) -> Floats:
    """Return the opening every 12.5 ms, asked for 100 ms behind the newest sound as a call does."""
    near = caller if isinstance(caller, Caller) else Caller(caller)
    gate, mel, out = VoiceGate(Voices(voices), near), StreamingMel(), list[float]()
    for end in range(320, round(seconds * RATE) + 1, 320):
        block = np.zeros(320, np.float32)
        gate.push(block, mel.push(block))
        while len(out) * 12.5 <= end / 16.0 - 100.0:
            out.append(gate.opening(len(out) * 12.5))
    return np.array(out)


def between(begin_ms: float, end_ms: float, inside: float = 0.97, outside: float = 0.02) -> Told:
    return lambda ms: inside if begin_ms <= ms < end_ms else outside


def vowel(seconds: float, level: float = 0.1) -> Floats:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(level * sum(np.sin(2 * np.pi * 140.0 * k * t) / k**0.5 for k in range(1, 40)))


def test_speech_opens_without_delay_and_its_end_shuts_within_a_column() -> None:
    opening = openings(4.0, between(1000.0, 2300.0), between(1000.0, 2000.0))
    assert not opening[:79].any()
    assert (opening[81:159] == 1.0).all()
    assert not opening[161:].any(), "though the detector says speech for longer"


def test_other_voices_leave_it_shut_however_sure_the_detector_is() -> None:
    assert not openings(4.0, lambda ms: 0.99, lambda ms: 0.1).any()


def test_in_a_quiet_room_less_is_asked_of_the_caller_than_among_voices() -> None:
    caller = between(6000.0, 7000.0, 0.5)
    quiet, full = openings(8.0, between(6000.0, 7200.0), caller), openings(8.0, lambda ms: 0.95, caller)
    assert (quiet[481:559] == 1.0).all()
    assert not full.any()
    assert (openings(8.0, lambda ms: 0.95, between(6000.0, 7000.0, 0.9))[481:559] == 1.0).all()


def test_between_its_limits_it_opens_in_part() -> None:
    low, high = FULL_ROOM
    opening = openings(3.0, lambda ms: 0.95, lambda ms: low + 0.25 * (high - low))
    np.testing.assert_allclose(opening[20:], 0.25, atol=0.01)


def test_while_no_voice_is_heard_more_is_asked_too() -> None:
    assert not openings(4.0, lambda ms: 0.02, lambda ms: 0.5).any()
    assert (openings(4.0, lambda ms: 0.02, lambda ms: 0.9) == 1.0).mean() > 0.9


def test_the_room_counts_as_full_again_when_nobody_has_rested_for_long() -> None:
    others = openings(20.0, between(2000.0, 9e9, 0.95), lambda ms: 0.5)
    assert (others[170:300] == 1.0).all(), "a pause was heard lately"
    assert not others[-80:].any(), "for 12 s somebody has spoken all the time"


def test_the_network_hears_the_newest_probability_that_is_known() -> None:
    near = Caller(lambda ms: 0.0)
    openings(1.0, lambda ms: ms / 1000.0, near)
    for column, voice in enumerate(near.voices):
        whole = (column * 200 + 400) // 512  # chunks heard to the end
        assert voice == pytest.approx((whole - 1) * 0.032 if whole else 0.0, abs=1e-6)


def test_it_may_be_asked_at_any_time() -> None:
    gate = VoiceGate(Voices(lambda ms: 1.0), Caller(lambda ms: 1.0))
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
