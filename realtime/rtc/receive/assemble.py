"""Assemble video packets into frames, without waiting long for a lost packet. Pure.

A frame is given as soon as its last packet is here. After a hole, frames are given again once the hole is filled, or
from the next keyframe on, because a decoder that lacks a reference shows garbage.
"""

from dataclasses import dataclass
from typing import Protocol

from realtime.serial import unwrap

# A picture leaves the node about 200 ms after it was taken: what is repaired by then is not late. A keyframe is large
# and as likely to lose packets: at 20 % loss and a round trip of 80 ms, asking for one after 200 ms costs 39 keyframes
# in 40 s and shows 946 of 1000 frames, after 300 ms 4 and 994 (simulation in test_repair.py, ten packets a keyframe).
MIN_GAP_MS = 120.0
MAX_GAP_MS = 300.0
GAP_ROUND_TRIPS = 4.0
GAP_EXTRA_MS = 20.0
GIVE_UP_MS = 1_000.0
PLI_INTERVAL_MS = 300.0
MISORDER = 100
"""A packet at most so many places behind the newest is late or repeated (RFC 3550, A.1)."""
RESTART = 16
"""Number of packets in a row from further back that mean that the sender has restarted its numbering."""


class Packet(Protocol):
    """A video packet as this file needs it; `realtime.rtc.aiortc.MediaPacket` is one."""

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
    """One complete encoded frame."""

    codec: str
    timestamp: int
    keyframe: bool
    data: bytes


def begins_keyframe(packet: Packet) -> bool:
    """Return whether the packet is the first of a keyframe (RFC 7741 for VP8, RFC 6184 for H.264)."""
    if packet.codec.upper() == "VP8":
        first_of_frame = len(packet.payload) > 0 and packet.payload[0] & 0x17 == 0x10
        return first_of_frame and len(packet.data) > 0 and packet.data[0] & 1 == 0
    # Depayloaded H.264 begins with a start code where a NAL unit begins; 7 is SPS, 5 an IDR slice.
    return packet.data[:4] == b"\x00\x00\x00\x01" and len(packet.data) > 4 and packet.data[4] & 0x1F in (5, 7)


