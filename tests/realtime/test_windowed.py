"""The least value of a moving window."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.windowed import WindowedMin


def test_before_the_first_value_there_is_none() -> None:
    assert WindowedMin(1_000.0).least is None


def test_the_least_value_counts_until_it_leaves_the_window() -> None:
    least = WindowedMin(1_000.0)
    assert least.add(30.0, 0.0) == 30.0
    assert least.add(50.0, 500.0) == 30.0
    assert least.add(60.0, 1_000.0) == 30.0, "the edge of the window belongs to it"
    assert least.add(70.0, 1_001.0) == 50.0
    assert least.least == 50.0


def test_after_clear_earlier_values_no_longer_count() -> None:
    least = WindowedMin(1_000.0)
    least.add(10.0, 0.0)
    least.clear()
    assert least.least is None
    assert least.add(20.0, 1.0) == 20.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 400)), max_size=60))
def test_it_equals_the_minimum_over_all_values_of_the_window(steps: list[tuple[float, float]]) -> None:
    least, now_ms, values = WindowedMin(1_000.0), 0.0, list[tuple[float, float]]()
    for value, gap_ms in steps:
        now_ms += gap_ms
        values.append((now_ms, value))
        assert least.add(value, now_ms) == min(value for at_ms, value in values if at_ms >= now_ms - 1_000.0)
