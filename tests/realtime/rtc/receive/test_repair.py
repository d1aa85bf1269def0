import random
from dataclasses import dataclass

import pytest

from realtime.rtc.aiortc import MediaPacket
from realtime.rtc.receive.assemble import FrameAssembler
from realtime.rtc.receive.nack import NackConfig, NackTracker
from realtime.rtc.receive.repair import SILENCE_MS, VideoRepair


def packet_of(sequence: int, frame: int, marker: bool, head: bytes, data: bytes, ssrc: int = 1) -> MediaPacket:
    return MediaPacket("VP8", ssrc, sequence, 3000 * frame, marker, head + data, data)


ONCE = NackConfig(requests=1)


@dataclass
class Outcome:
    shown: int
    worst_gap_ms: float
    keyframes: int
    lag_ms: float


def call(loss: float, config: NackConfig | None = None, *, rtt_ms: float = 30.0, seconds: float = 40.0) -> Outcome:
    """Send 25 frames a second of three packets (a keyframe: ten) with `loss` both ways; serve NACK and PLI."""
    rng = random.Random(7)
    repair = VideoRepair(FrameAssembler(), NackTracker(config))
    to_node: list[tuple[float, MediaPacket]] = []
    to_caller: list[tuple[float, str, int]] = []
    sent: dict[int, MediaPacket] = {}
    ready: dict[int, float] = {}
    shown: list[tuple[float, int]] = []
    key_wanted, keyframes, frames = True, 0, int(seconds * 25)
    way_ms = rtt_ms / 2.0

    def send(packet: MediaPacket, now: float) -> None:
        if rng.random() >= loss:
            to_node.append((now + way_ms, packet))

    for step in range(int(seconds * 200)):
        now = 5.0 * step
        if step % 8 == 0 and step // 8 < frames:
            frame, size = step // 8, 10 if key_wanted else 3
            for j in range(size):
                data = bytes([0 if key_wanted else 1, frame % 256, j])
                head = b"\x10" if j == 0 else b"\x00"
                packet = packet_of(len(sent) % 65536, frame, j == size - 1, head, data)
                sent[len(sent)] = packet
                send(packet, now)
            keyframes, key_wanted = keyframes + key_wanted, False
        for at, what, number in [m for m in to_caller if m[0] <= now]:
            to_caller.remove((at, what, number))
            if what == "pli":
                key_wanted = True
            else:
                send(sent[number], now)
        done = []
        for at, packet in [m for m in to_node if m[0] <= now]:
            to_node.remove((at, packet))
            ready[packet.timestamp] = now
            done += repair.add_packet(packet, now)
        if repair.pending(now):
            done += repair.poll(now)
            asks = [("nack", n) for n in repair.requests(now)] + [("pli", 0)] * repair.keyframe_due(now)
            to_caller += [(now + way_ms, *ask) for ask in asks if rng.random() >= loss]
        shown += [(now, frame.timestamp) for frame in done]
    times = [at for at, _ in shown]
    lag = max(at - ready[timestamp] for at, timestamp in shown[-3:])
    gap = max(b - a for a, b in zip(times, times[1:], strict=False))
    return Outcome(len(shown), gap, keyframes, lag)


def test_a_clean_link_needs_nothing() -> None:
    assert call(0.0) == Outcome(1000, 40.0, 1, 0.0)


@pytest.mark.parametrize(("loss", "share", "gap_ms"), [(0.05, 0.99, 250.0), (0.2, 0.97, 450.0)])
def test_repeated_requests_keep_the_picture_going(loss: float, share: float, gap_ms: float) -> None:
    repaired, once = call(loss), call(loss, ONCE)
    assert repaired.shown >= share * 1000 and repaired.worst_gap_ms <= gap_ms
    assert repaired.shown > once.shown and repaired.keyframes < once.keyframes / 2


def test_a_paused_sender_is_left_alone() -> None:
    repair = VideoRepair()
    repair.add_packet(packet_of(5, 0, True, b"\x10", b"\x01"), 1000.0)
    assert repair.pending(1000.0) and not repair.keyframe_due(1100.0) and repair.keyframe_due(1300.0)
    assert not repair.pending(1000.0 + SILENCE_MS) and not repair.keyframe_due(1000.0 + SILENCE_MS)


def test_what_no_keyframe_needs_is_not_asked_for() -> None:
    repair = VideoRepair(FrameAssembler(gap_ms=60.0))
    packets = [packet_of(i, i, True, b"\x10", bytes([i > 0])) for i in range(10)]
    for i in (0, 1, 3, 4, 5):
        repair.add_packet(packets[i], 10.0 * i)
    assert repair.requests(50.0) == [2]
    repair.poll(200.0)
    assert repair.assembler.needs_keyframe and repair.requests(200.0) == [2] and repair.keyframe_due(500.0)
    repair.lost_reference()
    assert repair.requests(300.0) == []
    repair.add_packet(packets[7], 510.0)
    assert repair.requests(530.0) == [6]  # it may belong to the keyframe
    repair.add_packet(packet_of(9, 9, True, b"\x10", b"\x00"), 540.0)
    assert not repair.assembler.needs_keyframe and repair.requests(600.0) == []
    repair.add_packet(packet_of(70, 0, True, b"\x10", b"\x00", ssrc=2), 610.0)
    assert repair.requests(700.0) == [] and repair.ssrc == 2


def test_a_hole_mended_late_is_as_good_as_the_keyframe_asked_for() -> None:
    repair = VideoRepair(FrameAssembler(gap_ms=60.0))
    packets = [packet_of(i, i, True, b"\x10", bytes([i > 0])) for i in range(10)]
    for i in (0, 1, 3, 4):
        repair.add_packet(packets[i], 10.0 * i)
    assert repair.poll(600.0) == [] and repair.keyframe_due(600.0)
    assert [frame.timestamp // 3000 for frame in repair.add_packet(packets[2], 700.0)] == [2, 3, 4]
    assert not repair.keyframe_due(2000.0) and not repair.pending(700.0)
