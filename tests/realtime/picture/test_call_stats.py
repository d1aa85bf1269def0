"""Counters: freezes by the W3C definition, quantiles, and the snapshot."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.media import FrameKind
from realtime.picture.stats import CallStats, Quantiles, freezes


def steady(count: int, interval: float = 40.0, start: float = 0.0) -> list[float]:
    return [start + i * interval for i in range(count)]


def test_a_gap_of_the_limit_is_a_freeze_and_less_is_not() -> None:
    before = steady(50)
    assert freezes([*before, *steady(20, start=before[-1] + 189.9)]).freezeCount == 0
    found = freezes([*before, *steady(20, start=before[-1] + 190.0)])
    assert found.freezeCount == 1
    assert found.totalFreezesDuration == pytest.approx(0.190)


def test_slow_video_uses_three_intervals() -> None:
    before = steady(40, 100.0)
    assert freezes([*before, before[-1] + 299]).freezeCount == 0
    assert freezes([*before, before[-1] + 300]).freezeCount == 1


def test_a_freeze_until_the_end_counts() -> None:
    assert freezes(steady(50)).freezeCount == 0
    found = freezes(steady(50), end_ms=49 * 40.0 + 8000)
    assert found.freezeCount == 1 and found.totalFreezesDuration == pytest.approx(8.0)


def test_repeated_frames_do_not_hide_a_freeze() -> None:
    stats = CallStats()
    for i in range(100):
        stats.on_frame(FrameKind.REPEATED if 50 <= i < 60 else FrameKind.REAL, i * 40.0, 5.0)
    snapshot = stats.snapshot()
    assert snapshot["freezeCount"] == 1
    assert snapshot["totalFreezesDuration"] == pytest.approx(0.44)
    assert (snapshot["framesReal"], snapshot["framesRepeated"]) == (90, 10)
    assert json.loads(json.dumps(snapshot))["avSkewMs"]["p95"] == 5.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_quantiles_are_values_and_ordered(values: list[float]) -> None:
    quantiles = Quantiles(100)
    for value in values:
        quantiles.add(value)
    kept = values[-100:]
    p0, p50, p95, p100 = quantiles.at(0.0, 0.5, 0.95, 1.0)
    assert (p0, p100) == (min(kept), max(kept))
    assert p0 <= p50 <= p95 <= p100
    assert sum(v <= p95 for v in kept) >= 0.95 * len(kept)
    quantiles.add(float("nan"))
    assert quantiles.count == len(values)


@given(st.lists(st.floats(1, 189), min_size=1, max_size=100))
def test_no_gap_under_150_more_than_the_shortest_mean_is_a_freeze(gaps: list[float]) -> None:
    """d + 150 > 150, so gaps up to 150 ms are never freezes, whatever came before."""
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + min(gap, 150.0))
    assert freezes(times).freezeCount == 0
