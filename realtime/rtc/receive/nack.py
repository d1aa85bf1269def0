"""Decide which lost video packets to ask for again, and when (generic NACK, RFC 4585, 6.2.1). Pure.

aiortc asks for a lost packet once; where the request or its answer is lost too, the picture stands still until a
keyframe. Here a request is repeated by time until the packet arrives or is not needed any more.
"""

from dataclasses import dataclass

from realtime.serial import unwrap


@dataclass(frozen=True, slots=True)
class NackConfig:
    """Settings of the requests; times in ms.

    Attributes:
        reorder_packets: number of newer packets after which a missing packet counts as lost and not as reordered.
        reorder_ms: time after which it does so without them; packets of one path hardly ever overtake each other.
        retry_ms: least time between two requests for a packet.
        retry_extra_ms: time that a first request is given beyond the round trip.
        requests: greatest number of requests for a packet.
        forget_ms: time after which a missing packet is not asked for any more.
        capacity: greatest number of missing packets; a larger hole is not asked for, since only a keyframe helps.
        first_rtt_ms: round trip that is assumed before one is measured.
        max_rtt_ms: bound of a measured round trip.
    """

    reorder_packets: int = 2
    reorder_ms: float = 10.0
    retry_ms: float = 20.0
    retry_extra_ms: float = 5.0
    requests: int = 20
    forget_ms: float = 1_000.0
    capacity: int = 256
    first_rtt_ms: float = 50.0
    max_rtt_ms: float = 500.0


@dataclass(slots=True)
class _Hole:
    noticed_ms: float
    noticed_at: int  # highest sequence number then
    requests: int = 0
    first_ms: float = 0.0
    last_ms: float = 0.0


class NackTracker:
    """Follow the sequence numbers of one stream, which may wrap, repeat and be reordered; memory is bounded.

    Times are monotonic ms.

    Attributes:
        rtt_ms: round trip, measured from a request to the arrival of the packet.
        requested: number of requests made.
        recovered: number of requested packets that arrived.
    """

    def __init__(self, config: NackConfig | None = None) -> None:
        self._config = config or NackConfig()
        self.rtt_ms = self._config.first_rtt_ms
        self.requested = 0
        self.recovered = 0
        self._rtt_known = False
        self.reset()

    def reset(self) -> None:
        """Forget the stream (another SSRC), but not the round trip."""
        self._highest: int | None = None  # unwrapped
        self._holes: dict[int, _Hole] = {}  # by unwrapped number, rising

    @property
    def missing(self) -> int:
        """Number of packets that are known to be missing and still wanted."""
        return len(self._holes)

    def received(self, sequence: int, now_ms: float) -> None:
        """Note that a packet arrived, for the first time or again."""
        if self._highest is None:
            self._highest = sequence
            return
        number = unwrap(sequence, self._highest, 16)
        if number <= self._highest:
            self._recover(number, now_ms)
            return
        if number - self._highest > self._config.capacity:
            self._holes.clear()
        else:
            for hole in range(self._highest + 1, number):
                self._holes[hole] = _Hole(now_ms, number)
        self._highest = number
        self._forget(number - 2 * self._config.capacity)
        while len(self._holes) > self._config.capacity:
            del self._holes[next(iter(self._holes))]

    def due(self, now_ms: float) -> list[int]:
        """Return the sequence numbers to ask for now, in the order of the stream; they count as requested."""
        wanted = []
        for number, hole in list(self._holes.items()):
            if now_ms - hole.noticed_ms > self._config.forget_ms:
                del self._holes[number]
            elif self._is_due(hole, now_ms):
                hole.first_ms = hole.first_ms if hole.requests else now_ms
                hole.last_ms = now_ms
                hole.requests += 1
                wanted.append(number & 0xFFFF)
        self.requested += len(wanted)
        return wanted

    def forget_before(self, sequence: int) -> None:
        """Stop asking for packets before `sequence`, which are not waited for any more."""
        if self._highest is not None:
            self._forget(unwrap(sequence, self._highest, 16))

    def give_up(self) -> None:
        """Stop asking for everything that is missing now."""
        self._holes.clear()

    def _is_due(self, hole: _Hole, now_ms: float) -> bool:
        if hole.requests:
            wait_ms = self.rtt_ms + self._config.retry_extra_ms if hole.requests == 1 else self.rtt_ms / 2.0
            due = now_ms - hole.last_ms >= max(self._config.retry_ms, wait_ms)
            return due and hole.requests < self._config.requests
        newer = (self._highest or 0) - hole.noticed_at
        return newer >= self._config.reorder_packets or now_ms - hole.noticed_ms >= self._config.reorder_ms

    def _recover(self, number: int, now_ms: float) -> None:
        hole = self._holes.pop(number, None)
        if hole is None or not hole.requests:
            return
        self.recovered += 1
        sample_ms = min(max(0.0, now_ms - hole.first_ms), self._config.max_rtt_ms)
        if hole.requests == 1:
            self.rtt_ms = self.rtt_ms + (sample_ms - self.rtt_ms) / 8.0 if self._rtt_known else sample_ms
            self._rtt_known = True
        else:
            # Which request was answered is not known (RFC 6298, 3): the first one gives a bound from above, which
            # spaces the requests until one is answered that is alone.
            self.rtt_ms = max(self.rtt_ms, sample_ms) if not self._rtt_known else self.rtt_ms
            if sample_ms / hole.requests > self.rtt_ms:
                self.rtt_ms += (sample_ms - self.rtt_ms) / 8.0

    def _forget(self, before: int) -> None:
        for number in [n for n in self._holes if n < before]:
            del self._holes[number]
