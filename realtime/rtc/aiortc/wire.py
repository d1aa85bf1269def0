"""Private access to aiortc's datagrams, both ways. Import it through `realtime.rtc.aiortc` only."""

import contextlib
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Protocol

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc import clock as aiortc_clock

from realtime.rtc.aiortc.guard import Undo, wrap

# --- Outgoing datagrams ----------------------------------------------------------------------------------------------
# Cause: tests and the demo need a bad link without root; aiortc has no hook between SRTP and the socket.
# Evidence: `_send_rtp` and `_write_ssl` of RTCDtlsTransport call `self.transport._send(data)` by attribute;
#   RTCIceTransport sets `_send = connection.send` in its constructor. ICE checks go past it: consent survives anything.
# Removal: aiortc accepts a transport of ours, or the tests may use network namespaces everywhere.

Forward = Callable[[bytes], Awaitable[None]]


class SendHook(Protocol):
    """Decide what happens to an outgoing datagram (DTLS, SRTP or SRTCP)."""

    def __call__(self, datagram: bytes, forward: Forward) -> None:
        """Keep, drop or schedule `datagram`; `await forward(datagram)` puts it on the wire. Must not block."""


def intercept_send(pc: RTCPeerConnection, hook: SendHook) -> Undo:
    """Pass every datagram that `pc` sends through `hook`. Call it once both descriptions are set and so bundled.

    Raises:
        RuntimeError: `pc` has no transport yet.
    """
    transports = {id(t): t for t in _ice_transports(pc)}.values()
    if not transports:
        raise RuntimeError("the peer connection has no transport yet: set both descriptions first")

    async def wrapper(original: Forward, data: bytes) -> None:
        hook(data, original)

    taps = ExitStack()
    for transport in transports:
        taps.callback(wrap(transport, "_send", wrapper))
    return taps.close


def _ice_transports(pc: RTCPeerConnection) -> list[Any]:
    dtls = [t.receiver.transport for t in pc.getTransceivers()]
    if pc.sctp is not None:
        dtls.append(pc.sctp.transport)
    return [d.transport for d in dtls]


# --- Incoming datagrams ----------------------------------------------------------------------------------------------
# Cause: a page wants to try a bad uplink, and what it sends can only be impaired here; it must look like real loss to
#   receiver reports, REMB and NACK, so it has to happen before aiortc counts a packet.
# Evidence: RTCDtlsTransport._recv_next calls `_handle_rtp_data(data, arrival_time_ms=...)` and
#   `_handle_rtcp_data(data)` of itself by attribute, after SRTP and before anything else; DTLS takes another branch.
# Removal: aiortc accepts a transport of ours.


class ReceiveHook(Protocol):
    """Decide what happens to an incoming RTP or RTCP datagram, SRTP taken off."""

    async def __call__(self, datagram: bytes, forward: Forward) -> None:
        """Keep, drop or schedule `datagram`; `await forward(datagram)` gives it to aiortc, as arriving then."""


def intercept_receive(pc: RTCPeerConnection, hook: ReceiveHook) -> Undo:
    """Pass every RTP and RTCP datagram that `pc` receives through `hook`. Call it once both descriptions are set.

    Raises:
        RuntimeError: `pc` has no transport yet.
    """
    transports = {id(t): t for t in (x.receiver.transport for x in pc.getTransceivers())}.values()
    if not transports:
        raise RuntimeError("the peer connection has no transport yet: set both descriptions first")

    async def rtp(original: Callable[..., Awaitable[None]], data: bytes, **_: Any) -> None:
        async def forward(late: bytes) -> None:
            # The time of arrival is what REMB is estimated from: it must be that of the delivery.
            await original(late, arrival_time_ms=aiortc_clock.current_ms())

        await hook(data, forward)

    async def rtcp(original: Forward, data: bytes) -> None:
        await hook(data, original)

    taps = ExitStack()
    for transport in transports:
        taps.callback(wrap(transport, "_handle_rtp_data", rtp))
        taps.callback(wrap(transport, "_handle_rtcp_data", rtcp))
    return taps.close


# --- Datagrams that wait in the kernel -------------------------------------------------------------------------------
# Cause: asyncio reads one datagram of a socket a turn of its loop. Where a turn takes 25 ms, because threads of ours or
#   other programs have the cores, that is 40 a second, and a page that sends 80 queues in the kernel: 12 s were seen.
# Evidence: asyncio's _SelectorDatagramTransport._read_ready reads once and calls `datagram_received` of the protocol by
#   attribute; aioice's Connection keeps its protocols in `_protocols`, each with its `transport`.
# Removal: asyncio reads what is there, or aioice takes a socket of ours.

READ_AT_ONCE = 64
_DATAGRAM_BYTES = 65_536


def read_at_once(pc: RTCPeerConnection) -> Undo:
    """Read up to 64 datagrams of each socket of `pc` in a turn of the loop. Call it once both descriptions are set.

    Returns a function that removes it; the end of a socket does so too.
    """
    protocols = {id(p): p for transport in _ice_transports(pc) for p in transport._connection._protocols}.values()
    taps = ExitStack()
    for protocol in protocols:
        taps.callback(_read_more(protocol))
    return taps.close


def _read_more(protocol: Any) -> Undo:
    own = protocol.transport.get_extra_info("socket")
    if own is None:
        return lambda: None  # a relay's (TURN): it has no socket of its own
    reader: socket.socket = own.dup()  # asyncio's own object does not allow recvfrom
    received, lost = protocol.datagram_received, protocol.connection_lost

    def datagram_received(data: bytes, address: Any) -> None:
        received(data, address)
        for _ in range(READ_AT_ONCE - 1):
            try:
                more = reader.recvfrom(_DATAGRAM_BYTES)
            except OSError:  # nothing waits, or the socket was closed, which asyncio's own next read will notice
                return
            received(*more)

    def connection_lost(error: Exception | None) -> None:
        undo()
        lost(error)

    def undo() -> None:
        reader.close()
        for name in ("datagram_received", "connection_lost"):
            protocol.__dict__.pop(name, None)

    protocol.datagram_received, protocol.connection_lost = datagram_received, connection_lost
    return undo


# --- Data channels on a path that is gone ----------------------------------------------------------------------------
# Cause: when ICE ends, whatever is still to be sent on a data channel fails inside a task that nobody awaits, and
#   asyncio prints "Task exception was never retrieved" for each.
# Evidence: RTCSctpTransport starts `_data_channel_flush` and `_transmit` with ensure_future, by attribute; below them
#   RTCDtlsTransport raises ConnectionError.
# Removal: aiortc holds these tasks and takes their errors.


def survive_dead_path(channel: RTCDataChannel) -> Undo:
    """Drop what waits on the connection of `channel` without an error once its path is gone."""

    async def wrapper(original: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(ConnectionError):
            await original()

    taps = ExitStack()
    for name in ("_data_channel_flush", "_transmit"):
        taps.callback(wrap(channel.transport, name, wrapper))
    return taps.close
