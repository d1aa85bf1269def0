"""The lipline node: takes one caller's media, gives every viewer the filtered call.

Negotiation is by SDP in, SDP out; who carries the SDP is no matter of this room (see signaling/agent.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from math import ceil

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import candidate_from_sdp

from models.alignment import MelWindow
from realtime.clock import Clock, MonotonicClock
from realtime.media import BLOCK_MS, AudioBlock, OutputFrame
from realtime.rtc.aiortc_compat import BitrateBounds, VideoSendControl
from realtime.rtc.callpath import CallPath, PathConfig, TimelineEntry
from realtime.rtc.control import NodeControl
from realtime.rtc.receive import ReceivedStreams
from realtime.rtc.tracks import BlockAudioTrack, EngineVideoTrack
from realtime.synth_api import FaceRenderer
from realtime.worker import SynthWorker

_LOG = logging.getLogger(__name__)

RendererFactory = Callable[[], FaceRenderer]
PersonalRenderer = Callable[[str], tuple[FaceRenderer, MelWindow] | None]


class NegotiationError(ValueError):
    """Tell that an offer could not be answered, and why."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Set the node: the call's parts, ICE servers (none: host candidates only), what viewers are sent."""

    path: PathConfig = field(default_factory=PathConfig)
    rtc: RTCConfiguration = field(default_factory=lambda: RTCConfiguration(iceServers=[]))
    audio_bitrate: int = 32_000
    video_bitrates: tuple[int, int, int] = (150_000, 1_200_000, 3_000_000)


@dataclass(slots=True)
class _Viewer:
    pc: RTCPeerConnection
    audio: BlockAudioTrack
    video: EngineVideoTrack
    control: VideoSendControl | None = None


@dataclass(slots=True)
class _Caller:
    pc: RTCPeerConnection
    streams: ReceivedStreams
    path: CallPath
    worker: SynthWorker | None
    task: asyncio.Task[None]
    ended: set[str] = field(default_factory=set)


async def answer(pc: RTCPeerConnection, offer_sdp: str, prepare: Callable[[], None] | None = None) -> str:
    """Answer an offer: set it, call `prepare` (tracks to send), and return the answer with all candidates.

    Raises:
        NegotiationError: the offer cannot be read or fits nothing we can do.
    """
    if "m=audio" not in offer_sdp and "m=video" not in offer_sdp:
        raise NegotiationError("the SDP offer has neither audio nor video: offer at least one of them")
    try:
        await pc.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        if prepare is not None:
            prepare()
        await pc.setLocalDescription(await pc.createAnswer())
    except (ValueError, KeyError, IndexError, AttributeError, AssertionError) as error:
        raise NegotiationError(
            f"the SDP offer is not usable ({type(error).__name__}): send a complete offer"
        ) from error
    except (InvalidAccessError, InvalidStateError, OperationError) as error:
        raise NegotiationError(f"the SDP offer does not fit: {error}") from error
    return str(pc.localDescription.sdp)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("the call broke down", exc_info=task.exception())


