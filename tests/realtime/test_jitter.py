"""The playout buffer: order, loss, late bursts and the way back to the target delay."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.jitter import JitterConfig, Playout, PlayoutBuffer, unwrap

FIRST = 1_000_000


def packet(n: int) -> bytes:
    return n.to_bytes(4, "big")


def number(playout: Playout) -> int | None:
    return None if playout.payload is None else int.from_bytes(playout.payload, "big")


def run(
    arrivals: Iterable[tuple[float, int]], until_ms: float, *, first: int = FIRST, sequence: int = 0,
    silent: frozenset[int] = frozenset(), buffer: PlayoutBuffer | None = None,
) -> tuple[PlayoutBuffer, list[Playout]]:  # fmt: skip
    """Push packet n at its arrival and pull every 20 ms."""
    buffer = buffer or PlayoutBuffer()
    queue = sorted(arrivals, key=lambda item: item[0])
    out = []
    for step in range(int(until_ms / 20) + 1):
        now = step * 20.0
        while queue and queue[0][0] <= now:
            at, n = queue.pop(0)
            raw = (first + n * 960) & 0xFFFFFFFF
            buffer.push((sequence + n) & 0xFFFF, raw, packet(n), at, silent=n in silent)
        out.append(buffer.pull(now))
    return buffer, out


def played(out: list[Playout]) -> list[int]:
    return [n for n in map(number, out) if n is not None]


def test_plays_in_order_after_the_target_delay() -> None:
    buffer, out = run([(i * 20.0, i) for i in range(100)], 1000)
    assert [number(p) for p in out[:4]] == [None, None, None, 0]
    assert played(out) == list(range(48))
    mean_ms = buffer.stats.jitterBufferDelay / buffer.stats.jitterBufferEmittedCount * 1000
    assert mean_ms == pytest.approx(60)
    assert buffer.stats.concealedSamples == 0


def test_a_lost_packet_costs_its_own_20_ms_and_no_delay() -> None:
    lost = {10, 30, 31}
    buffer, out = run([(i * 20.0, i) for i in range(100) if i not in lost], 1500)
    assert [number(p) for p in out[3:70]] == [None if i in lost else i for i in range(67)]
    assert out[13].timestamp == FIRST + 10 * 960
    assert buffer.stats.concealedSamples == 3 * 960
    assert buffer.stats.concealmentEvents == 2


def test_reordered_and_duplicated_packets() -> None:
    arrivals = [(i * 20.0 + (45.0 if i % 7 == 3 else 0.0), i) for i in range(80)]
    buffer, out = run(arrivals + [(i * 20.0 + 5, i) for i in range(80)], 1600)
    assert played(out) == list(range(78))
    assert buffer.stats.concealedSamples == 0
    assert buffer.stats.packetsDiscarded == 80


def test_first_packets_out_of_order() -> None:
    _, out = run([(0.0, 1), (5.0, 0), (40.0, 2), (60.0, 3)], 140)
    assert played(out) == [0, 1, 2, 3]


def test_sequence_and_timestamp_wrap() -> None:
    _, out = run([(i * 20.0, i) for i in range(100)], 1900, first=(1 << 32) - 20 * 960, sequence=65_520)
    assert played(out) == list(range(93))
    stamps = [p.timestamp for p in out if p.timestamp is not None]
    assert all(b - a == 960 for a, b in zip(stamps, stamps[1:], strict=False))


def test_a_late_burst_is_played_late_and_whole_then_the_delay_comes_back() -> None:
    arrivals = [(max(i * 20.0, 1300.0) if i >= 50 else i * 20.0, i) for i in range(400)]
    buffer, out = run(arrivals, 7000)
    numbers = played(out)
    removed = set(range(numbers[-1] + 1)) - set(numbers)
    assert len(removed) * 960 == buffer.stats.removedSamplesForAcceleration
    assert len(removed & set(range(50, 66))) <= 1, "late speech was thrown away"
    delays = [(step * 20.0 - n * 20.0) for step, p in enumerate(out) if (n := number(p)) is not None]
    assert max(delays) >= 280
    assert delays[-1] <= 80
    gaps = sorted(removed)
    assert min(b - a for a, b in zip(gaps, gaps[1:], strict=False)) >= 10


def test_silence_goes_first() -> None:
    arrivals = [(max(i * 20.0, 1300.0) if i >= 50 else i * 20.0, i) for i in range(200)]
    buffer, out = run(arrivals, 3000, silent=frozenset(range(90, 130)))
    removed = set(range(played(out)[-1] + 1)) - set(played(out))
    assert removed & set(range(90, 130))
    assert buffer.depth_ms <= 80
    assert len(removed - set(range(90, 130))) <= 4


def test_late_beyond_the_limit_is_given_up() -> None:
    """Playout stands still at most until the delay is 400 ms; then the caller's time runs on."""
    buffer, out = run([(i * 20.0 + (1000.0 if i >= 50 else 0), i) for i in range(50)], 3000)
    waits = [p for p in out[53:] if p.timestamp is None]
    assert len(waits) * 20 <= 340
    assert all(p.payload is None for p in out[53:])
    assert buffer.depth_ms == 0


