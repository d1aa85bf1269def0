"""Put the speech packets of one caller in order and tell a lost one from a late one and from silence.

Pure: no sockets, no decoder; times are arguments, in ms of one monotonic clock. Packets leave as soon as they are in
order, for the lips want to hear ahead; the delay lies behind the decoder (realtime/speech/speechline.py). Only a hole
waits for its packet, until the sound is needed or the packet is later than reordering explains.
"""

from dataclasses import dataclass
from enum import Enum

from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES
from realtime.serial import unwrap

_PER_MS = AUDIO_RATE // 1000
_MOST_PACKETS = 64
_DTX_BYTES = 2


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Set the limits; times in ms.

    Attributes:
        max_ms: speech that is late is waited for up to this delay; then the caller's time runs on without it.
        jump_ms: a timestamp this far from where it should be starts a new stream (new SSRC, restarted sender).
        late_run: so many packets in a row that all came too late start a new stream too.
    """

    max_ms: float = 400.0
    jump_ms: float = 2000.0
    late_run: int = 5

    def __post_init__(self) -> None:
        """Refuse limits that make no sense."""
        if self.max_ms < 2 * BLOCK_MS or self.jump_ms <= self.max_ms:
            raise ValueError(
                f"limits must satisfy {2 * BLOCK_MS} <= max_ms < jump_ms; got {self.max_ms}, {self.jump_ms}"
            )
        if self.late_run < 1:
            raise ValueError("late_run must be at least 1")


class Found(Enum):
    """Say what the next 20 ms of the caller's sound are."""

    PACKET = "packet"
    LOST = "lost"
    """Sent, and not here in time."""
    SILENT = "silent"
    """Not sent: the sequence goes on and the timestamp does not (DTX, RFC 7587 3.1.3; mute)."""
    LATE = "late"
    """Not here, and nothing after it: the caller's time stands still, in the hope that it comes."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Hold the next 20 ms.

    Attributes:
        found: what they are.
        timestamp: RTP timestamp unwrapped past 32 bits (the low 32 are the packet's); None while time stands still.
        payload: the packet's payload; None unless there is one.
        following: payload of the packet right after a lost one; it may hold the lost speech again (in-band FEC).
        arrival_ms: when the packet came; 0 without one.
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


class JitterBuffer:
    """Take 20 ms packets in any order, give the caller's sound in order. Holds at most 64 packets. Not thread-safe."""

    def __init__(self, config: JitterConfig | None = None) -> None:
        self.config = config or JitterConfig()
        self.packets_discarded = 0
        self.restarts = 0
        """How many streams have begun, the first one included."""
        self.cursor = 0
        """Unwrapped timestamp of the next 20 ms; means nothing before the first packet."""
        self._packets: dict[int, _Packet] = {}
        self._begun = False
        self._start_ms = 0.0
        self._sequence = 0
        """Unwrapped sequence number of the packet before the cursor,"""
        self._lost = 0
        """and how many frames of the lost one after it have been passed."""
        self._highest = 0
        self._highest_arrival = 0.0
        self._highest_sequence = 0
        self._stray: tuple[int, int] | None = None
        self._late = 0
        self._dtx = False

    @property
    def begun(self) -> bool:
        """Say whether a packet has come."""
        return self._begun

    @property
    def end_ms(self) -> float:
        """Return the RTP time of the end of the newest packet, in ms."""
        return (self._highest + BLOCK_SAMPLES) / _PER_MS

    def push(
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
            self._restart(sequence, unwrap(timestamp, self._highest, 32), arrival_ms + wait_ms)
        at = unwrap(timestamp, self._highest, 32)
        packet = _Packet(unwrap(sequence, self._highest_sequence, 16), payload, arrival_ms, packet_frames)
        return at if self._store(at, packet, wait_ms) else None

    def fetch(self, now_ms: float, *, urgent: bool, reorder_ms: float = 20.0, excess_ms: float = 0.0) -> Unit | None:
        """Return the next 20 ms if they are known; call until None.

        Args:
            now_ms: the time.
            urgent: they are to be played now: without them something is made up.
            reorder_ms: how long a hole waits for its packet after the next one came.
            excess_ms: delay beyond the target: so much of a hole is skipped, which costs nothing and wins time.

        Returns:
            None while waiting is right, never when `urgent` and a stream has begun to play.
        """
        if not self._begun:
            return None
        if now_ms < self._start_ms:
            # A later stream than the first finds somebody listening.
            return Unit(Found.LATE, None) if urgent and self.restarts > 1 else None
        at = min(self._packets, default=None)
        if at is None:
            return self._starve(now_ms) if urgent else None
        if at - self.cursor < BLOCK_SAMPLES // 2:
            return self._play(at)
        packet = self._packets[at]
        if packet.sequence - self._sequence <= 1:
            return self._pass(Found.SILENT, at, excess_ms)
        if not urgent and now_ms - packet.arrival_ms < reorder_ms:
            return None
        return self._pass(Found.LOST, at, excess_ms)

    def _play(self, at: int) -> Unit:
        packet = self._packets.pop(at)
        self.cursor = at + BLOCK_SAMPLES
        self._sequence, self._lost = packet.sequence, 0
        self._dtx = len(packet.payload) <= _DTX_BYTES
        return Unit(Found.PACKET, at, packet.payload, None, packet.arrival_ms)

    def _pass(self, found: Found, at: int, excess_ms: float) -> Unit:
        """Go over 20 ms of a hole that ends at `at`."""
        blocks = (at - self.cursor) // BLOCK_SAMPLES
        skipped = max(0, min(int(excess_ms // BLOCK_MS), blocks - 1))
        here = self.cursor + skipped * BLOCK_SAMPLES
        self.cursor = here + BLOCK_SAMPLES
        following = None
        if found is Found.LOST:
            after = self._packets[at]
            self._lost += skipped + 1
            # The packets of a hole are taken to be like the one after it.
            whole = min(self._lost // after.frames, after.sequence - self._sequence - 1)
            self._sequence, self._lost = self._sequence + whole, self._lost - whole * after.frames
            following = self._packets[at].payload if at - self.cursor < BLOCK_SAMPLES // 2 else None
        return Unit(found, here, None, following)

    def _starve(self, now_ms: float) -> Unit:
        """Nothing is here: wait for late packets; in silence, and past the longest delay, let time run on."""
        behind = (self._highest - self.cursor) / _PER_MS + now_ms - self._highest_arrival + BLOCK_MS
        if not self._dtx and behind < self.config.max_ms:
            return Unit(Found.LATE, None)
        here = self.cursor
        self.cursor += BLOCK_SAMPLES
        return Unit(Found.SILENT if self._dtx else Found.LOST, here)

    def _store(self, at: int, packet: _Packet, wait_ms: float) -> bool:
        if at < self.cursor and packet.arrival_ms < self._start_ms:
            # The very first packets may come out of order too.
            self.cursor, self._sequence = at, min(self._sequence, packet.sequence - 1)
        if at + BLOCK_SAMPLES // 2 < self.cursor and not self._begin_anew(at, packet, wait_ms):
            return False
        if at in self._packets or len(self._packets) >= _MOST_PACKETS:
            self.packets_discarded += 1
            return False
        self._late = 0
        self._packets[at] = packet
        if at >= self._highest:
            self._highest, self._highest_arrival = at, packet.arrival_ms
            self._highest_sequence = packet.sequence
        return True

    def _restart(self, sequence: int, unwrapped: int, start_ms: float) -> None:
        self.packets_discarded += len(self._packets)
        self._packets.clear()
        self.cursor = self._highest = unwrapped
        self._sequence, self._highest_sequence = sequence - 1, sequence
        self._lost = 0
        self._start_ms = start_ms
        self._stray = None
        self._late = 0
        self._dtx = False
        self._begun = True
        self.restarts += 1

    def _is_jump(self, timestamp: int, arrival_ms: float) -> bool:
        expected = self._highest + int((arrival_ms - self._highest_arrival) * _PER_MS)
        return abs(unwrap(timestamp, expected, 32) - expected) > self.config.jump_ms * _PER_MS

    def _second_stray(self, sequence: int, timestamp: int) -> bool:
        """Say whether this odd packet follows another like it; one alone is thrown away."""
        before, self._stray = self._stray, (sequence, timestamp)
        near = before is not None and abs(unwrap(timestamp, before[1], 32) - before[1]) <= self.config.jump_ms * _PER_MS
        if before is not None and near and before[0] != sequence:
            return True
        self.packets_discarded += 1
        return False

    def _begin_anew(self, at: int, packet: _Packet, wait_ms: float) -> bool:
        """Count a late packet; when nothing but late ones come the link has grown longer: start again with this one."""
        self._late += 1
        if self._late >= self.config.late_run and not self._packets:
            self._restart(packet.sequence, at, packet.arrival_ms + wait_ms)
            return True
        self.packets_discarded += 1
        return False
