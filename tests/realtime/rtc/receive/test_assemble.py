import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.rtc.receive.assemble import EncodedFrame, FrameAssembler, begins_keyframe

WRAP = 1 << 16


@dataclass(frozen=True)
class Fake:
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    data: bytes
    codec: str = "VP8"
    ssrc: int = 1


def stream(sizes: list[int], keys: set[int], first: int = 0) -> list[Fake]:
    """Make VP8 packets: frame i has sizes[i] packets and is a keyframe if i is in keys."""
    packets: list[Fake] = []
    for i, size in enumerate(sizes):
        for j in range(size):
            head = b"\x10" if j == 0 else b"\x00"
            data = bytes([0 if i in keys else 1, i % 256, j])
            packets.append(Fake((first + len(packets)) % 65536, 3000 * i, j == size - 1, head + data, data))
    return packets


def play(assembler: FrameAssembler, packets: list[Fake], step_ms: float = 10.0) -> list[EncodedFrame]:
    return [f for i, p in enumerate(packets) for f in assembler.add_packet(p, step_ms * i)]


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@settings(deadline=None)
@given(SIZES, st.integers(0, 65535))
def test_in_order_every_frame_comes_with_its_last_packet(sizes: list[int], first: int) -> None:
    assembler = FrameAssembler()
    for i, packet in enumerate(stream(sizes, {0}, first)):
        frames = assembler.add_packet(packet, 10.0 * i)
        assert [f.timestamp for f in frames] == ([packet.timestamp] if packet.marker else [])
    assert not assembler.pli_due(1e6)


@settings(deadline=None)
@given(SIZES, st.integers(0, 65535), st.integers())
def test_reordered_and_repeated_packets_give_the_same_frames(sizes: list[int], first: int, seed: int) -> None:
    packets = stream(sizes, {0}, first)
    rng = random.Random(seed)
    tail = packets[1:]
    shuffled = sorted(range(len(tail)), key=lambda i: i + rng.uniform(0, 6))
    mixed = [packets[0]] + [tail[i] for i in shuffled for _ in range(rng.choice((1, 1, 2)))]
    assert play(FrameAssembler(), mixed, 1.0) == play(FrameAssembler(), packets, 1.0)