def test_after_an_outage_fresh_packets_play_at_the_target_delay() -> None:
    buffer, out = run([(i * 20.0, i) for i in range(400) if not 50 <= i < 250], 7000)
    first = next(step for step, p in enumerate(out) if (n := number(p)) is not None and n >= 250)
    assert first * 20 - 250 * 20 <= 120
    assert set(range(250, 330)) <= set(played(out))


def test_a_pause_in_sending_is_no_delay() -> None:
    """DTX: timestamps jump over the silence, packets come on time."""
    arrivals = [(i * 20.0, i) for i in range(200) if not 50 <= i < 100 or i % 20 == 0]
    _, out = run(arrivals, 3000)
    delays = [step * 20 - n * 20 for step, p in enumerate(out) if (n := number(p)) is not None and n > 110]
    assert set(delays) <= {60, 80}


def test_a_longer_link_is_accepted() -> None:
    """Every packet a second later than before: speech goes on after a moment."""
    _, out = run([(i * 20.0 + (1000.0 if i >= 50 else 0), i) for i in range(300)], 6000)
    assert set(range(60, 240)) <= set(played(out))


def test_new_ssrc_starts_anew_and_one_stray_packet_does_not() -> None:
    buffer, _ = run([(i * 20.0, i) for i in range(50)], 900)
    buffer.push(7, 123, b"stray", 905.0)
    assert buffer.pull(920.0).payload is not None
    for i in range(20):
        buffer.push(500 + i, 3_000_000_000 + i * 960, packet(1000 + i), 940.0 + i * 20)
        out = buffer.pull(940.0 + i * 20)
    assert number(out) is not None and number(out) > 1010  # type: ignore[operator]


def test_memory_is_bounded() -> None:
    buffer = PlayoutBuffer()
    for i in range(100_000):
        buffer.push(i & 0xFFFF, i * 7 & 0xFFFFFFFF, b"x", i * 0.1)
    assert len(buffer._packets) <= 64


@pytest.mark.parametrize("target, longest", [(10.0, 400.0), (500.0, 400.0)])
def test_bad_delays_are_refused(target: float, longest: float) -> None:
    with pytest.raises(ValueError, match="target_ms"):
        JitterConfig(target_ms=target, max_ms=longest)


@given(st.integers(0, 1 << 40), st.integers(-30_000, 30_000))
def test_unwrap(near: int, step: int) -> None:
    assert unwrap((near + step) & 0xFFFF, near, 16) == near + step


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0, 0.3), st.floats(0, 300), st.floats(0, 55), st.integers(0, (1 << 32) - 1))
def test_any_weather(seed: int, loss: float, late: float, jitter: float, first: int) -> None:
    """Never a block twice or backwards; everything is played, removed, lost or given up; the delay is bounded."""
    rng = random.Random(seed)
    begin = rng.randrange(30, 100)
    arrivals = []
    for i in range(200):
        held = late if begin <= i < begin + 15 else 0.0
        if rng.random() >= loss:
            arrivals.append((i * 20.0 + held + rng.uniform(0, jitter), i))
    buffer, out = run(arrivals, 6000, first=first)
    numbers = played(out)
    assert numbers == sorted(set(numbers))
    stats = buffer.stats
    assert stats.jitterBufferEmittedCount == 960 * len(numbers)
    gone = stats.removedSamplesForAcceleration // 960 + stats.packetsDiscarded
    assert len(numbers) + gone + len(buffer._packets) == len(arrivals)
    if late == 0:
        assert stats.packetsDiscarded <= 1
    for step, p in enumerate(out):
        n = number(p)
        assert n is None or step * 20.0 - n * 20.0 <= 400 + 60


@settings(max_examples=40)
@given(st.sets(st.integers(5, 90), max_size=20), st.integers(0, 19))
def test_scattered_loss_never_shifts_playout(lost: set[int], phase: int) -> None:
    """With at least two good packets behind every lost one, packet n always plays at its own time."""
    alone = {n for n in lost if not {n + 1, n + 2} & lost}
    arrivals = [(i * 20.0 + phase, i) for i in range(100) if i not in alone]
    _, out = run(arrivals, 1900)
    steps = {n: step for step, p in enumerate(out) if (n := number(p)) is not None}
    assert {step - n for n, step in steps.items()} == {min(step - n for n, step in steps.items())}
    assert set(steps) == set(range(max(steps) + 1)) - alone
