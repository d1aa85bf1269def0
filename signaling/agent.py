"""The node's seat in a room: answers the offers that come over signaling."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from realtime.rtc.node.negotiate import NegotiationError
from signaling.client import SignalingClient, SignalingError, backoff_s
from signaling.messages import PUBLISHING, Answer, Candidate, Error, Offer, PeerLeft, Role

_LOG = logging.getLogger(__name__)

MAX_WAITING = 64
TRIES = 6


class Node(Protocol):
    """What answers offers; `realtime.rtc.node.node.LiplineNode` and `realtime.rtc.node.plain.PlainNode` do."""

    async def accept_caller(self, offer_sdp: str, peer_id: str, name: str, *, main: bool) -> str:
        """Return the SDP answer for the offer of a publisher who joined as `name`; raises NegotiationError.

        `main` marks the one that viewers of nobody in particular see.
        """

    async def accept_viewer(self, offer_sdp: str, peer_id: str, of: str) -> str:
        """Return the SDP answer for who wants to see `of` ("": the main speaker); raises NegotiationError."""

    async def add_candidate(self, peer_id: str, candidate: str, mid: str, of: str) -> None:
        """Add a remote ICE candidate to the connection that the offer with the same `of` made."""

    async def drop(self, peer_id: str) -> None:
        """End all connections of `peer_id`, and its call."""

    async def close(self) -> None:
        """End every connection, task and thread."""


class NodeAgent:
    """Carry one room's offers to a node and its answers back.

    Callers and participants publish with an offer that names nobody; every other offer asks to see somebody. `client`
    must be inside its room (entered with `async with`), joined as `Role.NODE`; if it has a session, the agent takes its
    seat up again when the connection breaks.
    """

    def __init__(self, client: SignalingClient, node: Node) -> None:
        self._client = client
        self._node = node
        self._last: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: dict[asyncio.Task[None], tuple[str, str]] = {}

    async def run(self) -> None:
        """Serve the room until the connection is closed in good order.

        Raises:
            SignalingError: the signaling connection broke and did not come back; calls that run go on.
        """
        try:
            while True:
                try:
                    await self._serve()
                    return
                except SignalingError as error:
                    await self._return_to_the_room(error)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self) -> None:
        async for message in self._client:
            match message:
                case Offer():
                    self._in_turn((message.sender, message.of), partial(self._answer, message))
                case Candidate():
                    self._in_turn((message.sender, message.of), partial(self._take, message))
                case PeerLeft():
                    self._drop(message.peer_id)
                case Error():
                    _LOG.warning("signaling: %s %s", message.code.value, message.detail)
                case _:
                    pass

    async def _return_to_the_room(self, broke: SignalingError) -> None:
        if broke.lasting or not self._client.has_session:
            raise broke
        there = set(self._client.peers)
        for attempt in range(TRIES):
            await asyncio.sleep(backoff_s(attempt))
            try:
                await self._client.reconnect()
                break
            except SignalingError as error:
                if error.lasting or attempt == TRIES - 1:
                    raise
        _LOG.warning("the node is back in its room after its signaling connection broke")
        for gone in there - set(self._client.peers):
            self._drop(gone)

    def _drop(self, peer_id: str) -> None:
        # In a line of its own: an offer of this peer that is being answered may wait for long.
        self._in_turn((peer_id, " left"), partial(self._node.drop, peer_id))

    def _in_turn(self, key: tuple[str, str], work: Callable[[], Awaitable[None]]) -> None:
        """Do what belongs to one connection in order; the room goes on meanwhile.

        An answer may wait (for a caller, for a model to load), and candidates that overtake it would be lost.
        """
        if sum(waiting == key for waiting in self._tasks.values()) >= MAX_WAITING:
            _LOG.warning("a peer sends more than can be answered: a message was dropped")
            return
        before = self._last.get(key)
        task = asyncio.create_task(self._after(before, work))
        self._last[key] = task
        self._tasks[task] = key
        task.add_done_callback(self._forget)

    @staticmethod
    async def _after(before: "asyncio.Task[None] | None", work: Callable[[], Awaitable[None]]) -> None:
        if before is not None:
            await asyncio.wait({before})
        await work()

    def _forget(self, task: "asyncio.Task[None]") -> None:
        key = self._tasks.pop(task)
        if self._last.get(key) is task:
            del self._last[key]
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a message to the node could not be dealt with", exc_info=task.exception())

    async def _take(self, message: Candidate) -> None:
        await self._node.add_candidate(message.sender, message.candidate, message.mid, message.of)

    async def _answer(self, offer: Offer) -> None:
        try:
            answer = Answer(await self._negotiate(offer), to=offer.sender, of=offer.of)
        except NegotiationError as error:
            _LOG.warning("an offer was refused: %s", error)
            answer = Answer("", to=offer.sender, of=offer.of, detail=str(error)[:512])
        try:
            await self._client.send(answer)
        except SignalingError:
            # Nobody can take the answer; that signaling broke is told by `run`. Who is still there offers again.
            _LOG.warning("an answer found no signaling connection")

    async def _negotiate(self, offer: Offer) -> str:
        peer = self._client.peers.get(offer.sender)
        if peer is not None and peer.role in PUBLISHING and not offer.of:
            main = peer.role is Role.CALLER
            return await self._node.accept_caller(offer.sdp, offer.sender, peer.name, main=main)
        return await self._node.accept_viewer(offer.sdp, offer.sender, offer.of)
