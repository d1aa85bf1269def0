"""Meet the node of a room: wait for it, offer, take its answer."""

import asyncio

from aiortc import RTCPeerConnection, RTCSessionDescription

from client.errors import UsageError
from signaling.client import SignalingClient
from signaling.messages import Answer, Error, Offer, PeerLeft, Role


async def offer_to_node(client: SignalingClient, pc: RTCPeerConnection, *, timeout_s: float = 15.0) -> str:
    """Offer `pc`, whose tracks or transceivers are in place, to the room's node; return the node's peer id.

    Raises:
        UsageError: no node came, it refused, or it did not answer in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            node = await _find_node(client)
            # aiortc has no trickle ICE: the local description is complete once this returns.
            await pc.setLocalDescription(await pc.createOffer())
            await client.send(Offer(sdp=pc.localDescription.sdp, to=node))
            await pc.setRemoteDescription(RTCSessionDescription(sdp=await _answer(client, node), type="answer"))
    except TimeoutError as error:
        raise UsageError(f"no lipline node answered within {timeout_s:g} s: start one with `lipline serve`") from error
    return node


async def until_connected(pc: RTCPeerConnection, *, timeout_s: float = 15.0) -> None:
    """Wait until `pc` is connected.

    Raises:
        UsageError: it failed or took too long.
    """
    changed = asyncio.Event()
    pc.on("connectionstatechange", changed.set)
    try:
        async with asyncio.timeout(timeout_s):
            while pc.connectionState not in ("connected", "failed", "closed"):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    if pc.connectionState != "connected":
        raise UsageError(f"the media connection is {pc.connectionState}: let UDP between the two machines through")


async def _find_node(client: SignalingClient) -> str:
    while True:
        for peer in client.peers.values():
            if peer.role is Role.NODE:
                return peer.peer_id
        await client.receive()


async def _answer(client: SignalingClient, node: str) -> str:
    while True:
        message = await client.receive()
        if isinstance(message, Answer) and message.sender == node and not message.of:
            if not message.sdp:
                raise UsageError(f"the lipline node refused: {message.detail}")
            return message.sdp
        if isinstance(message, Error):
            raise UsageError(f"the room refused the offer: {message.detail}")
        if isinstance(message, PeerLeft) and message.peer_id == node:
            raise UsageError("the lipline node left before it answered: look at its output, then try again")


async def until_lost(pc: RTCPeerConnection) -> str:
    """Wait until `pc` has failed or is closed; return which."""
    changed = asyncio.Event()
    pc.on("connectionstatechange", changed.set)
    while pc.connectionState not in ("failed", "closed"):
        changed.clear()
        await changed.wait()
    return str(pc.connectionState)
