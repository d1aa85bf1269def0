"""Put an `ImpairedLink` between a peer connection and its network, either way, and count what passes."""

import asyncio
import contextlib
import heapq
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiortc import RTCPeerConnection

from realtime.clock import Clock
from realtime.rtc.aiortc import Forward, intercept_receive, intercept_send
from realtime.rtc.badlink.link import IP_UDP_BYTES, ImpairedLink, LinkStep, LinkTrace

BIN_MS = 100.0
MAX_IN_FLIGHT = 20_000
# What SRTP adds to a packet (RFC 7714: AES-GCM, which aiortc and browsers agree on); SRTCP adds four bytes more.
SRTP_BYTES = 16
# What SCTP (RFC 9260: common header, DATA chunk) and DTLS 1.2 (RFC 6347, AES-GCM) add to a message.
SCTP_BYTES = 28 + 37

log = logging.getLogger(__name__)


def datagram_kind(datagram: bytes) -> str:
    """Return the kind of a datagram (RFC 7983): "rtp-<payload type>", "rtcp", "dtls" or "other"."""
    if len(datagram) < 2:
        return "other"
    if 20 <= datagram[0] <= 63:
        return "dtls"
    if 128 <= datagram[0] <= 191:
        # SRTP leaves the header in clear. RFC 5761: payload types 64 to 95 are RTCP's.
        payload_type = datagram[1] & 0x7F
        return "rtcp" if 64 <= payload_type <= 95 else f"rtp-{payload_type}"
    return "other"


@dataclass
class LinkCounters:
    """Bytes (IP and UDP headers included) per 100 ms bin of the trace's time and kind of datagram.

    Keys are `(bin, kind)` with `bin = floor(t_ms / 100)`; delivered bytes are counted in the bin of their arrival.
    """

    offered: Counter[tuple[int, str]] = field(default_factory=Counter)
    delivered: Counter[tuple[int, str]] = field(default_factory=Counter)
    dropped: Counter[tuple[int, str]] = field(default_factory=Counter)


class _Carriage:
    """Carry datagrams over a link in one held task. The link may be exchanged at any time."""

    def __init__(
        self, link: ImpairedLink, clock: Clock, zero_ms: float, overhead_bytes: int, counters: LinkCounters | None
    ) -> None:
        self._link = link
        self._clock = clock
        self._zero_ms = zero_ms
        self._link_zero_ms = zero_ms
        self._overhead_bytes = overhead_bytes
        self._counters = counters
        self._heap: list[tuple[float, int, bytes, Forward]] = []  # by arrival (ms of the clock)
        self._count = 0
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._carry(), name="impaired link")

    @property
    def empty(self) -> bool:
        return not self._heap

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._heap.clear()

    def put(self, datagram: bytes, forward: Forward) -> None:
        now_ms = self._clock.now_ms()
        self._tally("offered", now_ms, datagram)
        self._admit(now_ms, datagram, forward)

    def exchange(self, link: ImpairedLink) -> None:
        """Go on over another link, whose trace begins now: what was on its way is sent again over it, in order."""
        waiting = sorted(self._heap, key=lambda entry: entry[1])
        self._heap.clear()
        self._link, self._link_zero_ms = link, self._clock.now_ms()
        for _, _, datagram, forward in waiting:
            self._admit(self._link_zero_ms, datagram, forward)
        self._wake.set()

    def _admit(self, now_ms: float, datagram: bytes, forward: Forward) -> None:
        size = len(datagram) + self._overhead_bytes
        arrival_ms = self._link.send(max(0.0, now_ms - self._link_zero_ms), size)
        if arrival_ms is None or len(self._heap) >= MAX_IN_FLIGHT:
            self._tally("dropped", now_ms, datagram)
            return
        heapq.heappush(self._heap, (arrival_ms + self._link_zero_ms, self._count, datagram, forward))
        self._count += 1
        self._wake.set()

    def _tally(self, what: str, t_ms: float, datagram: bytes) -> None:
        if self._counters is not None:
            key = math.floor((t_ms - self._zero_ms) / BIN_MS), datagram_kind(datagram)
            getattr(self._counters, what)[key] += len(datagram) + self._overhead_bytes + IP_UDP_BYTES

    async def _carry(self) -> None:
        while True:
            self._wake.clear()
            if not self._heap:
                await self._wake.wait()
                continue
            wait_ms = self._heap[0][0] - self._clock.now_ms()
            if wait_ms > 0.0:
                # Woken early by a datagram that is to arrive before this one (reordering).
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000.0):
                        await self._wake.wait()
                continue
            arrival_ms, _, datagram, forward = heapq.heappop(self._heap)
            self._tally("delivered", arrival_ms, datagram)
            try:
                await forward(datagram)
            except ConnectionError:
                return  # the connection is closed; nothing can be delivered any more
            except Exception:
                # A datagram that trips aiortc must not stop those after it.
                log.exception("a datagram could not be delivered")


