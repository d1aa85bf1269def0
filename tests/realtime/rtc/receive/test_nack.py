import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.rtc.receive.nack import NackConfig, NackTracker

WRAP = 1 << 16


def tracker_with_hole(first: int = 100, lost: int = 1, newer: int = 3, config: NackConfig | None = None) -> NackTracker:
    """Receive `first`, lose `lost` packets, receive `newer` more, all at 0 ms."""
    tracker = NackTracker(config or NackConfig())
    tracker.received(first % WRAP, 0.0)
    for i in range(newer):
        tracker.received((first + lost + 1 + i) % WRAP, 0.0)
    return tracker


@settings(deadline=None)
@given(st.integers(0, WRAP - 1), st.integers(1, 40))
def test_a_hole_is_asked_for_in_order_across_the_wrap(first: int, lost: int) -> None:
    tracker = tracker_with_hole(first, lost)
    assert tracker.due(0.0) == [(first + 1 + i) % WRAP for i in range(lost)]
    assert tracker.due(1.0) == []


def test_reordering_of_two_packets_or_ten_ms_asks_for_nothing() -> None:
    tracker = tracker_with_hole(newer=2)  # one after the one that showed the hole
    assert tracker.due(9.0) == []
    tracker.received(101, 9.5)
    assert tracker.due(100.0) == [] and tracker.missing == 0 and tracker.recovered == 0
    assert tracker_with_hole(newer=1).due(10.0) == [101]
    assert tracker_with_hole(newer=3).due(0.0) == [101]


def test_a_request_is_repeated_after_a_round_trip_and_then_every_half() -> None:
    tracker = tracker_with_hole(config=NackConfig(first_rtt_ms=40.0, requests=4))
    asked = [t for t in range(0, 900, 5) if tracker.due(float(t))]
    assert asked == [0, 45, 65, 85]
    fast = tracker_with_hole(config=NackConfig(first_rtt_ms=1.0, requests=3))
    assert [t for t in range(0, 200, 5) if fast.due(float(t))] == [0, 20, 40]


def test_what_came_or_is_superseded_is_asked_for_no_more() -> None:
    tracker = tracker_with_hole(lost=5)
    tracker.received(103, 1.0)
    tracker.forget_before(102)
    assert tracker.due(2.0) == [102, 104, 105]
    tracker.give_up()
    assert tracker.due(500.0) == [] and tracker.missing == 0


def test_holes_are_forgotten_in_time_and_a_torn_stream_is_not_asked_for() -> None:
    tracker = tracker_with_hole(config=NackConfig(requests=1000))
    assert tracker.due(999.0) == [101] and tracker.due(1001.0) == [] and tracker.missing == 0
    torn = tracker_with_hole(lost=300)
    assert torn.due(50.0) == [] and torn.missing == 0


def test_the_round_trip_is_learned_from_single_requests_and_bounded() -> None:
    tracker = tracker_with_hole()
    tracker.due(0.0)
    tracker.received(101, 80.0)
    assert tracker.rtt_ms == 80.0
    tracker.received(106, 100.0)
    tracker.due(200.0)
    tracker.received(105, 2_000.0)
    assert 80.0 < tracker.rtt_ms <= 80.0 + 500.0 / 8


@pytest.mark.parametrize("rtt", [5.0, 60.0, 180.0, 400.0])
def test_the_round_trip_is_found_even_where_the_first_guess_repeats_too_early(rtt: float) -> None:
    tracker = NackTracker()
    answers: list[tuple[float, int]] = []
    sequence, sent = 0, 0
    for step in range(6000):
        now = 5.0 * step
        for at, number in [a for a in answers if a[0] <= now]:
            answers.remove((at, number))
            tracker.received(number, now)
        if step % 8 == 0:
            sequence += 1
            if sequence % 5:
                tracker.received(sequence, now)
        asked = tracker.due(now)
        sent += len(asked)
        answers += [(now + rtt, number) for number in asked]
    assert tracker.rtt_ms == pytest.approx(rtt, abs=6.0)
    assert sent < 1.1 * sequence / 5 + 20


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, WRAP - 1), st.floats(0, 30)), max_size=200))
def test_memory_and_requests_are_bounded_for_any_sequence_numbers(packets: list[tuple[int, float]]) -> None:
    tracker, now = NackTracker(), 0.0
    for sequence, gap in packets:
        now += gap
        tracker.received(sequence, now)
        assert len(tracker.due(now)) <= 256 and tracker.missing <= 256
        tracker.forget_before((sequence - 1000) % WRAP)
    for _ in range(20):
        now += 1_000.0
        tracker.due(now)
    assert tracker.missing == 0
