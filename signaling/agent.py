"""The node's seat in a room: answers the offers that come over signaling."""

import asyncio
import logging
from typing import Protocol

from realtime.rtc.node import NegotiationError
from signaling.client import SignalingClient, SignalingError
from signaling.messages import Answer, Candidate, Error, Offer, PeerLeft, Role

_LOG = logging.getLogger(__name__)


class Node(Protocol):
    """Take offers; `realtime.rtc.node.LiplineNode` and `realtime.rtc.plain.PlainNode` do."""

    async def accept_caller(self, offer_sdp: str, peer_id: str, name: str) -> str:
        """Return the SDP answer for the offer of a caller who joined as `name`; raises NegotiationError."""

    async def accept_viewer(self, offer_sdp: str, peer_id: str) -> str:
        """Return the SDP answer for a viewer's offer; raises NegotiationError."""

    async def add_candidate(self, peer_id: str, candidate: str, mid: str) -> None:
        """Take a remote ICE candidate."""

    async def drop(self, peer_id: str) -> None:
        """End what `peer_id` has here."""


class NodeAgent:
    """Carry one room's offers to a node and its answers back.

    A peer with the role caller is filtered; everybody else is a viewer. `client` must be inside its room (entered with
    `async with`), joined as `Role.NODE`.
    """

    def __init__(self, client: SignalingClient, node: Node) -> None:
        self._client = client
        self._node = node
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the room until the connection is closed in good order.

        Raises:
            SignalingError: the signaling connection broke; calls that run go on, join again and run anew.
        """
        try:
            await self._serve()
        finally:
            for task in self._answering:
                task.cancel()
            await asyncio.gather(*self._answering, return_exceptions=True)

    async def _serve(self) -> None:
        async for message in self._client:
            match message:
                case Offer():
                    # An answer may wait (for a caller, for a model to load): the room goes on meanwhile.
                    task = asyncio.create_task(self._answer(message))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                case Candidate():
                    await self._node.add_candidate(message.sender, message.candidate, message.mid)
                case PeerLeft():
                    await self._node.drop(message.peer_id)
                case Error():
                    _LOG.warning("signaling: %s %s", message.code.value, message.detail)
                case _:
                    pass

    async def _answer(self, offer: Offer) -> None:
        peer = self._client.peers.get(offer.sender)
        try:
            if peer is not None and peer.role is Role.CALLER:
                sdp = await self._node.accept_caller(offer.sdp, offer.sender, peer.name)
            else:
                sdp = await self._node.accept_viewer(offer.sdp, offer.sender)
        except NegotiationError as error:
            _LOG.warning("an offer was refused: %s", error)
            return
        try:
            await self._client.send(Answer(sdp, to=offer.sender))
        except SignalingError:
            # Nobody can take the answer; that signaling broke is told by `run`.
            await self._node.drop(offer.sender)
