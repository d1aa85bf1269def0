"""The jitter buffer: order, and a lost packet told from a late one and from silence."""

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from values import not_none

from realtime.speech.jitter import Found, Frame20ms, JitterBuffer

FIRST = 1_000_000
PACKET, LOST, SILENT, LATE = Found.PACKET, Found.LOST, Found.SILENT, Found.LATE


def packet(n: int) -> bytes:
    return n.to_bytes(4, "big")


def number(unit: Frame20ms) -> int | None:
    return None if unit.payload is None else int.from_bytes(unit.payload, "big")


def run(
    arrivals: Iterable[tuple[float, int]], until_ms: float, *, first: int = FIRST, sequence: int = 0,
    urgent: bool = False, sequences: dict[int, int] | None = None, buffer: JitterBuffer | None = None,
) -> tuple[JitterBuffer, list[tuple[float, Frame20ms]]]:  # fmt: skip
    """Push packet n at its arrival; every 20 ms fetch what is known, and when `urgent` at least one unit."""
    buffer = buffer or JitterBuffer()
    queue = sorted(arrivals, key=lambda item: item[0])
    out: list[tuple[float, Frame20ms]] = []
    for step in range(int(until_ms / 20) + 1):
        now = step * 20.0
        while queue and queue[0][0] <= now:
            at, n = queue.pop(0)
            raw = (first + n * 960) & 0xFFFFFFFF
            number_on_wire = n if sequences is None else sequences[n]
            buffer.push_packet((sequence + number_on_wire) & 0xFFFF, raw, packet(n), at, wait_ms=0.0)
        known = len(out)
        while (unit := buffer.fetch_frame(now, urgent=False)) is not None:
            out.append((now, unit))
        if urgent and len(out) == known and (unit := buffer.fetch_frame(now, urgent=True)) is not None:
            out.append((now, unit))
    return buffer, out


def played(out: list[tuple[float, Frame20ms]]) -> list[int]:
    return [n for _, unit in out if (n := number(unit)) is not None]


def test_packets_leave_as_soon_as_they_are_in_order() -> None:
    _, out = run([(i * 20.0 + 3, i) for i in range(100)], 1000)
    assert played(out) == list(range(50))
    assert all(now - n * 20.0 == 20.0 for (now, _), n in zip(out, played(out), strict=True))


def test_a_lost_packet_is_one_lost_unit_with_the_next_payload_beside_it() -> None:
    lost = {10, 30, 31}
    _, out = run([(i * 20.0, i) for i in range(60) if i not in lost], 1400)
    units = [unit for _, unit in out]
    assert [u.found for u in units] == [LOST if i in lost else PACKET for i in range(60)]
    assert units[10].timestamp == FIRST + 10 * 960 and units[10].following == packet(11)
    assert units[30].following is None and units[31].following == packet(32)


def test_a_hole_waits_for_its_packet_unless_it_is_needed() -> None:
    arrivals = [(i * 20.0 + (45.0 if i == 9 else 0.0), i) for i in range(30)]
    buffer = JitterBuffer()
    for at, n in sorted(arrivals):
        if at <= 205:
            buffer.push_packet(n, FIRST + n * 960, packet(n), at, wait_ms=0.0)
    while (unit := buffer.fetch_frame(206.0, urgent=False, reorder_ms=60.0)) is not None:
        assert unit.found is PACKET and number(unit) != 9
    hole = buffer.fetch_frame(207.0, urgent=True, reorder_ms=60.0)
    assert hole is not None and hole.found is LOST and hole.following == packet(10)
    _, out = run(arrivals + [(i * 20.0 + 5, i) for i in range(30) if i != 9], 600)
    assert sorted(played(out)) == sorted(set(played(out))), "a duplicate was played"


def test_a_reordered_packet_is_in_time_within_the_reordering_time() -> None:
    arrivals = [(i * 20.0 + (38.0 if i % 7 == 3 else 0.0), i) for i in range(80)]
    buffer, out = run(arrivals + [(i * 20.0 + 100, i) for i in range(70)], 1560)
    assert played(out) == list(range(79))
    assert buffer.packets_discarded == 70


def test_first_packets_out_of_order() -> None:
    buffer = JitterBuffer()
    for at, n in [(0.0, 1), (5.0, 0), (25.0, 2)]:
        buffer.push_packet(n, FIRST + n * 960, packet(n), at, wait_ms=40.0)
    assert buffer.fetch_frame(39.0, urgent=False) is None
    units = [buffer.fetch_frame(41.0, urgent=False) for _ in range(3)]
    assert [number(unit) for unit in units if unit] == [0, 1, 2]


def test_sequence_and_timestamp_wrap() -> None:
    _, out = run([(i * 20.0, i) for i in range(100)], 1900, first=(1 << 32) - 20 * 960, sequence=65_520)
    assert played(out) == list(range(96))
    stamps = [unit.timestamp for _, unit in out if unit.timestamp is not None]
    assert all(b - a == 960 for a, b in zip(stamps, stamps[1:], strict=False))


def test_what_was_not_sent_is_silence_and_no_loss() -> None:
    """DTX, or a muted track: timestamps jump and sequence numbers do not."""
    sent = [i for i in range(200) if not 50 <= i < 100]
    numbers = {n: k for k, n in enumerate(sent)}
    _, out = run([(i * 20.0, i) for i in sent], 4000, sequences=numbers)
    assert [unit.found for _, unit in out].count(SILENT) == 50
    assert LOST not in [unit.found for _, unit in out]


