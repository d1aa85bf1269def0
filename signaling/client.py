"""A peer's side of signaling: connect, join, send, and iterate over typed messages."""

import asyncio
import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from signaling.messages import (
    MAX_MESSAGE_BYTES,
    Error,
    ErrorCode,
    Join,
    Joined,
    Leave,
    Message,
    MessageError,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Relayed,
    Role,
    decode,
    encode,
)

# websockets writes whole frames at DEBUG, and the first frame holds a token: keep its own logger above that.
_frame_log = logging.getLogger(f"{__name__}.websockets")
_frame_log.setLevel(logging.INFO)


class SignalingError(Exception):
    """Tell why signaling failed: `code` when the server said why, None when the connection failed or broke."""

    def __init__(self, detail: str, code: ErrorCode | None = None) -> None:
        super().__init__(detail if code is None else f"{code.value}: {detail}")
        self.code = code
        self.detail = detail


class SignalingClient:
    """Join a room for as long as the `async with` block lasts.

    `async for message in client` yields offers, answers, candidates, comings, goings and errors; it ends when the
    connection is closed in good order and raises SignalingError when it broke. One task iterates; any may send.
    """

    def __init__(
        self,
        url: str,
        room: str,
        token: str,
        *,
        role: Role = Role.PARTICIPANT,
        name: str = "",
        timeout_s: float = 10.0,
    ) -> None:
        self._url = url
        self._join = Join(room, token, role, name)
        self._timeout_s = timeout_s
        self._socket: ClientConnection | None = None
        self.peer_id = ""
        self.peers: dict[str, PeerInfo] = {}

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._socket = await connect(
                    self._url, max_size=2 * MAX_MESSAGE_BYTES, close_timeout=2.0, logger=_frame_log
                )
                await self._enter_room(self._socket)
        except BaseException as error:
            await self._abandon()
            if isinstance(error, TimeoutError):
                raise SignalingError(f"no answer from {self._url} in {self._timeout_s:g} s: is it running?") from error
            if isinstance(error, OSError | InvalidHandshake | InvalidURI):
                raise SignalingError(f"cannot reach signaling at {self._url}: start it with `lipline serve`") from error
            if isinstance(error, ConnectionClosed):
                raise SignalingError("the signaling server closed the connection during the join") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

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

    async def send(self, message: Relayed) -> None:
        """Send an offer, answer or candidate to the peer in its `to`.

        Raises:
            SignalingError: not connected, or the connection broke.
            MessageError: a field breaks its limit.
        """
        if self._socket is None:
            raise SignalingError("not in a room: enter the client with `async with` first")
        try:
            await self._socket.send(encode(message))
        except ConnectionClosed as error:
            raise SignalingError("the signaling connection is closed") from error

    async def receive(self) -> Message:
        """Wait for the next message; keep `peers` up to date by the way.

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
            raise SignalingError("the signaling connection broke: join again") from error
        except MessageError as error:
            raise SignalingError(f"the server sent a message we cannot read: {error.detail}", error.code) from error
        if isinstance(message, PeerJoined):
            self.peers[message.peer.peer_id] = message.peer
        elif isinstance(message, PeerLeft):
            self.peers.pop(message.peer_id, None)
        return message

    async def _enter_room(self, socket: ClientConnection) -> None:
        await socket.send(encode(self._join))
        answer = decode(await socket.recv())
        if isinstance(answer, Error):
            raise SignalingError(answer.detail, answer.code)
        if not isinstance(answer, Joined):
            raise SignalingError(f'expected "joined", got "{answer.TYPE}"')
        self.peer_id = answer.peer_id
        self.peers = {peer.peer_id: peer for peer in answer.peers}

    async def _abandon(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
