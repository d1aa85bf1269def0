import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from realtime.rtc.assemble import EncodedFrame, FrameAssembler, begins_keyframe


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
    return [f for i, p in enumerate(packets) for f in assembler.add(p, step_ms * i)]


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@given(SIZES, st.integers(0, 65535))
def test_in_order_every_frame_comes_with_its_last_packet(sizes: list[int], first: int) -> None:
    assembler = FrameAssembler()
    for i, packet in enumerate(stream(sizes, {0}, first)):
        frames = assembler.add(packet, 10.0 * i)
        assert [f.timestamp for f in frames] == ([packet.timestamp] if packet.marker else [])
    assert not assembler.pli_due(1e6)


@given(SIZES, st.integers(0, 65535), st.integers())
def test_reordered_and_repeated_packets_give_the_same_frames(sizes: list[int], first: int, seed: int) -> None:
    packets = stream(sizes, {0}, first)
    rng = random.Random(seed)
    tail = packets[1:]
    shuffled = sorted(range(len(tail)), key=lambda i: i + rng.uniform(0, 6))
    mixed = [packets[0]] + [tail[i] for i in shuffled for _ in range(rng.choice((1, 1, 2)))]
    assert play(FrameAssembler(), mixed, 1.0) == play(FrameAssembler(), packets, 1.0)


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
        given += [f.timestamp // 3000 for f in assembler.add(packet, 20.0 * i)]
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
