"""A call in real time over aiortc: our caller on a bad uplink that also dies and comes back, the node, a viewer.

Every 30 s the uplink narrows to 55 kbit/s for 5 s. Every 40 s the caller's connection is cut without a goodbye and a
new one offered under the same name 3 s later; every 90 s the viewer leaves and comes back.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from aiortc import RTCConfiguration, RTCPeerConnection

from benchmarks.avskew.call import connected, negotiate
from benchmarks.avskew.film import FRAME_MS, Film, make_film
from benchmarks.soak.gauges import read
from benchmarks.soak.parts import make_renderer
from benchmarks.soak.record import SoakRecord
from realtime.clock import MonotonicClock
from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.picture.synth_api import FaceRenderer
from realtime.rtc.aiortc import Forward, intercept_send
from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend
from realtime.rtc.node.node import LiplineNode, NegotiationError
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import CallerPeer
from realtime.threads import in_thread

FILM_S = 24.0
BEHIND_BLOCKS = 10
READ_S = 2.0
NARROW_EVERY_S, NARROW_AT_S, NARROW_LASTS_S = 30.0, 12.0, 5.0
CUT_EVERY_S, CUT_LASTS_S, VIEWER_EVERY_S = 40.0, 3.0, 90.0


class _Errors(logging.Handler):
    """Count what is logged as an error: a call that breaks down says so there."""

    def __init__(self, seen: SoakRecord) -> None:
        super().__init__(logging.ERROR)
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.counts["errors"] += 1


class _Viewer:
    """Watch and count; what comes is thrown away."""

    def __init__(self, seen: SoakRecord, clock: MonotonicClock) -> None:
        def see(frame: VideoFrame, at_ms: float) -> None:
            seen.counts["pictures"] += 1

        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        self._streams = ReceivedStreams(
            self.pc, clock, on_audio_packet=lambda sequence, timestamp, payload, at_ms: None, on_video_frame=see
        )

    async def close(self) -> None:
        await self._streams.close()
        await self.pc.close()


class _Caller:
    """One person who calls, over one connection after another; media time goes on through all of them."""

    def __init__(self, node: LiplineNode, film: Film, clock: MonotonicClock, seed: int) -> None:
        self._node, self._film, self._clock, self._seed = node, film, clock, seed
        self._zero_ms = clock.now_ms()
        self._peer: CallerPeer | None = None
        self._uplink: ImpairedSend | None = None

    async def connect(self, trace: LinkTrace) -> None:
        peer = CallerPeer(self._clock, zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]))
        try:
            await negotiate(peer.pc, self._node.accept_caller)
            await connected(peer.pc)
        except BaseException:
            await peer.close()
            raise
        self._seed += 1
        link = ImpairedLink(trace, seed=self._seed)
        self._uplink = ImpairedSend(peer.pc, link, self._clock, zero_ms=self._zero_ms)
        self._peer = peer
        peer.start()

    async def cut(self) -> None:
        """Go away as a dead network does: nothing more is sent, no goodbye either."""

        def swallow(datagram: bytes, forward: Forward) -> None:
            return

        if self._peer is not None:
            intercept_send(self._peer.pc, swallow)
        await self.close()

    async def close(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None and self._uplink is not None:
            await peer.close()
            await self._uplink.close()

    async def play(self) -> None:
        """Push pictures and sound, to whatever connection there is, until cancelled."""
        blocks, index = len(self._film.samples) // BLOCK_SAMPLES, 0
        while True:
            await self._clock.sleep_until(self._zero_ms + (index + 1) * BLOCK_MS)
            if self._peer is not None:
                at = index % blocks * BLOCK_SAMPLES
                self._peer.put_audio(AudioBlock(self._film.samples[at : at + BLOCK_SAMPLES], index * BLOCK_MS))
                if index % 2 == 0:
                    self._peer.put_frame(VideoFrame(self._film.image(index // 2), index // 2 * FRAME_MS))
            # What a busy machine did not record in time is lost, as at a microphone.
            behind = (self._clock.now_ms() - self._zero_ms) // BLOCK_MS - index
            index += 1 if behind < BEHIND_BLOCKS else int(behind) // 2 * 2 + 1


def script(seconds: float) -> LinkTrace:
    """Return the uplink of the whole call."""
    steps, at_s = [LinkStep(0.0, 2000.0, 20.0, 10.0, 0.01)], NARROW_AT_S
    while at_s < seconds:
        steps.append(LinkStep(at_s * 1000.0, 55.0, 20.0, 10.0, 0.01))
        steps.append(LinkStep((at_s + NARROW_LASTS_S) * 1000.0, 2000.0, 20.0, 10.0, 0.01))
        at_s += NARROW_EVERY_S
    return LinkTrace(tuple(steps))


async def run_call(minutes: float, *, renderer: str, seed: int, tell: Callable[[str], None] = print) -> SoakRecord:
    """Call for `minutes`, hang up, and return what was seen and what was left."""
    before = set(asyncio.all_tasks())
    clock, seen = MonotonicClock(), SoakRecord()
    film = await in_thread(make_film, FILM_S, size=(320, 240), seed=seed)
    window = (await in_thread(make_renderer, renderer))[1]

    def make() -> FaceRenderer:
        return make_renderer(renderer)[0]

    errors = _Errors(seen)
    logging.getLogger("realtime").addHandler(errors)
    node = LiplineNode(make, window)
    caller, viewers = _Caller(node, film, clock, seed), [_Viewer(seen, clock)]
    began = time.monotonic()
    playing = asyncio.create_task(caller.play())
    try:
        await negotiate(viewers[0].pc, node.accept_viewer)
        await _events(minutes * 60.0, caller, viewers, node, seen, clock, tell)
        seen.counters = node.snapshot()
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await caller.close()
        for viewer in viewers:
            await viewer.close()
        await node.close()
        logging.getLogger("realtime").removeHandler(errors)
    seen.wall_s = time.monotonic() - began
    seen.tasks_left = await _left(before)
    return seen


async def _events(
    seconds: float,
    caller: _Caller,
    viewers: list[_Viewer],
    node: LiplineNode,
    seen: SoakRecord,
    clock: MonotonicClock,
    tell: Callable[[str], None],
) -> None:
    trace, began = script(seconds), time.monotonic()
    await caller.connect(trace)
    cut_s, back_s, viewer_s = CUT_EVERY_S * 0.75, float("inf"), VIEWER_EVERY_S
    while (at_s := time.monotonic() - began) < seconds:
        if at_s >= back_s:
            try:
                await caller.connect(trace)
                back_s = float("inf")
            except (TimeoutError, NegotiationError) as error:
                tell(f"no connection: {type(error).__name__} {error}")
                seen.counts["failed"] += 1
                back_s = at_s + CUT_LASTS_S
        elif at_s >= cut_s:
            await caller.cut()
            seen.counts["cuts"] += 1
            cut_s, back_s = cut_s + CUT_EVERY_S, at_s + CUT_LASTS_S
        if at_s >= viewer_s:
            viewer_s += VIEWER_EVERY_S
            await viewers.pop().close()
            viewers.append(_Viewer(seen, clock))
            await negotiate(viewers[0].pc, node.accept_viewer)
            seen.counts["viewer returns"] += 1
        _look(at_s, node, seen, tell)
        await asyncio.sleep(READ_S)


def _look(at_s: float, node: LiplineNode, seen: SoakRecord, tell: Callable[[str], None]) -> None:
    counters = node.snapshot()
    reading = read(at_s / 3600.0)
    seen.readings.append(reading)
    seen.tasks.append(len(asyncio.all_tasks()))
    skew = counters.get("avSkewAbsMs")
    seen.skew_ms.append(float(skew["p95"]) if isinstance(skew, dict) else 0.0)
    seen.delay_ms.append(float(str(counters.get("playoutDelayMs", 0.0))))
    seen.target_ms.append(float(str(counters.get("playoutTargetMs", 0.0))))
    if len(seen.readings) % 5 == 0:
        tell(
            f"{at_s / 60:6.1f} min, {reading.rss_mb:7.1f} MiB, {reading.threads} threads, {seen.tasks[-1]} tasks, "
            f"{reading.fds} fds, skew p95 {seen.skew_ms[-1]:5.1f} ms, delay {seen.delay_ms[-1]:5.1f} ms, "
            f"{seen.counts['pictures']} pictures, {counters.get('linkState')}"
        )


async def _left(before: "set[asyncio.Task[object]]") -> list[str]:
    """Return the tasks that are still there once those that are ending have ended; 5 s at most."""
    for _ in range(50):
        left = [task for task in asyncio.all_tasks() - before if not task.done()]
        if not left:
            return []
        await asyncio.sleep(0.1)
    return [repr(task.get_coro()) for task in left]
