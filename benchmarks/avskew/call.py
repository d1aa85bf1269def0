"""One call over real aiortc in this process: our caller on a bad uplink, the node with the beacon, a viewer."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.avskew.beacon import BeaconRenderer
from benchmarks.avskew.film import FRAME_MS, Film
from benchmarks.avskew.viewer import Notes, SkewViewer
from models.alignment import MelWindow
from realtime.clock import Clock, MonotonicClock
from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend
from realtime.rtc.node.node import LiplineNode
from realtime.rtc.send.caller import CallerPeer

WINDOW = MelWindow.for_lookahead(80.0)
"""That of the bundled generator."""
WATCH_MS = 5.0


@dataclass(frozen=True, slots=True)
class Weather:
    """The state of an uplink.

    Attributes:
        name: name of the run.
        jitter_ms: largest jitter, all the time.
        loss: share of datagrams that are lost, 0 to 1, all the time.
        delay_ms: delay, all the time.
        narrow_kbps: capacity in the bad stretches.
        good_s: length of a good stretch.
        bad_s: length of a bad stretch.
    """

    name: str
    jitter_ms: float = 0.0
    loss: float = 0.0
    delay_ms: float = 20.0
    narrow_kbps: float = 55.0
    good_s: float = 7.0
    bad_s: float = 5.0

    def trace(self, seconds: float) -> LinkTrace:
        """Return the script of a link: good, narrow, good, ..."""
        steps, at_s = [], 0.0
        while at_s < seconds:
            for rate, length_s in ((2000.0, self.good_s), (self.narrow_kbps, self.bad_s)):
                steps.append(LinkStep(at_s * 1000.0, rate, self.delay_ms, self.jitter_ms, self.loss))
                at_s += length_s
        return LinkTrace(tuple(steps))


@dataclass(frozen=True, slots=True)
class Called:
    """The outcome of a call.

    Attributes:
        notes: what the viewer received.
        counters: last counters of the node.
        pauses: how often the caller paused its video.
        missing_ms: for each synthetic frame how much of its mel window had not arrived yet.
        stall_ms: how late the event loop was at most. Caller, node and viewer share it: this is what the machine did to
            the call.
    """

    notes: Notes
    counters: dict[str, object]
    pauses: int
    missing_ms: list[float]
    stall_ms: float


async def run_call(film: Film, seconds: float, weather: Weather, *, seed: int) -> Called:
    """Run a call of `seconds` and return what the viewer noted."""
    clock = MonotonicClock()
    pauses: list[float] = []

    def on_video(flows: bool, reason: str) -> None:
        if not flows:
            pauses.append(clock.now_ms())

    async with AsyncExitStack() as stack:
        renderer = BeaconRenderer(WINDOW)
        node = LiplineNode(lambda: renderer, WINDOW)
        stack.push_async_callback(node.close)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        stack.push_async_callback(pc.close)
        watcher = SkewViewer(pc, clock)
        stack.push_async_callback(watcher.close)
        peer = CallerPeer(clock, zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]), on_video=on_video)
        stack.push_async_callback(peer.close)
        await negotiate(pc, node.accept_viewer)
        await negotiate(peer.pc, node.accept_caller)
        await connected(peer.pc, pc)
        zero_ms = clock.now_ms()
        uplink = ImpairedSend(peer.pc, ImpairedLink(weather.trace(seconds), seed=seed), clock, zero_ms=zero_ms)
        stack.push_async_callback(uplink.close)
        peer.start()
        late_ms = [0.0]
        stack.callback(asyncio.create_task(watch_loop(clock, late_ms)).cancel)
        await play(film, seconds, peer, clock, zero_ms)
        counters = node.snapshot()
    return Called(watcher.notes, counters, len(pauses), renderer.missing_ms, late_ms[0])


async def watch_loop(clock: Clock, late_ms: list[float]) -> None:
    """Note in `late_ms` by how much the event loop wakes us too late, until cancelled."""
    while True:
        due_ms = clock.now_ms() + WATCH_MS
        await clock.sleep_until(due_ms)
        late_ms[0] = max(late_ms[0], clock.now_ms() - due_ms)


async def play(film: Film, seconds: float, peer: CallerPeer, clock: Clock, zero_ms: float) -> None:
    """Push pictures and sound of `film` in real time, from `zero_ms` on the clock."""

    async def pictures() -> None:
        for index in range(int(seconds * 1000.0 / FRAME_MS)):
            # A frame is taken at the middle of its exposure and is there at its end.
            await clock.sleep_until(zero_ms + (index + 0.5) * FRAME_MS)
            peer.put_frame(VideoFrame(film.image(index), index * FRAME_MS))

    async def sound() -> None:
        for index in range(int(seconds * 1000.0 / BLOCK_MS)):
            await clock.sleep_until(zero_ms + (index + 1) * BLOCK_MS)
            block = film.samples[index * BLOCK_SAMPLES : (index + 1) * BLOCK_SAMPLES]
            peer.put_audio(AudioBlock(block, index * BLOCK_MS))

    async with asyncio.TaskGroup() as group:
        group.create_task(pictures())
        group.create_task(sound())


async def negotiate(pc: RTCPeerConnection, accept: Callable[..., object]) -> None:
    """Offer `pc` to a node's `accept_caller` or `accept_viewer` and take the answer."""
    await pc.setLocalDescription(await pc.createOffer())
    answering = accept(pc.localDescription.sdp)
    assert asyncio.iscoroutine(answering)
    await pc.setRemoteDescription(RTCSessionDescription(await answering, "answer"))


async def connected(*pcs: RTCPeerConnection) -> None:
    """Wait until all are connected; TimeoutError after 15 s."""
    async with asyncio.timeout(15.0):
        while any(pc.connectionState != "connected" for pc in pcs):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
