import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.rtc.badlink.link import IP_UDP_BYTES, ImpairedLink, LinkStep, LinkTrace


def trace(*steps: tuple[float, float]) -> LinkTrace:
    return LinkTrace(tuple(LinkStep(t, rate) for t, rate in steps))


RATES = st.sampled_from([30.0, 60.0, 128.0, 500.0, 2000.0])


@st.composite
def traces(draw: st.DrawFn, *, jitter: bool = False) -> LinkTrace:
    gaps = draw(st.lists(st.integers(50, 2000), max_size=4))
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    return LinkTrace(
        tuple(
            LinkStep(
                t,
                draw(RATES),
                delay_ms=draw(st.integers(0, 200)) if jitter else 0.0,
                jitter_ms=draw(st.integers(0, 80)) if jitter else 0.0,
                loss=draw(st.sampled_from([0.0, 0.1, 0.5])) if jitter else 0.0,
            )
            for t in times
        )
    )


SENDS = st.lists(st.tuples(st.floats(0, 120), st.integers(20, 1300)), min_size=1, max_size=80)


def run(link: ImpairedLink, sends: list[tuple[float, int]]) -> list[tuple[float, int, float | None]]:
    now = 0.0
    result = []
    for gap, size in sends:
        now += gap
        result.append((now, size, link.send(now, size)))
    return result


def capacity(script: LinkTrace, start: float, end: float) -> float:
    """Add up the bits that the script allows, in 1/8 ms steps independent of the code under test."""
    bits, t = 0.0, start
    edges = [s.t_ms for s in script.steps if start < s.t_ms < end] + [end]
    for edge in edges:
        bits += script.at((t + edge) / 2).rate_kbps * (edge - t)
        t = edge
    return bits


@given(traces(), SENDS)
def test_no_window_carries_more_than_the_rate_allows(script: LinkTrace, sends: list[tuple[float, int]]) -> None:
    arrived = [(t, size) for _, size, t in run(ImpairedLink(script), sends) if t is not None]
    for i in range(len(arrived)):
        bits = 0.0
        for j in range(i + 1, len(arrived)):
            bits += (arrived[j][1] + IP_UDP_BYTES) * 8
            assert bits <= capacity(script, arrived[i][0], arrived[j][0]) * (1 + 1e-9) + 1e-3


@given(traces(), SENDS)
def test_nothing_waits_longer_than_the_queue_allows_at_any_rate_it_meets(
    script: LinkTrace, sends: list[tuple[float, int]]
) -> None:
    for sent, size, arrived in run(ImpairedLink(script, queue_ms=300.0), sends):
        if arrived is not None:
            slowest = min(s.rate_kbps for s in script.steps)
            changes = sum(sent < s.t_ms < arrived for s in script.steps)
            assert arrived - sent <= (changes + 1) * 300.0 + (size + IP_UDP_BYTES) * 8 / slowest + 1e-6


@given(traces(jitter=True), SENDS, st.integers())
def test_order_is_kept_and_the_seed_decides(script: LinkTrace, sends: list[tuple[float, int]], seed: int) -> None:
    first = run(ImpairedLink(script, seed=seed), sends)
    assert first == run(ImpairedLink(script, seed=seed), sends)
    arrivals = [t for _, _, t in first if t is not None]
    assert arrivals == sorted(arrivals)
    assert all(t is None or t >= sent for sent, _, t in first)


def test_a_slow_link_serves_at_its_rate_and_drops_the_tail() -> None:
    link = ImpairedLink(trace((0, 80)), queue_ms=300)
    arrivals = [link.send(0.0, 972) for _ in range(10)]  # 1000 bytes each on the wire: 100 ms
    assert arrivals[:3] == [100.0, 200.0, 300.0]
    assert arrivals[3:] == [None] * 7
    assert link.send(100.5, 972) == 400.0


def test_a_rate_that_changes_in_the_queue_changes_the_service() -> None:
    link = ImpairedLink(trace((0, 80), (150, 160)), queue_ms=1000)
    assert [link.send(0.0, 972) for _ in range(3)] == [100.0, 175.0, 225.0]


def test_a_fall_of_the_rate_trims_the_queue() -> None:
    link = ImpairedLink(trace((0, 8000), (1, 80)), queue_ms=300)
    arrivals = [link.send(0.0, 972) for _ in range(50)]
    # One leaves before the fall; then 300 ms at 80 kbit/s hold three.
    assert arrivals[:4] == [1.0, 101.0, 201.0, 301.0]
    assert arrivals[4:] == [None] * 46


def test_small_datagrams_find_room_where_large_ones_do_not() -> None:
    link = ImpairedLink(trace((0, 80)), queue_ms=300)
    arrivals = [link.send(0.0, size) for size in (972, 972, 972 - 200, 972, 60)]
    assert [a is None for a in arrivals] == [False, False, False, True, False]


def test_a_large_datagram_passes_an_empty_queue_however_slow() -> None:
    assert ImpairedLink(trace((0, 10)), queue_ms=300).send(0.0, 1222) == 1000.0


def test_an_outage_passes_nothing_and_ends() -> None:
    link = ImpairedLink(trace((0, math.inf), (10, 0), (20, math.inf)))
    assert [link.send(t, 100) for t in (5.0, 15.0, 25.0)] == [5.0, None, 25.0]


def test_jitter_reorders_only_when_asked() -> None:
    script = LinkTrace((LinkStep(0, math.inf, 20.0, 50.0),))
    link = ImpairedLink(script, seed=1, reorder=True)
    arrivals = [link.send(float(i), 100) or 0.0 for i in range(200)]
    assert arrivals != sorted(arrivals)
    delays = [a - i for i, a in enumerate(arrivals)]
    assert min(delays) >= 20.0 and max(delays) <= 70.0 and max(delays) - min(delays) > 40.0


def test_loss_is_near_what_was_asked() -> None:
    link = ImpairedLink(LinkTrace((LinkStep(0, loss=0.2),)), seed=3)
    lost = sum(link.send(float(i), 100) is None for i in range(5000))
    assert 900 < lost < 1100


def test_traces_are_read_from_json_and_bad_ones_refused(tmp_path: Path) -> None:
    script = LinkTrace((LinkStep(0), LinkStep(6000, 60.0, 20.0, 2.0, 0.01)))
    path = tmp_path / "trace.json"
    path.write_text(script.to_json())
    assert LinkTrace.load(path) == script
    for bad in ('{"steps": []}', "[]", "{", '{"steps": [{"t_ms": 5}]}', '{"steps": [{"t_ms": 0, "speed": 1}]}'):
        with pytest.raises(ValueError):
            LinkTrace.from_json(bad)
    with pytest.raises(ValueError, match="rising"):
        trace((0, 1), (0, 2))
    with pytest.raises(ValueError, match="loss"):
        LinkStep(0, loss=2.0)
    with pytest.raises(ValueError, match="order of time"):
        run(ImpairedLink(script), [(5, 1), (-1, 1)])