class LiplineNode:
    """Filter one call: at most one caller (a new one replaces the old) and any number of viewers.

    `renderer` makes the synthesizer of a caller, off the event loop; None repeats the last frame through an outage.
    `window` is the generator's. `personal` makes both for a caller by name, or None where it has none of their own.
    One event loop; `await close()` in a `finally`.
    """

    def __init__(
        self, renderer: RendererFactory | None, window: MelWindow, *, personal: PersonalRenderer | None = None,
        config: NodeConfig | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.config = config or NodeConfig()
        self._personal = personal
        self._clock = clock or MonotonicClock()
        self._renderer = renderer
        self._window = window
        self._zero_ms = self._clock.now_ms()
        self._caller: _Caller | None = None
        self._caller_id = ""
        self._last_timeline: list[TimelineEntry] = []
        self._last_snapshot: dict[str, object] = {}
        self._viewers: dict[str, _Viewer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._closed = False

    async def accept_caller(self, offer_sdp: str, peer_id: str = "caller", name: str = "") -> str:
        """Answer the offer of a caller called `name` (it sends audio and video) and begin its call.

        Raises:
            NegotiationError: the offer is not usable.
        """
        async with self._lock:
            await self._end_caller()
            worker, window = await self._synth_for(name)
            pc = RTCPeerConnection(self.config.rtc)
            # Media time never goes back for the viewers, whoever calls.
            start_ms = ceil((self._clock.now_ms() - self._zero_ms) / BLOCK_MS + 3) * BLOCK_MS
            path = CallPath(
                self._clock, window, worker, on_block=self._send_block, on_frame=self._send_frame,
                config=self.config.path, start_ms=start_ms,
            )  # fmt: skip
            streams = ReceivedStreams(
                pc, self._clock, on_audio_packet=path.audio_packet, on_video_frame=path.video_frame,
                on_end=lambda kind: self._track_ended(pc, kind),
            )  # fmt: skip
            path.source_ms = streams.pair.audio_ms
            NodeControl.attach(pc, path.video_flows)
            self._watch(pc, lambda: self._drop_caller(pc))
            try:
                sdp = await answer(pc, offer_sdp)
            except BaseException:
                await self._dispose(streams, pc, worker)
                raise
            task = asyncio.create_task(path.run(), name="call")
            task.add_done_callback(_tell_failure)
            self._caller, self._caller_id = _Caller(pc, streams, path, worker, task), peer_id
            return sdp

    async def _synth_for(self, name: str) -> tuple[SynthWorker | None, MelWindow]:
        """Return the renderer of the caller called `name`, in its thread, and what it hears."""
        own = await asyncio.to_thread(self._personal, name) if self._personal else None
        if own is not None:
            return SynthWorker(own[0]), own[1]
        return SynthWorker(await asyncio.to_thread(self._renderer)) if self._renderer else None, self._window

    async def accept_viewer(self, offer_sdp: str, peer_id: str = "viewer") -> str:
        """Answer a viewer's offer (it receives audio and video); frames flow as soon as there is a caller.

        Raises:
            NegotiationError: the offer is not usable.
        """
        await self._drop_viewer(peer_id)
        pc = RTCPeerConnection(self.config.rtc)
        viewer = _Viewer(
            pc,
            BlockAudioTrack(self._clock, zero_ms=0.0, bitrate=self.config.audio_bitrate),
            EngineVideoTrack(zero_ms=0.0),
        )

        def add_tracks() -> None:
            pc.addTrack(viewer.audio)
            viewer.control = VideoSendControl(pc.addTrack(viewer.video), BitrateBounds(*self.config.video_bitrates))

        self._watch(pc, lambda: self._drop_viewer(peer_id, pc))
        try:
            sdp = await answer(pc, offer_sdp, add_tracks)
        except BaseException:
            await pc.close()
            raise
        self._viewers[peer_id] = viewer
        return sdp

    async def add_candidate(self, peer_id: str, candidate: str, mid: str = "") -> None:
        """Add a remote ICE candidate line ("candidate:..."); unknown peers and broken lines are ignored."""
        pc = self._caller.pc if self._caller and peer_id == self._caller_id else None
        pc = self._viewers[peer_id].pc if peer_id in self._viewers else pc
        if pc is None or not candidate:
            return
        try:
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
            parsed.sdpMid = mid or None
            parsed.sdpMLineIndex = None if mid else 0
            await pc.addIceCandidate(parsed)
        except (ValueError, AssertionError, IndexError, InvalidStateError) as error:
            _LOG.info("a remote candidate was ignored: %s", type(error).__name__)

    async def drop(self, peer_id: str) -> None:
        """End what `peer_id` has here, caller or viewer."""
        await self._drop_viewer(peer_id)
        if self._caller is not None and peer_id == self._caller_id:
            await self._drop_caller(self._caller.pc)

    def timeline(self) -> list[TimelineEntry]:
        """Return what the last ticks of the present or last call did (20 minutes at 25 frames a second)."""
        return list(self._caller.path.timeline) if self._caller else self._last_timeline

    def snapshot(self) -> dict[str, object]:
        """Return the counters of the present or last call, ready for JSON; empty before the first."""
        if self._caller is None:
            return self._last_snapshot
        worker = self._caller.worker
        seen: dict[str, object] = {}
        if worker is not None:
            seen = {"synthErrors": worker.errors, "synthLastError": worker.last_error,
                    "framesObserved": worker.frames_observed, "facesFound": worker.faces_found,
                    "synthJobsSkipped": worker.jobs_skipped}  # fmt: skip
        received = {f"caller.{name}": value for name, value in vars(self._caller.streams.counters).items()}
        return {**self._caller.path.snapshot(), **seen, **received, "viewers": len(self._viewers)}

    async def close(self) -> None:
        """End every connection, task and thread. Idempotent."""
        self._closed = True
        async with self._lock:
            await self._end_caller()
        for peer_id in list(self._viewers):
            await self._drop_viewer(peer_id)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- fan-out -----------------------------------------------------------------------------------------------------

    def _send_block(self, block: AudioBlock) -> None:
        for viewer in self._viewers.values():
            viewer.audio.put(block)

    def _send_frame(self, frame: OutputFrame) -> None:
        for viewer in self._viewers.values():
            viewer.video.put(frame.image, frame.media_ms)

    # --- comings and goings ------------------------------------------------------------------------------------------

    def _watch(self, pc: RTCPeerConnection, gone: Callable[[], Awaitable[None]]) -> None:
        def changed() -> None:
            if pc.connectionState in ("failed", "closed"):
                self._spawn(self._forget(gone))

        pc.on("connectionstatechange", changed)

    @staticmethod
    async def _forget(gone: Callable[[], Awaitable[None]]) -> None:
        await gone()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _track_ended(self, pc: RTCPeerConnection, kind: str) -> None:
        # A goodbye (RTCP BYE) is an end and no outage: nobody is shown talking who has left.
        if self._caller is None or self._caller.pc is not pc:
            return
        self._caller.ended.add(kind)
        if {"audio", "video"} <= self._caller.ended:
            self._spawn(self._drop_caller(pc))

    async def _drop_caller(self, pc: RTCPeerConnection) -> None:
        async with self._lock:
            if self._caller is not None and self._caller.pc is pc:
                await self._end_caller()

    async def _end_caller(self) -> None:
        if self._caller is None:
            return
        self._last_timeline, self._last_snapshot = self.timeline(), self.snapshot()
        caller, self._caller = self._caller, None
        caller.task.cancel()
        await asyncio.gather(caller.task, return_exceptions=True)
        await self._dispose(caller.streams, caller.pc, caller.worker)

    @staticmethod
    async def _dispose(streams: ReceivedStreams, pc: RTCPeerConnection, worker: SynthWorker | None) -> None:
        await streams.close()
        await pc.close()
        if worker is not None:
            await asyncio.to_thread(worker.close)

    async def _drop_viewer(self, peer_id: str, pc: RTCPeerConnection | None = None) -> None:
        viewer = self._viewers.get(peer_id)
        if viewer is None or (pc is not None and viewer.pc is not pc):
            return
        del self._viewers[peer_id]
        viewer.audio.stop()
        viewer.video.stop()
        await viewer.pc.close()
