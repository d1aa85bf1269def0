"""The signaling server: carries messages between websockets and `Rooms`. Every bad message is answered with a code.

On the same port it gives browsers the call page, so that page and signaling share one origin and one certificate.
"""

import asyncio
import http
import logging
import ssl
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from signaling.errors import ErrorCode, Refused
from signaling.frames import FRAME_LOG
from signaling.messages import (
    CLOSE_RESUMED,
    MAX_MESSAGE_BYTES,
    Answer,
    CameraFace,
    CameraMode,
    CameraState,
    Candidate,
    Error,
    Join,
    Leave,
    Message,
    Offer,
    decode,
    encode,
)
from signaling.pages import Pages, answer_http, text
from signaling.rooms import Delivery, Rooms

log = logging.getLogger(__name__)

OUTBOX_MESSAGES = 128
MAX_BAD_MESSAGES = 20
FLUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of a connection: seconds until `join`, messages a second and in a burst, seconds between pings."""

    join_timeout_s: float = 10.0
    messages_per_s: float = 50.0
    burst: int = 200
    ping_s: float = 10.0
    max_connections: int = 4096


class _Connection:
    """One peer's websocket: what it may send, and what waits to be sent to it."""

    def __init__(self, socket: ServerConnection, limits: ServerLimits) -> None:
        self.peer_id: str | None = None
        self.for_good = False
        """Whether the peer's seat goes with the connection."""
        self.bad_messages = 0
        self._socket = socket
        self._limits = limits
        self._outbox: asyncio.Queue[Message] = asyncio.Queue(OUTBOX_MESSAGES)
        self._allowance = float(limits.burst)
        self._refilled_s = time.monotonic()

    def post(self, message: Message) -> None:
        """Queue a message; a peer that does not read is disconnected."""
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            # A peer that does not read cannot be helped by dropping SDP: cut it, it may come back.
            self._socket.transport.abort()

    def spend(self) -> bool:
        """Use one message of the allowance, which fills at a steady rate; return whether there was one."""
        now_s = time.monotonic()
        earned = (now_s - self._refilled_s) * self._limits.messages_per_s
        self._allowance = min(float(self._limits.burst), self._allowance + earned) - 1.0
        self._refilled_s = now_s
        return self._allowance >= 0.0

    async def receive(self, timeout_s: float | None) -> str | bytes:
        """Wait for a frame; raises TimeoutError, or ConnectionClosed."""
        async with asyncio.timeout(timeout_s):
            return await self._socket.recv()

    async def write(self) -> None:
        """Send queued messages until cancelled by its owner; the only writer of the connection."""
        while True:
            message = await self._outbox.get()
            try:
                await self._socket.send(encode(message))
            except ConnectionClosed:
                pass
            finally:
                self._outbox.task_done()

    async def flush(self) -> None:
        """Wait until all that was posted is sent (usually the error that explains a close), for at most a second."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._outbox.join()
        except TimeoutError:
            log.info("a peer took no messages while it was closed")

    async def close(self, code: int, reason: str) -> None:
        """Close the websocket with a code of RFC 6455."""
        await self._socket.close(code, reason)


class SignalingServer:
    """Serve rooms on `ws://host:port/`, `GET /health`, and `pages` to browsers; an async context manager.

    With `tls`, a server-side context, all of it is wss and https. Port 0 picks a free one; read it from `port` after
    entering. One instance belongs to one event loop.
    """

    def __init__(
        self,
        rooms: Rooms,
        *,
        host: str = "127.0.0.1",
        port: int = 8765,
        limits: ServerLimits | None = None,
        tls: ssl.SSLContext | None = None,
        pages: Pages | None = None,
    ) -> None:
        self._rooms = rooms
        self._host = host
        self._port = port
        self._limits = limits or ServerLimits()
        self._tls = tls
        self._pages = pages
        self._expiry: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._by_peer: dict[str, _Connection] = {}
        self._server: Server | None = None
        self._started = time.monotonic()

    @property
    def port(self) -> int:
        """Port that the server listens on."""
        if self._server is None:
            return self._port
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """Address for clients on this machine."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'wss' if self._tls else 'ws'}://{host}:{self.port}/"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            self._host,
            self._port,
            process_request=self._process_request,
            # Four times our own limit, so that an oversized message is answered with a code; beyond it close code 1009.
            max_size=4 * MAX_MESSAGE_BYTES,
            ping_interval=self._limits.ping_s,
            ping_timeout=2 * self._limits.ping_s,
            close_timeout=2.0,
            logger=FRAME_LOG,
            ssl=self._tls,
        )
        log.info("signaling listens on port %d", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Notify everybody that the server stops, then close every connection and the socket. Idempotent."""
        if self._server is None:
            return
        for connection in list(self._connections):
            connection.post(Error(ErrorCode.SHUTTING_DOWN, "the signaling server stops"))
        # websockets closes a connection at once: the farewell is sent before.
        await asyncio.gather(*(connection.flush() for connection in list(self._connections)))
        self._server.close(code=1001, reason="server stops")
        await self._server.wait_closed()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._server = None
        self._watch_seats()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if (answer := answer_http(request, self._pages, self._health)) is not None:
            return answer
        if len(self._connections) >= self._limits.max_connections:
            return text(http.HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections, try again later.")
        return None

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "uptimeSeconds": round(time.monotonic() - self._started, 1),
            "rooms": self._rooms.room_count,
            "peers": self._rooms.peer_count,
        }

    async def _handle(self, socket: ServerConnection) -> None:
        connection = _Connection(socket, self._limits)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._read(connection)
        except ConnectionClosed:
            pass
        finally:
            self._connections.discard(connection)
            self._vacate(connection)
            if not writer.done():
                await connection.flush()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _vacate(self, connection: _Connection) -> None:
        peer_id = connection.peer_id
        if peer_id is None or self._by_peer.get(peer_id) is not connection:
            return  # never joined, or the seat lives on with another connection
        del self._by_peer[peer_id]
        if connection.for_good:
            self._deliver(self._rooms.leave(peer_id))
        else:
            self._deliver(self._rooms.lose(peer_id, time.monotonic()))
        self._watch_seats()

    def _watch_seats(self) -> None:
        """Set the one timer to the next seat that ends; with no server or no such seat there is none."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        due_s = self._rooms.next_expiry_s
        if due_s is not None and self._server is not None:
            wait_s = max(0.0, due_s - time.monotonic())
            self._expiry = asyncio.get_running_loop().call_later(wait_s, self._expire_seats)

    def _expire_seats(self) -> None:
        self._deliver(self._rooms.expire(time.monotonic()))
        self._watch_seats()

    async def _read(self, connection: _Connection) -> None:
        deadline = time.monotonic() + self._limits.join_timeout_s
        while True:
            timeout = None if connection.peer_id else max(0.0, deadline - time.monotonic())
            try:
                frame = await connection.receive(timeout)
            except TimeoutError:
                connection.post(Error(ErrorCode.TIMEOUT, f'no "join" in {self._limits.join_timeout_s:g} s'))
                return
            if not connection.spend():
                connection.for_good = True
                connection.post(Error(ErrorCode.RATE_LIMITED, "too many messages: slow down"))
                return
            try:
                if not self._dispatch(connection, decode(frame)):
                    return
            except Refused as error:
                connection.bad_messages += 1
                connection.post(Error(error.code, error.detail))
                if connection.bad_messages >= MAX_BAD_MESSAGES or error.code is ErrorCode.BAD_TOKEN:
                    connection.for_good = True
                    return  # a wrong token costs a new connection, which slows guessing

    def _dispatch(self, connection: _Connection, message: Message) -> bool:
        match message:
            case Join():
                if connection.peer_id is not None:
                    raise Refused(ErrorCode.ALREADY_JOINED, "this connection is in a room: open another one")
                self._join(connection, message)
            case Offer() | Answer() | Candidate() | CameraMode() | CameraFace():
                self._deliver(self._rooms.relay(connection.peer_id or "", message))
            case CameraState():
                self._deliver(self._rooms.tell(connection.peer_id or "", message, time.monotonic()))
            case Leave():
                connection.for_good = True
                return False
            case _:
                raise Refused(ErrorCode.BAD_MESSAGE, f'"{message.kind}" is sent by the server only')
        return True

    def _join(self, connection: _Connection, message: Join) -> None:
        peer, deliveries = self._rooms.join(
            message.room, message.token, message.role, message.name, session=message.session
        )
        before = self._by_peer.get(peer.peer_id)
        if before is not None:
            # The same session came in anew while its old connection still seemed to live.
            task = asyncio.create_task(before.close(CLOSE_RESUMED, "joined again on another connection"))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        connection.peer_id = peer.peer_id
        self._by_peer[peer.peer_id] = connection
        self._watch_seats()
        log.info("a %s joined; %d peers in %d rooms", peer.role.value, self._rooms.peer_count, self._rooms.room_count)
        self._deliver(deliveries)

    def _deliver(self, deliveries: list[Delivery]) -> None:
        for peer_id, message in deliveries:
            connection = self._by_peer.get(peer_id)
            if connection is not None:
                connection.post(message)