class FrameAssembler:
    """Assemble one video stream; sequence numbers may wrap, repeat and come out of order. Bounded memory.

    After `gap_ms` of waiting for a hole, max(120, 4 round trips + 20), at most 300 ms, a keyframe is wanted; that
    leaves time for a request and its repetitions. After a second nothing but a keyframe helps. `rtt_ms` may be set at
    any time. Call `poll` every few ms, so that waiting ends without another packet.
    """

    def __init__(self, *, gap_ms: float | None = None, rtt_ms: float = 50.0, capacity: int = 512) -> None:
        """Start with a round trip of `rtt_ms`; wait `gap_ms` for a hole, or as long as the round trip asks for."""
        self._fixed_gap_ms = gap_ms
        self.rtt_ms = rtt_ms
        self._capacity = capacity
        self._pli_ms: float | None = None
        self._ssrc: int | None = None
        self._reset()

    def _reset(self) -> None:
        self._packets: dict[int, tuple[Packet, float]] = {}  # with the time of arrival
        self._highest: int | None = None
        self._next = 0
        self._need_keyframe = True
        self._overdue = False
        self._older: int | None = None  # the newest packet from before what is waited for
        self._older_run = 0

    @property
    def gap_ms(self) -> float:
        """How long a hole is waited for, in ms."""
        if self._fixed_gap_ms is not None:
            return self._fixed_gap_ms
        return min(MAX_GAP_MS, max(MIN_GAP_MS, GAP_ROUND_TRIPS * self.rtt_ms + GAP_EXTRA_MS))

    @property
    def next_sequence(self) -> int:
        """Sequence number (uint16) before which nothing is waited for."""
        return self._next & 0xFFFF

    @property
    def needs_keyframe(self) -> bool:
        """Whether a keyframe is wanted: no frame can be given before one, or a hole has been waited for too long."""
        return self._need_keyframe or self._overdue

    @property
    def lost(self) -> bool:
        """Whether no frame can be given before a keyframe, whatever else arrives."""
        return self._need_keyframe

    def lost_reference(self) -> None:
        """Give no more frames before a keyframe, because the decoder failed or a frame was thrown away."""
        self._need_keyframe = True

    def pli_due(self, now_ms: float) -> bool:
        """Return whether to ask for a keyframe now; at most once in max(300 ms, round trip) until one comes."""
        if not self.needs_keyframe or self._pli_ms is None:
            return False
        if now_ms - self._pli_ms < max(PLI_INTERVAL_MS, self.rtt_ms):
            return False
        self._pli_ms = now_ms
        return True

    def add_packet(self, packet: Packet, now_ms: float) -> list[EncodedFrame]:
        """Add a packet; return the frames that are complete now, in order."""
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._reset()
            self._pli_ms = now_ms  # a stream begins with a keyframe: give it time to arrive
        sequence = self._unwrap(packet.sequence)
        if sequence < self._next and not self._need_keyframe:
            if not self._restarts(sequence):
                return []
            self._reset()
            sequence = self._unwrap(packet.sequence)
        self._older_run = 0
        self._packets.setdefault(sequence, (packet, now_ms))
        if len(self._packets) > self._capacity:
            self._forget_before(max(self._packets) - self._capacity // 2)
            self._need_keyframe = True
        return self.poll(now_ms)

    def poll(self, now_ms: float) -> list[EncodedFrame]:
        """Advance the time; return the frames that are complete now."""
        frames = self._take_complete()
        since_ms = self._hole_since_ms()
        # The hole may still be filled before the keyframe arrives: whichever comes first ends the waiting.
        self._overdue = since_ms is not None and now_ms - since_ms > self.gap_ms
        if since_ms is not None and now_ms - since_ms > GIVE_UP_MS:
            self._need_keyframe = True
        return frames

    def _unwrap(self, sequence: int) -> int:
        if self._highest is None:
            self._highest = self._next = sequence
        unwrapped = unwrap(sequence, self._highest, 16)
        self._highest = max(self._highest, unwrapped)
        return unwrapped

    def _restarts(self, sequence: int) -> bool:
        """Return whether the sender has restarted its numbering; `sequence` is from before what is waited for.

        RFC 3550 (A.1) takes two packets in a row for that. Retransmissions come in a row as well, so more are needed,
        and only those from further back than late packets come from.
        """
        if self._next - sequence <= MISORDER:
            self._older_run = 0
        elif self._older_run > 0 and self._older is not None and sequence == self._older + 1:
            self._older_run += 1
        else:
            self._older_run = 1
        self._older = sequence
        return self._older_run >= RESTART

    def _take_complete(self) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        while True:
            while not self._need_keyframe and (end := self._end_of_frame(self._next)) is not None:
                frames += self._take(self._next, end)
            # With a complete keyframe after the hole, what is missing is not needed any more.
            if not (self._need_keyframe or self._hole_since_ms() is not None) or not self._jump_to_keyframe():
                return frames

    def _jump_to_keyframe(self) -> bool:
        for sequence in sorted(self._packets, reverse=True):
            if begins_keyframe(self._packets[sequence][0]) and self._end_of_frame(sequence) is not None:
                self._forget_before(sequence)
                self._next = sequence
                self._need_keyframe = False
                return True
        return False

    def _end_of_frame(self, start: int) -> int | None:
        if start not in self._packets:
            return None
        timestamp = self._packets[start][0].timestamp
        sequence = start
        while (entry := self._packets.get(sequence)) is not None:
            if entry[0].timestamp != timestamp:
                return sequence - 1  # a sender that sets no markers, or padding after the frame
            if entry[0].marker:
                return sequence
            sequence += 1
        return None

    def _take(self, start: int, end: int) -> list[EncodedFrame]:
        packets = [self._packets.pop(i)[0] for i in range(start, end + 1)]
        self._next = end + 1
        data = b"".join(packet.data for packet in packets)
        if not data:
            return []  # padding (RFC 3550, 5.1) that a sender probes the link with
        return [EncodedFrame(packets[0].codec, packets[0].timestamp, begins_keyframe(packets[0]), data)]

    def _hole_since_ms(self) -> float | None:
        """Return since when a packet has been missing that a later one has overtaken, in ms; None without one."""
        if self._need_keyframe or not self._packets or max(self._packets) - self._next + 1 == len(self._packets):
            return None
        hole = self._next
        while hole in self._packets:
            hole += 1
        return min(arrival_ms for sequence, (_, arrival_ms) in self._packets.items() if sequence > hole)

    def _forget_before(self, sequence: int) -> None:
        for old in [i for i in self._packets if i < sequence]:
            del self._packets[old]
