"""Whole calls in one process: a caller, the node with a quick renderer, a viewer, all over real DTLS and RTP."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray
from peers import Until
from synth_fakes import FakeRenderer, drawn

from models.alignment import MelWindow
from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.engine import Output
from realtime.picture.monitor import VideoState
from realtime.picture.synth_api import Drawn
from realtime.rtc.node.node import LiplineNode, NegotiationError, NodeConfig
from realtime.rtc.node.plain import PlainNode
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import CallerPeer
from realtime.rtc.send.opus import OpusDecoder

CLOCK = MonotonicClock()
WINDOW = MelWindow.for_lookahead(80.0)
SHAPE = (120, 160, 3)


class GreyRenderer(FakeRenderer):
    """Render dark frames of the caller's size."""

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        super().render(mel_window, media_ms, speech=speech)
        return drawn(np.full(SHAPE, 30 + len(self.calls) % 8, np.uint8))

    def hand_back(self, real_image: NDArray[np.uint8], media_ms: float, progress: float) -> Drawn:
        super().hand_back(real_image, media_ms, progress)
        return drawn(np.full(SHAPE, round(30 + 170 * progress), np.uint8))


class Caller:
    """Speak a tone; show bright frames while `showing`."""

    def __init__(self) -> None:
        self.peer = CallerPeer(CLOCK, zero_ms=CLOCK.now_ms(), configuration=RTCConfiguration(iceServers=[]))
        self.showing = True
        self._task = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        start = CLOCK.now_ms()
        for i in range(10_000):
            await CLOCK.sleep_until(start + 20.0 * i)
            t = (i * BLOCK_SAMPLES + np.arange(BLOCK_SAMPLES)) / 48_000
            tone = np.asarray(8000 * np.sin(2 * np.pi * 440 * t), np.int16)
            self.peer.put_audio(AudioBlock(tone, start + 20.0 * i))
            if i % 2 == 0 and self.showing:
                self.peer.put_frame(VideoFrame(np.full(SHAPE, 196 + i // 2 % 8, np.uint8), start + 20.0 * i))

    async def join(self, node: LiplineNode | PlainNode, name: str = "") -> None:
        pc = self.peer.pc
        await pc.setLocalDescription(await pc.createOffer())
        sdp = await node.accept_caller(pc.localDescription.sdp, name=name)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        self.peer.start()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.peer.close()


class Viewer:
    """Receive and note the brightness and time of every picture, and every speech packet."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.shown: list[tuple[float, float]] = []
        self.packets: list[tuple[int, bytes]] = []
        self.streams = ReceivedStreams(
            self.pc,
            CLOCK,
            on_audio_packet=lambda sequence, timestamp, payload, at: self.packets.append((timestamp, payload)),
            on_video_frame=lambda frame, at: self.shown.append((at, float(frame.image.mean()))),
        )

    async def join(self, node: LiplineNode | PlainNode) -> None:
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = await node.accept_viewer(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def close(self) -> None:
        await self.streams.close()
        await self.pc.close()


@pytest.fixture
async def stage() -> AsyncIterator[tuple[Caller, Viewer]]:
    """Give a caller and a viewer; afterwards see that no thread of a call is left."""
    ours = ("decoder", "synth")
    before = {t for t in threading.enumerate() if any(name in t.name for name in ours)}
    caller, viewer = Caller(), Viewer()
    yield caller, viewer
    await caller.close()
    await viewer.close()
    left = {t for t in threading.enumerate() if any(name in t.name for name in ours)} - before
    assert not left


async def test_an_outage_is_bridged_and_handed_back(stage: tuple[Caller, Viewer], until: Until) -> None:
    caller, viewer = stage
    renderer = GreyRenderer()
    node = LiplineNode(lambda: renderer, WINDOW)
    try:
        await viewer.join(node)
        await caller.join(node)
        await until(lambda: len(viewer.shown) >= 25, 90)
        caller.showing = False
        await until(lambda: sum(level < 60 for _, level in viewer.shown) >= 20, 90)
        caller.showing = True
        await until(lambda: min(level for _, level in viewer.shown[-10:]) > 150, 90)
        await until(lambda: bool(node.timeline()) and node.timeline()[-1].kind is FrameKind.REAL)
    finally:
        await node.close()
    entries, counters = node.timeline(), node.snapshot()
    assert {VideoState.GOOD, VideoState.GONE, VideoState.BACK} <= {entry.video for entry in entries}
    assert {Output.REAL, Output.SYNTH, Output.RETURNING} == {entry.output for entry in entries}
    # A machine that stalls may add an outage of its own.
    assert counters["timeToReturnMs"] and counters["timeToSynthMs"]
    assert counters["synthErrors"] == 0
    names = [name for name, _ in renderer.calls]
    assert "start" in names and "hand_back" in names and names[-1] == "close"
    stamps = [timestamp for timestamp, _ in viewer.packets]
    assert all(b > a and (b - a) % 960 == 0 for a, b in zip(stamps, stamps[1:], strict=False))
    decoder = OpusDecoder()
    loud = [block for _, payload in viewer.packets if (block := decoder(payload)) is not None][20:-5]
    assert np.median([float(np.abs(block.astype(float)).mean()) for block in loud]) > 2000, "speech goes on throughout"


async def test_a_caller_with_a_model_of_their_own_is_heard_through_its_window(stage: tuple[Caller, Viewer]) -> None:
    caller, _ = stage
    own, usual, wide = GreyRenderer(), GreyRenderer(), MelWindow.for_lookahead(200.0)
    asked: list[str] = []

    def personal(name: str) -> tuple[GreyRenderer, MelWindow] | None:
        asked.append(name)
        return (own, wide) if name == "anna" else None

    node = LiplineNode(lambda: usual, WINDOW, personal=personal)
    try:
        await caller.join(node, "anna")
        held = node.snapshot()["synthesisDelayMs"]
        other = Caller()
        try:
            await other.join(node, "bert")
            assert isinstance(held, float) and node.snapshot()["synthesisDelayMs"] == held - 120.0
        finally:
            await other.close()
    finally:
        await node.close()
    assert asked == ["anna", "bert"]
    assert [renderer.calls[-1][0] for renderer in (own, usual)] == ["close", "close"]


async def test_without_a_renderer_the_last_frame_stays(stage: tuple[Caller, Viewer], until: Until) -> None:
    caller, viewer = stage
    node = LiplineNode(None, WINDOW)
    try:
        await caller.join(node)
        await viewer.join(node)
        await until(lambda: len(viewer.shown) >= 5, 90)
        caller.showing = False
        await until(lambda: int(str(node.snapshot().get("framesRepeated", 0))) >= 20, 90)
        assert node.snapshot()["framesSynth"] == 0
    finally:
        await node.close()


async def test_a_caller_that_says_goodbye_is_not_shown_talking(stage: tuple[Caller, Viewer], until: Until) -> None:
    caller, viewer = stage
    renderer = GreyRenderer()
    node = LiplineNode(lambda: renderer, WINDOW, config=NodeConfig(grace_s=1000.0))
    try:
        await caller.join(node)
        await viewer.join(node)
        await until(lambda: len(viewer.shown) >= 5, 90)
        await caller.close()
        await until(lambda: "close" in [name for name, _ in renderer.calls], 90)
        assert not node.calls, "its call did not wait for it to come back"
        second = Caller()
        renderer = GreyRenderer()
        await second.join(node)
        seen = len(viewer.shown)
        await until(lambda: len(viewer.shown) >= seen + 10, 90)
        await second.close()
    finally:
        await node.close()


async def test_a_snapshot_counts_what_viewers_were_not_sent_as_it_came(
    stage: tuple[Caller, Viewer], until: Until
) -> None:
    caller, viewer = stage
    node = LiplineNode(None, WINDOW)
    try:
        await caller.join(node)
        names = {name for name in node.snapshot() if name.startswith("viewer.")}
        assert {node.snapshot()[name] for name in names} == {0}, "nobody watches"
        await viewer.join(node)
        await until(lambda: len(viewer.shown) >= 5 and len(viewer.packets) >= 5, 90)
        (view,) = node.views.values()
        at_ms = 1e6  # after all that the call itself sends meanwhile
        for i in range(30):  # in one turn of the loop: no task of the connection takes any of it
            view.put_frame(OutputFrame(np.full(SHAPE, 90, np.uint8), at_ms + 40.0 * i, FrameKind.REAL))
            view.put_block(AudioBlock(np.zeros(BLOCK_SAMPLES, np.int16), at_ms + 20.0 * i))
        counters = {name: int(str(value)) for name, value in node.snapshot().items() if name in names}
    finally:
        await node.close()
    assert counters["viewer.framesSkipped"] >= 29 and counters["viewer.blocksDropped"] >= 20
    assert names == {f"viewer.{name}" for name in ("blocksDropped", "blocksLate", "blocksSilent", "framesSkipped",
                                                   "framesThinned")}  # fmt: skip


async def test_the_plain_node_forwards(stage: tuple[Caller, Viewer], until: Until) -> None:
    caller, viewer = stage
    node = PlainNode()
    try:
        await caller.join(node)
        await viewer.join(node)
        await until(lambda: len(viewer.shown) >= 10 and len(viewer.packets) >= 20, 90)
        assert viewer.shown[-1][1] > 150
    finally:
        await node.close()


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\nm=video", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"])
async def test_offers_that_are_none_are_refused(sdp: str) -> None:
    node = LiplineNode(GreyRenderer, WINDOW)
    plain = PlainNode(patience_s=0.01)
    try:
        for accept in (node.accept_caller, node.accept_viewer, plain.accept_caller):
            with pytest.raises(NegotiationError, match="offer"):
                await accept(sdp)
        with pytest.raises(NegotiationError, match="no caller"):
            await plain.accept_viewer(sdp)
        await node.add_candidate("caller", "candidate:nonsense")
        await node.add_candidate("nobody", "candidate:nonsense")
    finally:
        await node.close()
        await plain.close()