class ImpairedSend:
    """Impair what one peer connection sends, from `start` to `close`; for both directions make one for each end.

    Belongs to one event loop. One task carries the datagrams; it ends with `close`.
    """

    def __init__(self, pc: RTCPeerConnection, link: ImpairedLink, clock: Clock, *, zero_ms: float) -> None:
        self.counters = LinkCounters()
        self._carriage: _Carriage
        self._undo = intercept_send(pc, lambda datagram, forward: self._carriage.put(datagram, forward))
        self._carriage = _Carriage(link, clock, zero_ms, 0, self.counters)

    async def close(self) -> None:
        """Stop impairing: later datagrams pass at once, those on the link are lost. Idempotent."""
        self._undo()
        await self._carriage.close()


class ImpairedReceive:
    """Impair the RTP and RTCP that one peer connection receives, before aiortc counts it. DTLS and ICE pass.

    So its receiver reports, REMB and NACK are about real loss and delay. Make it when both descriptions are set;
    everything passes until `set_rate`. One event loop; one task, which ends with `close`. Memory is bounded by the
    link's queue of 300 ms.

    Raises:
        RuntimeError: `pc` has no transport yet.
    """

    def __init__(self, pc: RTCPeerConnection, clock: Clock) -> None:
        self._clock = clock
        self._carriage: _Carriage | None = None
        self._free = True
        self._undo: Callable[[], None] = intercept_receive(pc, self._hook)

    def set_rate(self, kbps: float | None) -> None:
        """Limit the link to `kbps` kbit/s (IP and UDP headers included): 0 lets nothing pass, None sets no limit.

        What waits goes on at the new rate, or is dropped where it does not fit.

        Raises:
            ValueError: the rate is negative or not a number.
        """
        link = ImpairedLink(LinkTrace((LinkStep(0.0, math.inf if kbps is None else kbps),)))
        self._free = kbps is None
        if self._carriage is not None:
            self._carriage.exchange(link)
        elif not self._free:
            self._carriage = _Carriage(link, self._clock, self._clock.now_ms(), SRTP_BYTES, None)

    def carry(self, size_bytes: int, arrived: Callable[[], None]) -> None:
        """Send a message of `size_bytes` that arrived on a data channel over the same link.

        `arrived()` is called when the message would have arrived: at once without a limit, never when it is lost.
        """
        if self._carriage is None or (self._free and self._carriage.empty):
            arrived()
            return

        async def forward(_: bytes) -> None:
            arrived()

        self._carriage.put(bytes(size_bytes + SCTP_BYTES), forward)

    async def close(self) -> None:
        """Stop impairing: later datagrams pass at once, those on the link are lost. Idempotent."""
        self._undo()
        carriage, self._carriage = self._carriage, None
        self._free = True
        if carriage is not None:
            await carriage.close()

    async def _hook(self, datagram: bytes, forward: Callable[[bytes], Awaitable[None]]) -> None:
        if self._carriage is None or (self._free and self._carriage.empty):
            await forward(datagram)
        else:
            self._carriage.put(datagram, forward)
