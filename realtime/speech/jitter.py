"""Put the speech packets of one caller in order and tell a lost one from a late one and from silence.

Pure: no sockets, no decoder; times are arguments, in ms of one monotonic clock. Packets leave as soon as they are in
order, so that the lips hear them ahead; the delay comes after the decoder (realtime/speech/speechline.py). Only a hole
waits for its packet, until the sound is needed or the packet is later than reordering explains.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES
from realtime.serial import unwrap

MAX_WAIT_MS: Final = 400.0
"""Delay in ms up to which speech that is late is waited for; then the caller's time runs on without it."""
JUMP_MS: Final = 2000.0
"""Distance in ms of a timestamp from its expected place that begins a new stream (new SSRC, restarted sender)."""
_LATE_RUN: Final = 5
"""Packets in a row that all came too late, after which a new stream begins: the link has become longer."""
_MOST_PACKETS: Final = 64
_DTX_BYTES: Final = 2
"""Length in bytes up to which an Opus packet begins silence (DTX, RFC 7587 3.1.3)."""
_PER_MS: Final = AUDIO_RATE // 1000
_HALF_BLOCK: Final = BLOCK_SAMPLES // 2
"""Samples below which a distance between timestamps counts as none: after a pause (DTX, mute) a sender need not go on
at a multiple of 20 ms from where it stopped, so distances are rounded to whole blocks."""


class Found(Enum):
    """What the next 20 ms of the caller's sound are."""

    PACKET = "packet"
    LOST = "lost"
    """Sent, and not here in time."""
    SILENT = "silent"
    """Not sent: the sequence goes on and the timestamp does not (DTX, RFC 7587 3.1.3; mute)."""
    LATE = "late"
    """Not here, and nothing after it: the caller's time stands still in case it still arrives."""


@dataclass(frozen=True, slots=True)
class Frame20ms:
    """The next 20 ms of one stream.

    Attributes:
        found: what they are.
        timestamp: RTP timestamp unwrapped past 32 bits (the low 32 are the packet's); None while time stands still.
        payload: the packet's payload; None unless there is one.
        following: payload of the packet right after a lost one; it may hold the lost speech again (in-band FEC).
        arrival_ms: arrival time of the packet in ms; 0 without one.
    """

    found: Found
    timestamp: int | None
    payload: bytes | None = None
    following: bytes | None = None
    arrival_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _Packet:
    sequence: int
    payload: bytes
    arrival_ms: float
    frames: int


