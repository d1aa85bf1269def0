"""Put an `ImpairedLink` between a peer connection and its socket, and count what passes."""

import asyncio
import contextlib
import heapq
import math
from collections import Counter
from dataclasses import dataclass, field

from aiortc import RTCPeerConnection

from realtime.clock import Clock
from realtime.rtc.aiortc_compat import Forward, intercept_send
from realtime.rtc.impair import IP_UDP_BYTES, ImpairedLink

BIN_MS = 100.0
MAX_IN_FLIGHT = 20_000


def datagram_kind(datagram: bytes) -> str:
    """Name a datagram (RFC 7983): "rtp-<payload type>" (SRTP leaves the header in clear), "rtcp", "dtls" or "other"."""
    if len(datagram) < 2:
        return "other"
    if 20 <= datagram[0] <= 63:
        return "dtls"
    if 128 <= datagram[0] <= 191:
        # RFC 5761: payload types 64 to 95 are RTCP's.
        payload_type = datagram[1] & 0x7F
        return "rtcp" if 64 <= payload_type <= 95 else f"rtp-{payload_type}"
    return "other"


@dataclass
class LinkCounters:
    """Count bytes (IP and UDP headers included) per 100 ms bin of the trace's time and kind of datagram.

    Keys are `(bin, kind)` with `bin = floor(t_ms / 100)`; delivered bytes are counted in the bin of their arrival.
    """

    offered: Counter[tuple[int, str]] = field(default_factory=Counter)
    delivered: Counter[tuple[int, str]] = field(default_factory=Counter)
    dropped: Counter[tuple[int, str]] = field(default_factory=Counter)

    def series_kbps(self, counter: Counter[tuple[int, str]], kinds: set[str] | None = None) -> list[float]:
        """Return the rate in kbit/s per bin from 0 on, of `kinds` or of all."""
        if not counter:
            return []
        bits = [0.0] * (max(number for number, _ in counter) + 1)
        for (number, kind), count in counter.items():
            if number >= 0 and (kinds is None or kind in kinds):
                bits[number] += count * 8
        return [value / BIN_MS for value in bits]


class ImpairedSend:
    """Impair what one peer connection sends, from `start` to `close`; for both directions make one for each end.

    Belongs to one event loop. One task carries the datagrams; it ends with `close`.
    """

    def __init__(self, pc: RTCPeerConnection, link: ImpairedLink, clock: Clock, *, zero_ms: float) -> None:
        self._link = link
        self._clock = clock
        self._zero_ms = zero_ms
        self._heap: list[tuple[float, int, bytes, Forward]] = []
        self._count = 0
        self._wake = asyncio.Event()
        self.counters = LinkCounters()
        self._undo = intercept_send(pc, self._hook)
        self._task = asyncio.create_task(self._carry())

    async def close(self) -> None:
        """Stop impairing: later datagrams pass at once, those on the link are lost. Idempotent."""
        self._undo()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._heap.clear()

    def _hook(self, datagram: bytes, forward: Forward) -> None:
        now_ms = self._clock.now_ms() - self._zero_ms
        kind = datagram_kind(datagram)
        size = len(datagram) + IP_UDP_BYTES
        self.counters.offered[_bin(now_ms), kind] += size
        arrival_ms = self._link.send(max(0.0, now_ms), len(datagram))
        if arrival_ms is None or len(self._heap) >= MAX_IN_FLIGHT:
            self.counters.dropped[_bin(now_ms), kind] += size
            return
        heapq.heappush(self._heap, (arrival_ms, self._count, datagram, forward))
        self._count += 1
        self._wake.set()

    async def _carry(self) -> None:
        while True:
            self._wake.clear()
            if not self._heap:
                await self._wake.wait()
                continue
            wait_ms = self._heap[0][0] - (self._clock.now_ms() - self._zero_ms)
            if wait_ms > 0.0:
                # Woken early when an earlier datagram (reordering) came in.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000.0):
                        await self._wake.wait()
                continue
            arrival_ms, _, datagram, forward = heapq.heappop(self._heap)
            self.counters.delivered[_bin(arrival_ms), datagram_kind(datagram)] += len(datagram) + IP_UDP_BYTES
            try:
                await forward(datagram)
            except ConnectionError:
                return  # the connection is closed; nothing can be delivered any more


def _bin(t_ms: float) -> int:
    return math.floor(t_ms / BIN_MS)
