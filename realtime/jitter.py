"""Order, wait for and pace the speech packets of one caller.

Pure: no sockets, no decoder; times are arguments, in ms of one monotonic clock. aiortc's own audio buffer turns one
lost packet into 100 ms of silence and 200 ms of lasting delay; here a lost packet costs its own 20 ms and nothing else.
Counter names are those of W3C webrtc-stats (RTCInboundRtpStreamStats).
"""

from collections import deque
from dataclasses import dataclass

from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES

_PER_MS = AUDIO_RATE // 1000
_MOST_PACKETS = 64


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Set the delays in ms.

    Attributes:
        target_ms: media held back before a block is played; what reordering and jitter may use up.
        max_ms: a late burst may raise the delay to this; what is later still is thrown away.
        remove_every: while someone speaks, at most one block in so many is removed to come back to the target.
        jump_ms: a timestamp this far from where it should be starts a new stream (new SSRC, restarted sender).
        late_run: so many packets in a row that all came too late start a new stream too.
    """

    target_ms: float = 60.0
    max_ms: float = 400.0
    remove_every: int = 10
    jump_ms: float = 2000.0
    late_run: int = 5

    def __post_init__(self) -> None:
        """Refuse delays that make no sense."""
        if not BLOCK_MS <= self.target_ms < self.max_ms:
            raise ValueError(
                f"delays must satisfy {BLOCK_MS} <= target_ms < max_ms; got {self.target_ms}, {self.max_ms}"
            )
        if self.remove_every < 1 or self.late_run < 1:
            raise ValueError("remove_every and late_run must be at least 1")


@dataclass(frozen=True, slots=True)
class Playout:
    """Say what to play for the next 20 ms.

    Attributes:
        payload: the packet's payload; None means conceal.
        timestamp: RTP timestamp unwrapped past 32 bits (its low 32 bits are the packet's); None before the first packet
            is due, and while playout waits for late packets and stands still in the caller's time.
    """

    payload: bytes | None
    timestamp: int | None


@dataclass(slots=True)
class JitterStats:
    """Count since the start; samples at 48 kHz, `jitterBufferDelay` in seconds summed over emitted samples (W3C)."""

    jitterBufferDelay: float = 0.0
    jitterBufferEmittedCount: int = 0
    concealedSamples: int = 0
    concealmentEvents: int = 0
    removedSamplesForAcceleration: int = 0
    packetsDiscarded: int = 0


@dataclass(frozen=True, slots=True)
class _Packet:
    payload: bytes
    arrival_ms: float
    silent: bool


def unwrap(value: int, near: int, bits: int) -> int:
    """Return the integer closest to `near` whose low `bits` bits are `value`."""
    span = 1 << bits
    return near + (value - near + span // 2) % span - span // 2


class PlayoutBuffer:
    """Take 20 ms packets in any order and give one block for every 20 ms of playout. Not thread-safe.

    A missing packet with later ones behind it is lost: 20 ms are concealed. With nothing behind it the link is late:
    playout stands still (concealing) until speech comes or the delay reaches `max_ms`, so that late speech is played
    late and not thrown away. Then the delay is worked off one block at a time, silent ones first. Holds at most
    64 packets.
    """

    def __init__(self, config: JitterConfig | None = None) -> None:
        self.config = config or JitterConfig()
        self.stats = JitterStats()
        self._packets: dict[int, _Packet] = {}
        self._cursor: int | None = None
        self._start_ms = 0.0
        self._highest = 0
        self._highest_arrival = 0.0
        self._stray: tuple[int, int] | None = None
        self._late = 0
        self._depths: deque[float] = deque(maxlen=self.config.remove_every)
        self._concealing = False

    @property
    def depth_ms(self) -> float:
        """Return how much media lies between the playout point and the end of the newest packet."""
        return 0.0 if self._cursor is None else max(0, self._highest + BLOCK_SAMPLES - self._cursor) / _PER_MS

    def push(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float, *, silent: bool = False) -> None:
        """Store a packet: 16-bit `sequence`, 32-bit RTP `timestamp`; `silent` marks one that may be removed unheard."""
        if self._cursor is None:
            self._restart(timestamp & 0xFFFFFFFF, arrival_ms)
        elif self._is_jump(timestamp, arrival_ms):
            if not self._second_stray(sequence, timestamp):
                return
            self._restart(unwrap(timestamp, self._highest, 32), arrival_ms)
        self._store(unwrap(timestamp, self._highest, 32), _Packet(payload, arrival_ms, silent))

    def _store(self, at: int, packet: _Packet) -> None:
        assert self._cursor is not None
        if at < self._cursor and packet.arrival_ms < self._start_ms:
            self._cursor = max(at, self._highest - int(self.config.target_ms * _PER_MS))
        if at + BLOCK_SAMPLES // 2 < self._cursor and not self._begin_anew(at, packet.arrival_ms):
            return
        if at in self._packets or len(self._packets) >= _MOST_PACKETS:
            self.stats.packetsDiscarded += 1
            return
        self._late = 0
        self._packets[at] = packet
        if at >= self._highest:
            self._highest, self._highest_arrival = at, packet.arrival_ms
        self._trim()

    def pull(self, now_ms: float) -> Playout:
        """Return the next 20 ms; call once for every 20 ms of playout, with the time at which it is due."""
        if self._cursor is None or now_ms < self._start_ms:
            return Playout(None, None)
        self._shorten()
        found = self._next()
        if found is None:
            return self._starve(now_ms)
        self._depths.append(self.depth_ms)
        if found - self._cursor >= BLOCK_SAMPLES:
            return self._lose(found)
        return self._play(found, now_ms)

    def _next(self) -> int | None:
        return min(self._packets, default=None)

    def _play(self, at: int, now_ms: float) -> Playout:
        packet = self._packets.pop(at)
        self._cursor = at + BLOCK_SAMPLES
        self._concealing = False
        self.stats.jitterBufferDelay += max(0.0, now_ms - packet.arrival_ms) / 1000.0 * BLOCK_SAMPLES
        self.stats.jitterBufferEmittedCount += BLOCK_SAMPLES
        return Playout(packet.payload, at)

    def _lose(self, found: int) -> Playout:
        """Conceal one block of a hole; holes are skipped for free while the delay is above the target."""
        assert self._cursor is not None
        hole = (found - self._cursor) // BLOCK_SAMPLES
        excess = int((self.depth_ms - self.config.target_ms - BLOCK_MS) // BLOCK_MS)
        self._cursor += max(0, min(excess, hole - 1)) * BLOCK_SAMPLES
        at = self._cursor
        self._cursor += BLOCK_SAMPLES
        return self._conceal(at)

    def _starve(self, now_ms: float) -> Playout:
        """Wait for late packets; past the longest delay let the caller's time run on."""
        assert self._cursor is not None
        self._depths.append(0.0)
        behind = (self._highest - self._cursor) / _PER_MS + now_ms - self._highest_arrival + BLOCK_MS
        if behind < self.config.max_ms:
            return self._conceal(None)
        at = self._cursor
        self._cursor += BLOCK_SAMPLES
        return self._conceal(at)

    def _conceal(self, at: int | None) -> Playout:
        self.stats.concealedSamples += BLOCK_SAMPLES
        self.stats.concealmentEvents += not self._concealing
        self._concealing = True
        return Playout(None, at)

    def _shorten(self) -> None:
        """Remove the packet due now when the delay has long been above the target and this one may go."""
        at = self._next()
        limit = self.config.target_ms + 2 * BLOCK_MS
        full = len(self._depths) == self._depths.maxlen and min(self._depths) >= limit
        if at is None or at != self._cursor or not full or self.depth_ms < limit:
            return
        silent = self._packets[at].silent
        del self._packets[at]
        self._cursor = at + BLOCK_SAMPLES
        self.stats.removedSamplesForAcceleration += BLOCK_SAMPLES
        lower = [depth - BLOCK_MS for depth in self._depths]
        self._depths.clear()
        if silent:
            self._depths.extend(lower)

    def _trim(self) -> None:
        """Keep the delay under its limit, whatever was pushed."""
        assert self._cursor is not None
        if self.depth_ms <= self.config.max_ms + BLOCK_MS:
            return
        self._cursor = self._highest + BLOCK_SAMPLES - int(self.config.max_ms * _PER_MS)
        for at in [at for at in self._packets if at < self._cursor]:
            del self._packets[at]
            self.stats.packetsDiscarded += 1

    def _restart(self, unwrapped: int, arrival_ms: float) -> None:
        self.stats.packetsDiscarded += len(self._packets)
        self._packets.clear()
        self._depths.clear()
        self._cursor = self._highest = unwrapped
        self._highest_arrival = arrival_ms
        self._start_ms = arrival_ms + self.config.target_ms
        self._stray = None
        self._late = 0

    def _is_jump(self, timestamp: int, arrival_ms: float) -> bool:
        expected = self._highest + int((arrival_ms - self._highest_arrival) * _PER_MS)
        return abs(unwrap(timestamp, expected, 32) - expected) > self.config.jump_ms * _PER_MS

    def _second_stray(self, sequence: int, timestamp: int) -> bool:
        """Say whether this odd packet follows another like it; one alone is thrown away."""
        before, self._stray = self._stray, (sequence, timestamp)
        near = before is not None and abs(unwrap(timestamp, before[1], 32) - before[1]) <= self.config.jump_ms * _PER_MS
        if before is not None and near and before[0] != sequence:
            return True
        self.stats.packetsDiscarded += 1
        return False

    def _begin_anew(self, at: int, arrival_ms: float) -> bool:
        """Count a late packet; when nothing but late ones come the link has grown longer: start again with this one."""
        self._late += 1
        if self._late >= self.config.late_run and not self._packets:
            self._restart(at, arrival_ms)
            return True
        self.stats.packetsDiscarded += 1
        return False
