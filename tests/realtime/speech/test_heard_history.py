"""Windows by media time out of a bounded ring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.alignment import WAV2LIP_WINDOW, MelWindow
from models.mel import Mel
from realtime.speech.heard import HeardHistory


def numbered(begin: int, end: int) -> Mel:
    return np.repeat(np.arange(begin, end, dtype=np.float32)[None], 80, axis=0)


@given(
    chunks=st.lists(st.integers(0, 25), max_size=20),
    capacity=st.integers(1, 60),
    start_ms=st.floats(-1e4, 1e6),
    frame=st.integers(-10, 120),
    lookahead_ms=st.floats(0, 300),
)
def test_window_is_what_the_offline_cut_gives(
    chunks: list[int], capacity: int, start_ms: float, frame: int, lookahead_ms: float
) -> None:
    alignment = MelWindow.for_lookahead(lookahead_ms)
    history = HeardHistory(alignment, start_ms, capacity)
    total = 0
    for chunk in chunks:
        history.extend(numbered(total, total + chunk))
        total += chunk
    mel = numbered(0, total)
    mel[:, : max(0, total - capacity)] = -4
    window = history.window(start_ms + frame * 40)
    # The same sum of floats as in the history, so that both floor to the same column.
    np.testing.assert_array_equal(window, alignment.cut(mel, start_ms + frame * 40 - start_ms))
    first = alignment.start(start_ms + frame * 40 - start_ms)
    kept = range(max(0, total - capacity), total)
    expected_ready = first + 16 <= total and all(i < 0 or i in kept for i in range(first, first + 16))
    assert history.ready(start_ms + frame * 40) == expected_ready


def test_ready_turns_true_with_the_last_column_of_the_lookahead() -> None:
    history = HeardHistory(WAV2LIP_WINDOW, start_ms=5_000.0)
    # Frame at +400 ms: first column 28.8 -> 28, last 43.
    history.extend(numbered(0, 43))
    assert not history.ready(5_400.0)
    history.extend(numbered(43, 44))
    assert history.ready(5_400.0)
    assert history.window(5_400.0)[0].tolist() == list(range(28, 44))


def test_a_frame_is_ready_as_long_as_its_window_ends_with_the_newest_column() -> None:
    history = HeardHistory(WAV2LIP_WINDOW, start_ms=123.0)
    history.extend(numbered(0, 100))
    # Column 85 is the first of the window that ends with column 100, which is not here.
    edge = 123.0 + 85 * 12.5 - WAV2LIP_WINDOW.offset_ms
    assert history.ready(edge - 0.1)
    assert not history.ready(edge + 0.1)


def test_before_the_start_is_silence_and_a_gone_window_is_not_ready() -> None:
    history = HeardHistory(WAV2LIP_WINDOW, capacity=20)
    history.extend(numbered(0, 20))
    assert history.window(0.0)[0].tolist() == [-4.0] * 4 + list(range(12))
    assert history.ready(0.0)
    history.extend(numbered(20, 40))
    assert not history.ready(0.0)
    assert history.ready(20 * 12.5 + 40.0)


def test_windows_are_copies() -> None:
    history = HeardHistory(WAV2LIP_WINDOW)
    history.extend(numbered(0, 40))
    history.window(200.0)[:] = 9
    assert history.window(200.0).max() < 40 and history.window(200.0)[0, 0] == 12


@pytest.mark.parametrize("columns", [np.zeros((79, 3)), np.zeros(80)])
def test_refuses_columns_of_another_shape(columns: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="columns"):
        HeardHistory(WAV2LIP_WINDOW).extend(columns.astype(np.float32))


def test_refuses_no_capacity() -> None:
    with pytest.raises(ValueError, match="capacity"):
        HeardHistory(WAV2LIP_WINDOW, capacity=0)
