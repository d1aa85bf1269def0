"""Speech on its way out, heard by a network: the same windows as the whole recording gives."""

import numpy as np
import pytest
from ears_files import open_ears
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ears.contract import FRAME_MS
from models.ears.onnx import EarsHearing
from models.mel import Mel
from models.onnx.export import TOLERANCE
from realtime.speech.audio import SpeechPath, hold_for
from realtime.speech.resample import Decimator

BLOCK = 960


class Door:
    """A gate that is open as far as it is set."""

    def __init__(self, opening: float) -> None:
        self.is_open = opening

    def push(self, samples: NDArray[np.float32], mel: Mel) -> None:
        """Take what every gate is given."""

    def opening(self, ms: float) -> float:
        """Return what was set."""
        return self.is_open


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> EarsHearing:
    return EarsHearing(open_ears(tmp_path_factory.mktemp("ears")), 5, 80.0)


def some_speech(blocks: int, seed: int = 0) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    loud = np.abs(np.sin(np.arange(blocks * BLOCK) / 4000.0))
    return np.asarray(4000.0 * loud * rng.standard_normal(blocks * BLOCK), np.int16)


def pushed(path: SpeechPath, sound: NDArray[np.int16]) -> SpeechPath:
    for block in sound.reshape(-1, BLOCK):
        path.push(block)
    return path


@settings(max_examples=10, deadline=None)
@given(asked=st.sets(st.integers(0, 59), max_size=8), start_ms=st.sampled_from([0.0, 137.0]))
def test_windows_equal_those_of_the_whole_recording_whenever_they_are_asked_for(
    hearing: EarsHearing, asked: set[int], start_ms: float
) -> None:
    sound, path = some_speech(60), SpeechPath(hearing, start_ms=start_ms)
    for index, block in enumerate(sound.reshape(-1, BLOCK)):
        path.push(block)
        if index in asked:
            path.window(path.head_ms - 100.0)
    whole = hearing.hear(Decimator().push(sound))
    for media_ms in (0.0, 133.0, 500.0, 666.6, 1050.0):
        assert path.complete(start_ms + media_ms)
        window = path.window(start_ms + media_ms)
        assert window is not None
        np.testing.assert_allclose(window, hearing.cut(whole, media_ms), atol=2 * TOLERANCE)


@pytest.mark.parametrize("interval", [40.0, 1000 / 30])
def test_the_hold_is_long_enough_to_ask_one_frame_ahead(hearing: EarsHearing, interval: float) -> None:
    path, hold = SpeechPath(hearing), hold_for(hearing, interval)
    ready = []
    for block in some_speech(60).reshape(-1, BLOCK):
        path.push(block)
        if path.line.fill_ms > hold:
            left = path.pull()
            # 19.9 ms later the next block is about to leave.
            ready += [path.complete(left.media_ms + late + interval) for late in (0.0, 10.0, 19.9)]
    assert len(ready) > 100 and all(ready)


def test_the_newest_frame_stands_for_those_to_come(hearing: EarsHearing) -> None:
    path = pushed(SpeechPath(hearing), some_speech(50))
    at = path.head_ms - hearing.lookahead_ms + 2 * FRAME_MS
    window, newest = path.window(at), path.history.end - 1
    first, share = hearing.place(12.5)
    assert window is not None and not path.complete(at)
    assert share == 0.0
    last = path.history.window(12.5 + (newest - first) * FRAME_MS)[:, 0]
    np.testing.assert_array_equal(window[:, -1], last)
    assert path.window(path.head_ms + 100.0) is None


def test_a_gate_lets_through_as_much_as_it_is_open(hearing: EarsHearing) -> None:
    sound, at = some_speech(50), 600.0
    windows = {}
    for opening in (0.0, 0.5, 1.0):
        windows[opening] = pushed(SpeechPath(hearing, gate=Door(opening)), sound).window(at)
    shut, half, free = (windows[opening] for opening in (0.0, 0.5, 1.0))
    assert shut is not None and half is not None and free is not None
    np.testing.assert_array_equal(shut, np.repeat(hearing.silence, hearing.columns, 1))
    np.testing.assert_allclose(half, (shut + free) / 2, atol=1e-5)
    assert np.abs(free - shut).max() > 0.1


def test_a_shut_gate_is_no_speech(hearing: EarsHearing) -> None:
    sound = some_speech(30)
    assert not pushed(SpeechPath(hearing, gate=Door(0.0)), sound).speech(300.0)
    assert pushed(SpeechPath(hearing, gate=Door(1.0)), sound).speech(300.0)


def test_a_lost_block_is_heard_as_what_is_played(hearing: EarsHearing) -> None:
    path, played = SpeechPath(hearing), []
    for index, block in enumerate(some_speech(50).reshape(-1, BLOCK)):
        path.push(None if index in (20, 21) else block)
        if path.line.ready:
            played.append(path.pull().samples)
    assert len(played) >= 48
    whole = hearing.hear(Decimator().push(np.concatenate(played)))
    for media_ms in (350.0, 420.0, 600.0, 850.0):
        window = path.window(media_ms)
        assert window is not None
        np.testing.assert_allclose(window, hearing.cut(whole, media_ms), atol=2 * TOLERANCE)
