"""Put video packets together into frames: complete ones at their marker, never waiting long for a lost packet.

Pure. A frame is given as soon as its last packet is here. After a gap that was not repaired in `gap_ms`, frames are
given again from the next keyframe on, because a decoder that misses a reference shows garbage.
"""

from dataclasses import dataclass
from typing import Protocol

WRAP = 1 << 16


class Packet(Protocol):
    """What is needed of a video packet; `realtime.rtc.aiortc_compat.MediaPacket` is one."""

    @property
    def codec(self) -> str:
        """Codec name, "VP8" or "H264"."""

    @property
    def ssrc(self) -> int:
        """Stream."""

    @property
    def sequence(self) -> int:
        """RTP sequence number, uint16."""

    @property
    def timestamp(self) -> int:
        """RTP timestamp, uint32."""

    @property
    def marker(self) -> bool:
        """Whether it ends its frame."""

    @property
    def payload(self) -> bytes:
        """RTP payload."""

    @property
    def data(self) -> bytes:
        """Payload without the payload descriptor, in the form that the decoder takes."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """Hold one complete encoded frame."""

    codec: str
    timestamp: int
    keyframe: bool
    data: bytes


def begins_keyframe(packet: Packet) -> bool:
    """Tell whether the packet is the first of a keyframe (RFC 7741 for VP8, RFC 6184 for H.264)."""
    if packet.codec.upper() == "VP8":
        first_of_frame = len(packet.payload) > 0 and packet.payload[0] & 0x17 == 0x10
        return first_of_frame and len(packet.data) > 0 and packet.data[0] & 1 == 0
    # Depayloaded H.264 begins with a start code where a NAL unit begins; 7 is SPS, 5 an IDR slice.
    return packet.data[:4] == b"\x00\x00\x00\x01" and len(packet.data) > 4 and packet.data[4] & 0x1F in (5, 7)


class FrameAssembler:
    """Assemble one video stream; sequence numbers may wrap, repeat and come out of order. Bounded memory."""

    def __init__(self, *, gap_ms: float = 120.0, pli_interval_ms: float = 300.0, capacity: int = 512) -> None:
        self._gap_ms = gap_ms
        self._pli_interval_ms = pli_interval_ms
        self._capacity = capacity
        self._pli_ms: float | None = None
        self._ssrc: int | None = None
        self._reset()
        self.frames_lost = 0

    def _reset(self) -> None:
        self._packets: dict[int, Packet] = {}
        self._highest: int | None = None
        self._next = 0
        self._need_keyframe = True
        self._gap_since_ms: float | None = None

    def lost_reference(self) -> None:
        """Give nothing more before a keyframe: the decoder failed, or a frame was thrown away."""
        self._need_keyframe = True

    def pli_due(self, now_ms: float) -> bool:
        """Tell whether to ask for a keyframe now; at most once per `pli_interval_ms`."""
        if not self._need_keyframe or self._pli_ms is None or now_ms - self._pli_ms < self._pli_interval_ms:
            return False
        self._pli_ms = now_ms
        return True

    def add(self, packet: Packet, now_ms: float) -> list[EncodedFrame]:
        """Take in a packet; return the frames, in order, that are complete now."""
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._reset()
            self._pli_ms = now_ms  # a stream begins with a keyframe: give it time before asking for one
        sequence = self._unwrap(packet.sequence)
        if not self._need_keyframe and sequence < self._next:
            return []
        self._packets[sequence] = packet
        if len(self._packets) > self._capacity:
            self._forget_before(max(self._packets) - self._capacity // 2)
            self._need_keyframe = True
        frames = self._take_complete()
        self._watch_gap(now_ms)
        if self._need_keyframe and not frames:
            frames = self._take_complete()
        return frames

    def _unwrap(self, sequence: int) -> int:
        if self._highest is None:
            self._highest = sequence
        unwrapped = self._highest + (sequence - self._highest + WRAP // 2) % WRAP - WRAP // 2
        self._highest = max(self._highest, unwrapped)
        return unwrapped

    def _take_complete(self) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        if self._need_keyframe or self._gap_since_ms is not None:
            self._jump_to_keyframe()
        while not self._need_keyframe and (end := self._end_of_frame(self._next)) is not None:
            frames.append(self._take(self._next, end))
        return frames

    def _jump_to_keyframe(self) -> None:
        for sequence in sorted(self._packets, reverse=True):
            if begins_keyframe(self._packets[sequence]) and self._end_of_frame(sequence) is not None:
                if sequence != self._next:
                    self.frames_lost += 1
                self._forget_before(sequence)
                self._next = sequence
                self._need_keyframe = False
                self._gap_since_ms = None
                return

    def _end_of_frame(self, start: int) -> int | None:
        first = self._packets.get(start)
        if first is None:
            return None
        sequence = start
        while (packet := self._packets.get(sequence)) is not None and packet.timestamp == first.timestamp:
            if packet.marker:
                return sequence
            sequence += 1
        return None

    def _take(self, start: int, end: int) -> EncodedFrame:
        packets = [self._packets.pop(i) for i in range(start, end + 1)]
        self._next = end + 1
        self._gap_since_ms = None
        data = b"".join(packet.data for packet in packets)
        return EncodedFrame(packets[0].codec, packets[0].timestamp, begins_keyframe(packets[0]), data)

    def _watch_gap(self, now_ms: float) -> None:
        if self._need_keyframe or not self._packets:
            self._gap_since_ms = None
            return
        if max(self._packets) - self._next + 1 == len(self._packets):
            self._gap_since_ms = None  # all here, the frame is only not finished
        elif self._gap_since_ms is None:
            self._gap_since_ms = now_ms
        elif now_ms - self._gap_since_ms > self._gap_ms:
            self._need_keyframe = True

    def _forget_before(self, sequence: int) -> None:
        for old in [i for i in self._packets if i < sequence]:
            del self._packets[old]
