"""A peer's side of signaling: connect, join, send, and iterate over typed messages."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from signaling.errors import ErrorCode, Refused
from signaling.frames import FRAME_LOG
from signaling.messages import (
    CLOSE_RESUMED,
    MAX_MESSAGE_BYTES,
    CameraState,
    Error,
    Join,
    Joined,
    Leave,
    Message,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Relayed,
    Role,
    decode,
    encode,
)

_PASSING = {None, ErrorCode.SHUTTING_DOWN, ErrorCode.SERVER_FULL, ErrorCode.RATE_LIMITED, ErrorCode.TIMEOUT}


class SignalingError(Exception):
    """Signaling failed; `code` is the server's reason, None when the connection failed or broke.

    `lasting` means that trying again does not help: the token is wrong, the role taken, the seat in use elsewhere.
    """

    def __init__(self, detail: str, code: ErrorCode | None = None, *, lasting: bool | None = None) -> None:
        super().__init__(detail if code is None else f"{code.value}: {detail}")
        self.code = code
        self.detail = detail
        self.lasting = code not in _PASSING if lasting is None else lasting


def backoff_s(attempt: int) -> float:
    """Return how many seconds to wait before try number `attempt` (from 0) to join again: 0.5, 1, 2, 4, then 8."""
    return min(8.0, 0.5 * 2.0 ** min(attempt, 10))


class SignalingClient:
    """Join a room for as long as the `async with` block lasts.

    `async for message in client` yields offers, answers, candidates, comings, goings and errors; it ends when the
    connection is closed in good order and raises SignalingError when it broke. One task iterates; any may send.
    With a `session`, 16 to 64 random characters of [A-Za-z0-9_-] that nobody else knows, the server keeps our seat for
    a while when the connection breaks, and `reconnect` takes it up again. `tls` is for wss:// only; None trusts what
    the machine trusts.
    """

    def __init__(
        self,
        url: str,
        room: str,
        token: str,
        *,
        role: Role = Role.PARTICIPANT,
        name: str = "",
        session: str = "",
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._url = url
        self._tls = (tls or True) if url.lower().startswith("wss:") else None
        self._join = Join(room, token, role, name, session)
        self._timeout_s = timeout_s
        self._socket: ClientConnection | None = None
        self.peer_id = ""
        self.peers: dict[str, PeerInfo] = {}

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def has_session(self) -> bool:
        """Whether the server keeps our seat when the connection breaks."""
        return bool(self._join.session)

    async def close(self) -> None:
        """Leave the room and close the connection. Idempotent."""
        socket, self._socket = self._socket, None
        if socket is None:
            return
        try:
            await socket.send(encode(Leave()))
        except ConnectionClosed:
            return
        await socket.close()

    async def reconnect(self) -> bool:
        """Join again after the connection broke; return whether our seat and peer id are the ones from before.

        It tries once; how often and how long is up to the caller (`backoff_s`). `peers` is read again, without messages
        about who came and went in between. Not while another task receives.

        Raises:
            SignalingError: it did not work; `lasting` says whether another try might.
        """
        before = self.peer_id
        await self._abandon()
        await self._connect()
        return self.peer_id == before

    async def send(self, message: Relayed | CameraState) -> None:
        """Send a message to the peer in its `to`, or a camera's state to everybody.

        Raises:
            SignalingError: not connected, or the connection broke.
            Refused: a field breaks its limit.
        """
        if self._socket is None:
            raise SignalingError("not in a room: enter the client with `async with` first")
        try:
            await self._socket.send(encode(message))
        except ConnectionClosed as error:
            raise SignalingError("the signaling connection is closed") from error

    async def receive(self) -> Message:
        """Wait for the next message, and keep `peers` up to date.

        Raises:
            SignalingError: the connection is closed or broke, or the server sent something unreadable.
        """
        message = await self._next()
        if message is None:
            raise SignalingError("the signaling connection is closed")
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self._next()) is not None:
            yield message

    async def _next(self) -> Message | None:
        if self._socket is None:
            return None
        try:
            message = decode(await self._socket.recv())
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in (1000, 1001):
                return None
            if error.rcvd is not None and error.rcvd.code == CLOSE_RESUMED:
                raise SignalingError("this session joined again on another connection", lasting=True) from error
            raise SignalingError("the signaling connection broke: join again") from error
        except Refused as error:
            raise SignalingError(f"the server sent a message we cannot read: {error.detail}", error.code) from error
        if isinstance(message, PeerJoined):
            self.peers[message.peer.peer_id] = message.peer
        elif isinstance(message, PeerLeft):
            self.peers.pop(message.peer_id, None)
        return message

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._socket = await connect(
                    self._url, max_size=2 * MAX_MESSAGE_BYTES, close_timeout=2.0, logger=FRAME_LOG, ssl=self._tls
                )
                await self._enter_room(self._socket)
        except BaseException as error:
            await self._abandon()
            explained = self._explain(error)
            if explained is not None:
                raise explained from error
            raise

    def _explain(self, error: BaseException) -> SignalingError | None:
        if isinstance(error, TimeoutError):
            return SignalingError(f"no answer from {self._url} in {self._timeout_s:g} s: is it running?")
        if isinstance(error, ssl.SSLCertVerificationError):
            return SignalingError(
                f"the certificate of {self._url} is not trusted ({error.verify_message}): "
                "if you made it yourself, set SSL_CERT_FILE to its file",
                lasting=True,
            )
        if isinstance(error, OSError | InvalidHandshake | InvalidURI):
            return SignalingError(f"cannot reach signaling at {self._url}: start it with `lipline serve`")
        if isinstance(error, ConnectionClosed):
            return SignalingError("the signaling server closed the connection during the join")
        return None

    async def _enter_room(self, socket: ClientConnection) -> None:
        await socket.send(encode(self._join))
        answer = decode(await socket.recv())
        if isinstance(answer, Error):
            raise SignalingError(answer.detail, answer.code)
        if not isinstance(answer, Joined):
            raise SignalingError(f'expected "joined", got "{answer.kind}"')
        self.peer_id = answer.peer_id
        self.peers = {peer.peer_id: peer for peer in answer.peers}

    async def _abandon(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