@dataclass(frozen=True, slots=True)
class _Newest:
    """The packet with the highest timestamp so far.

    Attributes:
        timestamp: its RTP timestamp, unwrapped.
        sequence: its sequence number, unwrapped.
        arrival_ms: its arrival time in ms.
    """

    timestamp: int = 0
    sequence: int = 0
    arrival_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of the cursor in the order of sequence numbers.

    Attributes:
        sequence: unwrapped number of the last packet that the cursor has passed completely.
        frames: frames of the lost packet after it that the cursor has passed.
    """

    sequence: int = 0
    frames: int = 0


class JitterBuffer:
    """A buffer that takes 20 ms packets in any order and gives them in order; at most 64. Not thread-safe.

    A cursor runs over the stream's timestamps in steps of 20 ms; `fetch_frame` tells what lies at it and moves it on.
    """

    def __init__(self) -> None:
        self.packets_discarded = 0
        self.restarts = 0
        """Number of streams that have begun, the first one included."""
        self.cursor = 0
        """Unwrapped timestamp of the next 20 ms; means nothing before the first packet."""
        self._packets: dict[int, _Packet] = {}  # by unwrapped timestamp
        self._begun = False
        self._start_ms = 0.0
        self._place = _Place()
        self._newest = _Newest()
        self._stray: tuple[int, int] | None = None
        self._late_run = 0
        self._dtx = False

    @property
    def waiting(self) -> int:
        """Number of packets that are here and have not left."""
        return len(self._packets)

    def push_packet(
        self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float, *,
        wait_ms: float = 40.0, packet_frames: int = 1,
    ) -> int | None:  # fmt: skip
        """Store a frame of 20 ms: 16-bit `sequence` of its packet, its own 32-bit RTP `timestamp`.

        The first of a stream waits `wait_ms`. `packet_frames` says how many frames its packet held: that many are lost
        where such a packet is.

        Returns:
            The unwrapped timestamp; None when the packet is of no use.
        """
        if not self._begun:
            self._restart(sequence & 0xFFFF, timestamp & 0xFFFFFFFF, arrival_ms + wait_ms)
        elif self._is_jump(timestamp, arrival_ms):
            if not self._second_stray(sequence, timestamp):
                return None
            self._restart(sequence, unwrap(timestamp, self._newest.timestamp, 32), arrival_ms + wait_ms)
        at = unwrap(timestamp, self._newest.timestamp, 32)
        packet = _Packet(unwrap(sequence, self._newest.sequence, 16), payload, arrival_ms, packet_frames)
        return at if self._store(at, packet, wait_ms) else None

    def fetch_frame(
        self, now_ms: float, *, urgent: bool, reorder_ms: float = 20.0, excess_ms: float = 0.0
    ) -> Frame20ms | None:
        """Return the next 20 ms if it is known what they are; call until None.

        Args:
            now_ms: the time.
            urgent: whether they are to be played now, so that without them something is made up.
            reorder_ms: how long a hole waits for its packet after the next one came.
            excess_ms: delay beyond the target; that much of a hole is skipped, which costs nothing and saves time.

        Returns:
            None while waiting is right, never when `urgent` and a stream has begun to play.
        """
        if not self._begun:
            return None
        if now_ms < self._start_ms:
            # Before the first stream nobody listens yet; a later one finds somebody who must hear something.
            return Frame20ms(Found.LATE, None) if urgent and self.restarts > 1 else None
        at = min(self._packets, default=None)
        if at is None:
            return self._starve(now_ms) if urgent else None
        if self._is_next(at):
            return self._play(at)
        # There is a hole before the oldest packet. Where sequence numbers go on over it, nothing was sent in it, and
        # waiting is of no use. Where they do not, packets of it are lost, or overtaken and still on their way: they
        # are waited for as long as reordering explains their absence.
        packet = self._packets[at]
        if packet.sequence - self._place.sequence <= 1:
            return self._pass(Found.SILENT, at, excess_ms)
        if not urgent and now_ms - packet.arrival_ms < reorder_ms:
            return None
        return self._pass(Found.LOST, at, excess_ms)

    def _is_next(self, at: int) -> bool:
        """Return whether no hole lies between the cursor and the packet at `at`."""
        return at - self.cursor < _HALF_BLOCK

    def _play(self, at: int) -> Frame20ms:
        packet = self._packets.pop(at)
        self.cursor = at + BLOCK_SAMPLES
        self._place = _Place(packet.sequence)
        self._dtx = len(packet.payload) <= _DTX_BYTES
        return Frame20ms(Found.PACKET, at, packet.payload, None, packet.arrival_ms)

    def _pass(self, found: Found, at: int, excess_ms: float) -> Frame20ms:
        """Pass 20 ms of a hole that ends at `at`, after skipping what is in excess; at least one block of it stays."""
        blocks = (at - self.cursor) // BLOCK_SAMPLES
        skipped = max(0, min(int(excess_ms // BLOCK_MS), blocks - 1))
        here = self.cursor + skipped * BLOCK_SAMPLES
        self.cursor = here + BLOCK_SAMPLES
        following = None
        if found is Found.LOST:
            self._count_lost(skipped + 1, self._packets[at])
            # In-band FEC repeats only the 20 ms right before its packet (RFC 6716, 2.1.7).
            following = self._packets[at].payload if self._is_next(at) else None
        return Frame20ms(found, here, None, following)

    def _count_lost(self, frames: int, after: _Packet) -> None:
        """Move the place over `frames` lost frames of the hole before `after`.

        How many frames a lost packet held is not known: as many as the packet after the hole. A hole may be longer
        than its packets, when the sender paused in it too: past the last missing sequence number the rest is silence.
        """
        passed = self._place.frames + frames
        packets = min(passed // after.frames, after.sequence - self._place.sequence - 1)
        self._place = _Place(self._place.sequence + packets, passed - packets * after.frames)

    def _starve(self, now_ms: float) -> Frame20ms:
        """Return what is to be done with nothing here: wait for late packets, or let the caller's time run on.

        It runs on in silence (DTX), which no packet ends until somebody speaks, and past the longest delay.
        """
        # How late the 20 ms at the cursor are by the end of this block, against the transit of the newest packet.
        behind_ms = (self._newest.timestamp - self.cursor) / _PER_MS + now_ms - self._newest.arrival_ms + BLOCK_MS
        if not self._dtx and behind_ms < MAX_WAIT_MS:
            return Frame20ms(Found.LATE, None)
        here = self.cursor
        self.cursor += BLOCK_SAMPLES
        return Frame20ms(Found.SILENT if self._dtx else Found.LOST, here)

    def _store(self, at: int, packet: _Packet, wait_ms: float) -> bool:
        if at < self.cursor and packet.arrival_ms < self._start_ms:
            # The very first packets may come out of order too.
            self.cursor = at
            self._place = _Place(min(self._place.sequence, packet.sequence - 1), self._place.frames)
        if at + _HALF_BLOCK < self.cursor and not self._begin_anew(at, packet, wait_ms):
            return False
        if at in self._packets or len(self._packets) >= _MOST_PACKETS:
            self.packets_discarded += 1
            return False
        self._late_run = 0
        self._packets[at] = packet
        if at >= self._newest.timestamp:
            self._newest = _Newest(at, packet.sequence, packet.arrival_ms)
        return True

    def _restart(self, sequence: int, unwrapped: int, start_ms: float) -> None:
        self.packets_discarded += len(self._packets)
        self._packets.clear()
        self.cursor = unwrapped
        self._place = _Place(sequence - 1)
        self._newest = _Newest(unwrapped, sequence, self._newest.arrival_ms)
        self._start_ms = start_ms
        self._stray = None
        self._late_run = 0
        self._dtx = False
        self._begun = True
        self.restarts += 1

    def _is_jump(self, timestamp: int, arrival_ms: float) -> bool:
        """Return whether a timestamp lies further from where it is expected than any delay explains."""
        expected = self._newest.timestamp + int((arrival_ms - self._newest.arrival_ms) * _PER_MS)
        return abs(unwrap(timestamp, expected, 32) - expected) > JUMP_MS * _PER_MS

    def _second_stray(self, sequence: int, timestamp: int) -> bool:
        """Return whether this odd packet follows another like it; one alone is thrown away (RFC 3550, A.1)."""
        before, self._stray = self._stray, (sequence, timestamp)
        near = before is not None and abs(unwrap(timestamp, before[1], 32) - before[1]) <= JUMP_MS * _PER_MS
        if before is not None and near and before[0] != sequence:
            return True
        self.packets_discarded += 1
        return False

    def _begin_anew(self, at: int, packet: _Packet, wait_ms: float) -> bool:
        """Count a late packet; return whether so many came in a row that the stream begins again with this one."""
        self._late_run += 1
        if self._late_run >= _LATE_RUN and not self._packets:
            self._restart(packet.sequence, at, packet.arrival_ms + wait_ms)
            return True
        self.packets_discarded += 1
        return False