def test_loss_inside_a_pause_is_counted_once() -> None:
    sent = [i for i in range(100) if not 40 <= i < 60]
    numbers = {n: k for k, n in enumerate(sent)}
    _, out = run([(i * 20.0, i) for i in sent if i != 60], 2000, sequences=numbers)
    found = [unit.found for _, unit in out]
    assert (found.count(LOST), found.count(SILENT)) == (1, 20)


def test_after_a_dtx_packet_time_runs_on_in_silence() -> None:
    buffer = JitterBuffer()
    # RFC 7587: a packet of two bytes at most begins the silence.
    buffer.push_packet(0, 0, b"\x48\x01", 0.0, wait_ms=0.0)
    units = [buffer.fetch_frame(20.0 * i, urgent=True) for i in range(1, 30)]
    assert [unit.found for unit in units if unit] == [PACKET] + [SILENT] * 28


def test_late_speech_is_waited_for_and_then_time_runs_on() -> None:
    _, out = run([(i * 20.0, i) for i in range(50)], 3000, urgent=True)
    after = [unit.found for _, unit in out][50:]
    waits = after.index(LOST)
    assert set(after[:waits]) == {LATE} and 300 <= waits * 20 <= 400
    assert set(after[waits:]) == {LOST}


def test_a_hole_is_skipped_as_far_as_there_is_too_much_delay() -> None:
    buffer = JitterBuffer()
    for n in (0, 12):
        buffer.push_packet(n, FIRST + n * 960, packet(n), n * 20.0, wait_ms=0.0)
    assert number(not_none(buffer.fetch_frame(300.0, urgent=False))) == 0
    unit = buffer.fetch_frame(300.0, urgent=False, excess_ms=100.0)
    assert unit is not None and unit.timestamp == FIRST + (1 + 5) * 960
    rest = [buffer.fetch_frame(300.0, urgent=False) for _ in range(6)]
    assert [u.found for u in rest if u] == [LOST] * 5 + [PACKET]


def test_a_new_stream_starts_anew_and_one_stray_packet_does_not() -> None:
    buffer, _ = run([(i * 20.0, i) for i in range(50)], 1000)
    assert buffer.push_packet(7, 123, b"stray", 1005.0) is None
    buffer.push_packet(50, FIRST + 50 * 960, packet(50), 1010.0)
    assert number(not_none(buffer.fetch_frame(1020.0, urgent=False))) == 50
    for i in range(20):
        buffer.push_packet(500 + i, 3_000_000_000 + i * 960, packet(1000 + i), 1040.0 + i * 20, wait_ms=40.0)
        out = buffer.fetch_frame(1040.0 + i * 20, urgent=True)
        assert out is not None and (out.found is LATE or i > 2)
    assert buffer.restarts == 2 and out is not None and (number(out) or 0) > 1010


def test_a_longer_link_is_accepted() -> None:
    """Every packet a second later than before: speech goes on after a moment."""
    _, out = run([(i * 20.0 + (1000.0 if i >= 50 else 0), i) for i in range(300)], 6800, urgent=True)
    assert set(range(60, 290)) <= set(played(out))


def test_a_lost_packet_of_two_frames_is_two_lost_units_and_no_silence() -> None:
    buffer, found = JitterBuffer(), []
    for n in range(40):
        if n in (10, 11, 25):
            continue
        for index in (0, 1):
            frame = 2 * n + index
            buffer.push_packet(n, FIRST + frame * 960, packet(frame), n * 40.0, wait_ms=0.0, packet_frames=2)
        while (unit := buffer.fetch_frame(n * 40.0 + 30.0, urgent=False)) is not None:
            found.append(unit)
    lost = [i for i, unit in enumerate(found) if unit.found is LOST]
    assert lost == [20, 21, 22, 23, 50, 51]
    assert {unit.found for unit in found} == {PACKET, LOST}
    assert [found[i].following for i in lost] == [None, None, None, packet(24), None, packet(52)]


def test_memory_is_bounded() -> None:
    buffer = JitterBuffer()
    for i in range(100_000):
        buffer.push_packet(i & 0xFFFF, i * 7 & 0xFFFFFFFF, b"x", i * 0.1)
    assert buffer.waiting <= 64


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.3), st.floats(0, 300), st.floats(0, 55), st.integers(0, (1 << 32) - 1))
def test_any_weather(seed: int, loss: float, late: float, jitter: float, first: int) -> None:
    """Never a packet twice or backwards, never a timestamp twice; all are played, discarded or still here."""
    rng = random.Random(seed)
    begin = rng.randrange(30, 100)
    arrivals = []
    for i in range(200):
        held = late if begin <= i < begin + 15 else 0.0
        if rng.random() >= loss:
            arrivals.append((i * 20.0 + held + rng.uniform(0, jitter), i))
    buffer, out = run(arrivals, 6000, first=first, urgent=True)
    numbers = played(out)
    assert numbers == sorted(set(numbers))
    stamps = [unit.timestamp for _, unit in out if unit.timestamp is not None]
    assert stamps == sorted(set(stamps))
    assert len(numbers) + buffer.packets_discarded + buffer.waiting == len(arrivals)