@settings(deadline=None)
@given(SIZES, st.sets(st.integers(0, 150)), st.sets(st.integers(0, 39)))
def test_whatever_is_lost_no_frame_is_given_without_its_references(
    sizes: list[int], lost: set[int], keys: set[int]
) -> None:
    packets = stream(sizes, keys)
    frames = play(FrameAssembler(), [p for p in packets if p.sequence not in lost], 40.0)
    numbers = [f.timestamp // 3000 for f in frames]
    assert numbers == sorted(set(numbers))
    previous = None
    for number in numbers:
        assert number in keys or number - 1 == previous
        previous = number


def test_a_lost_packet_costs_until_the_next_keyframe_and_asks_for_it() -> None:
    packets = stream([2] * 30, {0, 20})
    assembler = FrameAssembler(gap_ms=100)
    given, asked = [], []
    for i, packet in enumerate(packets):
        if i == 11:
            continue
        given += [f.timestamp // 3000 for f in assembler.add_packet(packet, 20.0 * i)]
        if assembler.pli_due(20.0 * i):
            asked.append(i)
    assert given == [0, 1, 2, 3, 4, *range(20, 30)]
    assert asked and 11 + 5 <= asked[0] <= 11 + 8
    assert all(b - a >= 15 for a, b in zip(asked, asked[1:], strict=False))


def test_a_retransmission_in_time_repairs_everything() -> None:
    packets = stream([2] * 10, {0})
    late = packets[:5] + packets[6:9] + [packets[5]] + packets[9:]
    frames = play(FrameAssembler(gap_ms=100), late, 10.0)
    assert [f.timestamp // 3000 for f in frames] == list(range(10))


def test_a_decoder_error_waits_for_a_keyframe() -> None:
    assembler = FrameAssembler()
    packets = stream([1] * 10, {0, 6})
    assert len(play(assembler, packets[:3])) == 3
    assembler.lost_reference()
    assert [f.timestamp // 3000 for f in play(assembler, packets[3:])] == [6, 7, 8, 9]


def test_memory_is_bounded_and_another_ssrc_begins_anew() -> None:
    assembler = FrameAssembler(capacity=64)
    play(assembler, [Fake(i, i, False, b"\x00\x01", b"\x01") for i in range(1, 5000)])
    assert len(assembler._packets) <= 64
    other = [Fake(p.sequence, p.timestamp, p.marker, p.payload, p.data, ssrc=2) for p in stream([1, 1], {0}, 9)]
    assert len(play(assembler, other)) == 2


def test_keyframes_are_recognised() -> None:
    def h264(data: bytes) -> Fake:
        return Fake(0, 0, True, b"", data, codec="H264")

    assert begins_keyframe(h264(b"\0\0\0\1\x67rest")) and begins_keyframe(h264(b"\0\0\0\1\x65rest"))
    assert not begins_keyframe(h264(b"\0\0\0\1\x41rest")) and not begins_keyframe(h264(b"rest"))
    assert not begins_keyframe(Fake(0, 0, True, b"\x00\x00", b"\x00"))  # a later packet of a frame
    assert not begins_keyframe(Fake(0, 0, True, b"", b""))


def test_waiting_ends_without_a_further_packet_and_follows_the_round_trip() -> None:
    packets = stream([1] * 10, {0})
    for rtt_ms, gap_ms in ((5.0, 120.0), (40.0, 180.0), (300.0, 300.0)):
        assembler = FrameAssembler(rtt_ms=rtt_ms)
        play(assembler, packets[:3] + packets[4:6], 0.0)
        assembler.poll(gap_ms)
        assert not assembler.needs_keyframe and not assembler.pli_due(gap_ms)
        assembler.poll(gap_ms + 1.0)
        assert assembler.needs_keyframe
        asked = [t for t in range(0, 2000, 10) if assembler.pli_due(gap_ms + t)]
        assert asked[0] <= 300 and set(b - a for a, b in zip(asked, asked[1:], strict=False)) == {300}


def test_pli_goes_on_until_a_keyframe_came() -> None:
    assembler = FrameAssembler()
    play(assembler, stream([1] * 3, {0}))
    assembler.lost_reference()
    assert [t for t in range(0, 1000, 20) if assembler.pli_due(1000.0 + t)] == [0, 300, 600, 900]
    key = stream([1], {0}, 3)
    assert len(assembler.add_packet(key[0], 2000.0)) == 1
    assert not assembler.pli_due(9e9)


def test_a_second_hole_is_not_given_more_time_by_the_repair_of_the_first() -> None:
    packets = stream([1] * 12, {0})
    assembler = FrameAssembler(gap_ms=100.0)
    for i in (0, 1, 3, 5):  # 2 and 4 are lost
        assembler.add_packet(packets[i], 10.0 * i)
    assembler.add_packet(packets[2], 140.0)
    assembler.poll(151.0)
    assert assembler.needs_keyframe  # 4 was missed since 50 ms


def test_padding_and_missing_markers_hold_nothing_up() -> None:
    packets = stream([2, 1, 1, 1, 1], {0})
    no_marker = Fake(packets[2].sequence, packets[2].timestamp, False, packets[2].payload, packets[2].data)
    padding = Fake(packets[3].sequence, packets[2].timestamp, False, b"", b"")
    frames = play(FrameAssembler(), [*packets[:2], no_marker, padding, *packets[4:]])
    assert [f.timestamp // 3000 for f in frames] == [0, 1, 3, 4]


@settings(deadline=None)
@given(st.integers(), st.floats(0, 0.6), st.floats(0, 250), st.integers(0, WRAP - 1))
def test_no_lag_lasts_after_any_loss_jitter_and_reordering(seed: int, loss: float, jitter: float, first: int) -> None:
    """Disturb 1200 ms, answer each PLI with a keyframe 50 ms later: soon frames come with their last packet again."""
    rng = random.Random(seed)
    assembler, now = FrameAssembler(), 0.0
    wire: list[tuple[float, Fake]] = []
    ready: dict[int, float] = {}
    shown: dict[int, float] = {}
    number, key_at = first, None
    for frame in range(100):
        key = frame == 0 or (key_at is not None and 40.0 * frame >= key_at)
        key_at = None if key else key_at
        size = rng.randint(1, 4)
        for j in range(size):
            delay, fate = (rng.uniform(0, jitter), rng.random()) if frame < 30 else (5.0, 1.0)
            data = bytes([0 if key else 1, frame % 256, j])
            packet = Fake(number % WRAP, 3000 * frame, j == size - 1, (b"\x10" if j == 0 else b"\x00") + data, data)
            number += 1
            if fate >= loss:
                wire.append((40.0 * frame + delay, packet))
        while now < 40.0 * (frame + 1):
            now += 5.0
            for at, packet in sorted((w for w in wire if w[0] <= now), key=lambda w: w[0]):
                wire.remove((at, packet))
                ready[packet.timestamp // 3000] = now
                for out in assembler.add_packet(packet, now):
                    shown[out.timestamp // 3000] = now
            for out in assembler.poll(now):
                shown[out.timestamp // 3000] = now
            if assembler.pli_due(now):
                key_at = now + 50.0
    settled = range(30 + 15, 99)  # the last disturbance, a gap's waiting and a PLI's interval later
    assert all(shown.get(frame) == ready[frame] for frame in settled)
    assert len(assembler._packets) <= 4


@settings(deadline=None)
@given(st.integers(150, 30_000), st.integers(0, 65535))
def test_one_packet_of_a_wild_number_does_not_shut_the_stream_out(ahead: int, first: int) -> None:
    assembler = FrameAssembler()
    wild = stream([1], {0}, (first + ahead) % 65536)
    packets = stream([2] * 40, {0, 15}, first)
    found = play(assembler, packets[:2] + wild + packets[2:])
    assert [frame.timestamp for frame in found][-25:] == [3000 * i for i in range(15, 40)], "back with a keyframe"


def test_old_packets_that_are_sent_again_beside_new_ones_begin_nothing_anew() -> None:
    assembler = FrameAssembler()
    packets = stream([2] * 150, {0})
    found = play(assembler, packets[:250])
    again = [packet for pair in zip(packets[:40], packets[250:290], strict=True) for packet in pair]
    found += play(assembler, again)
    assert [frame.timestamp for frame in found] == [3000 * i for i in range(145)] and not assembler.needs_keyframe
