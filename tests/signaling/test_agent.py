"""Caller, node and viewer meet through a real signaling server and media flows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from models.alignment import WAV2LIP_WINDOW
from realtime.clock import MonotonicClock
from realtime.media import VideoFrame
from realtime.rtc.node import LiplineNode
from realtime.rtc.plain import PlainNode
from realtime.rtc.receive import ReceivedStreams
from realtime.rtc.sender import CallerPeer
from signaling.agent import Node, NodeAgent
from signaling.client import SignalingClient
from signaling.messages import Answer, Candidate, Offer, PeerLeft, Role
from signaling.rooms import Rooms
from signaling.server import SignalingServer

CLOCK = MonotonicClock()
LOCAL = RTCConfiguration(iceServers=[])


async def meet(client: SignalingClient, pc: RTCPeerConnection) -> None:
    """Offer to the node in the room and take its answer."""
    node = next(peer for peer in client.peers.values() if peer.role is Role.NODE)
    await pc.setLocalDescription(await pc.createOffer())
    await client.send(Offer(pc.localDescription.sdp, to=node.peer_id))
    while not isinstance(message := await client.receive(), Answer):
        pass
    await pc.setRemoteDescription(RTCSessionDescription(message.sdp, "answer"))


@contextlib.asynccontextmanager
async def running(server: SignalingServer, node: Node) -> AsyncIterator[None]:
    async with SignalingClient(server.url, "r", "t", role=Role.NODE) as client:
        task = asyncio.create_task(NodeAgent(client, node).run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("viewer_first", [False, True])
@pytest.mark.parametrize("plain", [False, True])
async def test_media_flows_from_caller_to_viewer(plain: bool, viewer_first: bool) -> None:
    node = PlainNode() if plain else LiplineNode(None, WAV2LIP_WINDOW)
    caller, viewer = CallerPeer(CLOCK, zero_ms=CLOCK.now_ms(), configuration=LOCAL), RTCPeerConnection(LOCAL)
    frames: list[VideoFrame] = []
    streams = ReceivedStreams(
        viewer, CLOCK, on_audio_packet=lambda *_: None, on_video_frame=lambda frame, at: frames.append(frame)
    )
    for kind in ("audio", "video"):
        viewer.addTransceiver(kind, direction="recvonly")

    async def film() -> None:
        while True:
            caller.put_frame(VideoFrame(np.full((120, 160, 3), 200, np.uint8), CLOCK.now_ms()))
            await asyncio.sleep(0.04)

    filming = asyncio.create_task(film())
    async with (
        SignalingServer(Rooms(), port=0) as server,
        running(server, node),
        SignalingClient(server.url, "r", "t", role=Role.CALLER) as ann,
        SignalingClient(server.url, "r", "t", role=Role.VIEWER) as bob,
    ):
        try:
            meetings = [meet(ann, caller.pc), meet(bob, viewer)]
            await asyncio.gather(*(meetings[::-1] if viewer_first else meetings))
            await until(lambda: len(frames) >= 5)
            assert abs(float(frames[-1].image.mean()) - 200) < 10
        finally:
            filming.cancel()
            await asyncio.gather(filming, return_exceptions=True)
            await streams.close()
            await asyncio.gather(caller.close(), viewer.close(), node.close())


class Recording:
    """A node that notes what it is asked."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.candidates: list[str] = []

    async def accept_caller(self, offer_sdp: str, peer_id: str, name: str) -> str:
        await asyncio.Event().wait()
        return ""

    async def accept_viewer(self, offer_sdp: str, peer_id: str) -> str:
        return "answer"

    async def add_candidate(self, peer_id: str, candidate: str, mid: str) -> None:
        self.candidates.append(candidate)

    async def drop(self, peer_id: str) -> None:
        self.dropped.append(peer_id)


async def test_an_offer_that_waits_holds_nobody_up() -> None:
    node = Recording()
    async with (
        SignalingServer(Rooms(), port=0) as server,
        running(server, node),
        SignalingClient(server.url, "r", "t", role=Role.CALLER) as ann,
    ):
        to = next(iter(ann.peers))
        await ann.send(Offer("never answered", to=to))
        async with SignalingClient(server.url, "r", "t", role=Role.VIEWER) as bob:
            await bob.send(Candidate("candidate:1", to=to))
            await bob.send(Offer("offer", to=to))
            assert await bob.receive() == Answer("answer", sender=to)
            left = bob.peer_id
        while not isinstance(await ann.receive(), PeerLeft):
            pass
        await until(lambda: node.dropped == [left])
        assert node.candidates == ["candidate:1"]
