"""The viewer's process: watch the call and keep every picture and sound with the time of its arrival."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np
from aiortc import RTCPeerConnection
from numpy.typing import NDArray

from client.call.connections import until_connected
from client.call.meeting import Meeting
from client.rig.order import Keep, Order, Wire
from client.rig.picture import SMALL, brightness, changed, planar, shrunk
from client.rig.seen import Sound, ViewerRecord, lateness, lay_out
from realtime.clock import Clock, MonotonicClock
from realtime.media import VideoFrame
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.opus import OpusDecoder
from realtime.threads import in_thread
from signaling.messages import Role

MOST_S: Final[dict[Keep, int]] = {"pictures": 120, "measured": 300}
"""Length of the longest call that is kept, in s: a whole picture takes 200 times the memory of a measured one."""

_TOLD_S = 0.5
_log = logging.getLogger(__name__)


async def view(order: Order, wire: Wire) -> None:
    """Watch until told to stop; write what arrived as npz."""
    async with AsyncExitStack() as stack:
        meeting = await stack.enter_async_context(
            Meeting(order.url, order.room, order.token, Role.VIEWER, "viewer", _log.info)
        )
        pc = RTCPeerConnection()
        stack.push_async_callback(pc.close)
        viewer = Viewer(pc, MonotonicClock(), order.keep)
        await meeting.offer(pc)
        await until_connected(pc)
        wire.say("connected")
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        while not stopping.done():
            wire.say("pictures", count=viewer.pictures)
            await asyncio.wait({stopping}, timeout=_TOLD_S)
        seen = await viewer.result(zero_ms, zero_ms + order.seconds * 1000.0)
        await in_thread(seen.save, Path(order.out))
        wire.say("done", pictures=len(seen.frame_ms))


class Viewer:
    """Receive on one peer connection, from before its offer until `result`. Belongs to one event loop.

    Both streams come through lipline's receiver, so that no jitter buffer hides when something arrived. With `keep`
    "pictures" whole pictures are kept and measured at the end; with "measured" each is measured as it comes and thrown
    away, so that a call may be long.
    """

    def __init__(self, pc: RTCPeerConnection, clock: Clock, keep: Keep) -> None:
        self._keep: Keep = keep
        self._times: list[tuple[float, float]] = []
        self._planes: list[NDArray[np.uint8]] = []
        self._measured: list[tuple[bool, NDArray[np.uint8]]] = []
        self._last: NDArray[np.uint8] | None = None
        self._sounds: list[Sound] = []
        self._decoder = OpusDecoder()
        pc.addTransceiver("video", direction="recvonly")
        pc.addTransceiver("audio", direction="recvonly")
        self._streams = ReceivedStreams(pc, clock, on_audio_packet=self._hear, on_video_frame=self._see)

    @property
    def pictures(self) -> int:
        """Count of the pictures that have arrived."""
        return len(self._times)

    async def result(self, zero_ms: float, end_ms: float) -> ViewerRecord:
        """Stop, and return what came between `zero_ms` and `end_ms` of the clock, in ms of the call."""
        await self._streams.close()
        kept = [row for row, (arrival_ms, _) in enumerate(self._times) if zero_ms <= arrival_ms <= end_ms]
        if self._keep == "pictures":
            # Pictures of another size cannot be compared with the rest.
            kept = [row for row in kept if self._planes[row].shape == self._planes[kept[-1]].shape]
        times = np.array([self._times[row] for row in kept], np.float64).reshape(-1, 2)
        frames, differs, small = self._pictures_of(kept)
        return ViewerRecord(
            times[:, 0] - zero_ms,
            times[:, 1],
            differs,
            small,
            frames,
            np.array([arrival_ms for arrival_ms, _, _ in self._sounds], np.float64) - zero_ms,
            lateness(self._sounds),
            lay_out(self._sounds, zero_ms, end_ms),
        )

    def _pictures_of(self, kept: list[int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint8]]:
        """Return planes, `differs` and small brightness of the rows `kept`."""
        if self._keep == "measured":
            rows = [self._measured[row] for row in kept]
            small = np.array([row[1] for row in rows], np.uint8).reshape(-1, *SMALL[::-1])
            return np.zeros((len(kept), 0, 0), np.uint8), np.array([row[0] for row in rows], np.bool_), small
        frames = np.stack([self._planes[row] for row in kept]) if kept else np.zeros((0, 3, 2), np.uint8)
        luma = brightness(frames)
        small = np.array([shrunk(picture) for picture in luma], np.uint8).reshape(-1, *SMALL[::-1])
        return frames, changed(luma), small

    def _see(self, frame: VideoFrame, arrival_ms: float) -> None:
        if len(self._times) >= MOST_S[self._keep] * 30:
            return
        planes = planar(frame.image)
        self._times.append((arrival_ms, frame.media_ms))
        if self._keep == "pictures":
            self._planes.append(planes)
            return
        luma = brightness(planes)
        before, self._last = self._last, luma
        same_size = before is not None and before.shape == luma.shape
        differs = bool(changed(np.stack([before, luma]))[1]) if same_size and before is not None else True
        self._measured.append((differs, shrunk(luma)))

    def _hear(self, _sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        samples = self._decoder(payload)
        if samples is not None and len(self._sounds) < MOST_S[self._keep] * 50:
            self._sounds.append((arrival_ms, timestamp, samples))
