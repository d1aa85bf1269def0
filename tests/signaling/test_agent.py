"""Caller, node and viewer meet through a real signaling server and media flows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from relay import Relay

from models.alignment import WAV2LIP_WINDOW
from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.rtc.node.negotiate import NegotiationError
from realtime.rtc.node.node import LiplineNode
from realtime.rtc.node.plain import PlainNode
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import CallerPeer
from signaling.agent import Node, NodeAgent
from signaling.client import SignalingClient
from signaling.messages import Answer, Candidate, Offer, PeerJoined, PeerLeft, Role
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
    async with asyncio.timeout(90.0):
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
        start = CLOCK.now_ms()
        for i in range(10_000):
            await CLOCK.sleep_until(start + 20.0 * i)
            caller.put_audio(AudioBlock(np.zeros(BLOCK_SAMPLES, np.int16), start + 20.0 * i))
            if i % 2 == 0:
                caller.put_frame(VideoFrame(np.full((120, 160, 3), 200, np.uint8), start + 20.0 * i))

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
    """A node that notes what it is asked; who offers "never answered" or "refused" gets that."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.ready = asyncio.Event()

    async def accept_caller(self, offer_sdp: str, peer_id: str, name: str, *, main: bool) -> str:
        if offer_sdp == "never answered":
            await asyncio.Event().wait()
        if offer_sdp == "refused":
            raise NegotiationError("this node is full")
        await self.ready.wait()
        self.asked.append(("publish", offer_sdp, peer_id, name, "main" if main else ""))
        return f"answer to {offer_sdp}"

    async def accept_viewer(self, offer_sdp: str, peer_id: str, of: str) -> str:
        self.asked.append(("view", offer_sdp, peer_id, of))
        return f"answer to {offer_sdp}"

    async def add_candidate(self, peer_id: str, candidate: str, mid: str, of: str) -> None:
        self.asked.append(("candidate", candidate, peer_id, of))

    async def drop(self, peer_id: str) -> None:
        self.dropped.append(peer_id)

    async def close(self) -> None:
        """Nothing runs here."""


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
            await bob.send(Offer("o", to=to))
            assert await bob.receive() == Answer("answer to o", sender=to)
            left = bob.peer_id
        while not isinstance(await ann.receive(), PeerLeft):
            pass
        await until(lambda: node.dropped == [left])
        assert node.asked == [("view", "o", left, "")]


async def test_each_connection_is_named_by_peer_and_whom_it_shows() -> None:
    node = Recording()
    node.ready.set()
    async with (
        SignalingServer(Rooms(), port=0) as server,
        running(server, node),
        SignalingClient(server.url, "r", "t", role=Role.CALLER, name="Ann") as ann,
        SignalingClient(server.url, "r", "t", role=Role.PARTICIPANT, name="Bob") as bob,
    ):
        to = next(peer.peer_id for peer in bob.peers.values() if peer.role is Role.NODE)
        await ann.send(Offer("1", to=to))
        assert isinstance(await ann.receive(), PeerJoined)
        assert await ann.receive() == Answer("answer to 1", sender=to)
        await bob.send(Offer("2", to=to))
        assert await bob.receive() == Answer("answer to 2", sender=to)
        await bob.send(Offer("3", to=to, of=ann.peer_id))
        assert await bob.receive() == Answer("answer to 3", sender=to, of=ann.peer_id)
        await bob.send(Candidate("c", to=to, of=ann.peer_id))
        await bob.send(Candidate("d", to=to))
        await until(lambda: len(node.asked) == 5)
        assert node.asked == [
            ("publish", "1", ann.peer_id, "Ann", "main"),
            ("publish", "2", bob.peer_id, "Bob", ""),
            ("view", "3", bob.peer_id, ann.peer_id),
            ("candidate", "c", bob.peer_id, ann.peer_id),
            ("candidate", "d", bob.peer_id, ""),
        ]


async def test_candidates_wait_for_the_offer_they_belong_to() -> None:
    node = Recording()
    async with (
        SignalingServer(Rooms(), port=0) as server,
        running(server, node),
        SignalingClient(server.url, "r", "t", role=Role.PARTICIPANT) as ann,
    ):
        to = next(iter(ann.peers))
        await ann.send(Offer("o", to=to))
        await ann.send(Candidate("c", to=to))
        await ann.send(Offer("v", to=to, of="x"))
        assert await ann.receive() == Answer("answer to v", sender=to, of="x")
        assert [kind for kind, *_ in node.asked] == ["view"]
        node.ready.set()
        assert await ann.receive() == Answer("answer to o", sender=to)
        await until(lambda: [kind for kind, *_ in node.asked] == ["view", "publish", "candidate"])


async def test_a_refusal_is_answered_with_its_reason() -> None:
    async with (
        SignalingServer(Rooms(), port=0) as server,
        running(server, Recording()),
        SignalingClient(server.url, "r", "t", role=Role.PARTICIPANT) as ann,
    ):
        to = next(iter(ann.peers))
        await ann.send(Offer("refused", to=to))
        assert await ann.receive() == Answer("", sender=to, detail="this node is full")


async def test_an_answer_for_somebody_who_is_away_waits_and_one_for_nobody_harms_nobody() -> None:
    node, rooms = Recording(), Rooms()
    async with (
        SignalingServer(rooms, port=0) as server,
        running(server, node),
        Relay(server.url) as link,
        SignalingClient(link.url, "r", "t", session="s" * 16) as ann,
        SignalingClient(server.url, "r", "t") as bob,
    ):
        to = next(peer.peer_id for peer in ann.peers.values())
        for peer in (ann, bob):
            await peer.send(Offer("o", to=to))
        while not isinstance(await ann.receive(), PeerJoined):
            pass
        link.cut()
        await bob.close()
        await until(lambda: rooms.next_expiry_s is not None and bool(node.dropped))
        node.ready.set()
        await until(lambda: len(node.asked) == 2)
        assert await ann.reconnect()
        assert await ann.receive() == Answer("answer to o", sender=to)


async def test_the_node_takes_its_seat_up_again_and_drops_who_left_meanwhile() -> None:
    node = Recording()
    node.ready.set()
    async with (
        SignalingServer(Rooms(), port=0) as server,
        Relay(server.url) as link,
        SignalingClient(link.url, "r", "t", role=Role.NODE, session="n" * 16) as seat,
        SignalingClient(server.url, "r", "t") as ann,
        SignalingClient(server.url, "r", "t") as bob,
    ):
        agent = asyncio.create_task(NodeAgent(seat, node).run())
        await until(lambda: len(seat.peers) == 2)
        link.cut()
        await bob.close()
        await ann.send(Offer("o", to=seat.peer_id))
        while not isinstance(message := await ann.receive(), Answer):
            assert message != PeerLeft(seat.peer_id)
        assert message == Answer("answer to o", sender=seat.peer_id)
        await until(lambda: node.dropped == [bob.peer_id])
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
