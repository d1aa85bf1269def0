"""The viewer's process: keep when every picture and sound came, and of the pictures what is measured of them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from aiortc import RTCPeerConnection
from numpy.typing import NDArray

from client.call.joining import offer_to_node, until_connected
from client.demo.measure import changed
from client.rig.order import Order, Wire
from client.rig.seen import lay_out
from client.rig.sound import AUDIO_RATE, Samples
from models.generator import Image
from realtime.clock import Clock, MonotonicClock
from realtime.media import VideoFrame
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.opus import OpusDecoder
from realtime.serial import unwrap
from signaling.client import SignalingClient
from signaling.messages import Role

SMALL = (48, 36)
"""Size in px of the pictures by which frames of the clip are recognised."""

MAX_SECONDS = 300

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Watched:
    """Hold what a viewer received; times in ms of the call.

    Attributes:
        frame_ms: (n,) arrival of each decoded picture.
        media_ms: (n,) its time on the node's clock, from an unknown zero.
        differs: (n,) whether it differs from the one before it.
        small: (n, 36, 48) uint8 brightness, by which frames of the clip are recognised.
        sound_ms: (m,) arrival of each 20 ms of sound.
        late_ms: (m,) how much later than the quickest one it came, by its RTP timestamp.
        samples: int16 48 kHz mono by timestamp, the quickest one on arrival; sample 0 belongs to time 0 of the call.
    """

    frame_ms: Floats
    media_ms: Floats
    differs: NDArray[np.bool_]
    small: NDArray[np.uint8]
    sound_ms: Floats
    late_ms: Floats
    samples: Samples

    def save(self, path: Path) -> None:
        """Write to an uncompressed npz file."""
        np.savez(path, **{name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> "Watched":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            return cls(**{name: data[name] for name in cls.__dataclass_fields__})


class Watcher:
    """Receive on one peer connection, from before its offer until `result`. Belongs to one event loop.

    Both streams come through lipline's receiver, so that no jitter buffer hides when something arrived.
    """

    def __init__(self, pc: RTCPeerConnection, clock: Clock) -> None:
        self._pictures: list[tuple[float, float, bool, NDArray[np.uint8]]] = []
        self._sounds: list[tuple[float, int, Samples]] = []
        self._last: NDArray[np.uint8] | None = None
        self._decoder = OpusDecoder()
        pc.addTransceiver("video", direction="recvonly")
        pc.addTransceiver("audio", direction="recvonly")
        self._streams = ReceivedStreams(pc, clock, on_audio_packet=self._hear, on_video_frame=self._see)

    async def result(self, zero_ms: float, end_ms: float) -> Watched:
        """Stop, and return what came between `zero_ms` and `end_ms` of the clock, in ms of the call."""
        await self._streams.close()
        kept = [row for row in self._pictures if zero_ms <= row[0] <= end_ms]
        small = np.stack([row[3] for row in kept]) if kept else np.zeros((0, *SMALL[::-1]), np.uint8)
        return Watched(
            np.array([row[0] for row in kept], np.float64) - zero_ms,
            np.array([row[1] for row in kept], np.float64),
            np.array([row[2] for row in kept], np.bool_),
            small,
            np.array([arrival for arrival, _, _ in self._sounds], np.float64) - zero_ms,
            lateness([(arrival, stamp) for arrival, stamp, _ in self._sounds]),
            lay_out(self._sounds, zero_ms, end_ms),
        )

    def _see(self, frame: VideoFrame, arrival_ms: float) -> None:
        if len(self._pictures) >= MAX_SECONDS * 30:
            return
        luma = brightness(frame.image)
        before, self._last = self._last, luma
        same_size = before is not None and before.shape == luma.shape
        differs = bool(changed(np.stack([before, luma]))[1]) if same_size and before is not None else True
        self._pictures.append((arrival_ms, frame.media_ms, differs, shrunk(luma)))

    def _hear(self, _sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        samples = self._decoder(payload)
        if samples is not None and len(self._sounds) < MAX_SECONDS * 50:
            self._sounds.append((arrival_ms, timestamp, samples))


def brightness(image: Image) -> NDArray[np.uint8]:
    """Return the luma (H, W) of a BGR image, as an encoder sees it."""
    planar = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
    return planar[: planar.shape[0] * 2 // 3]


def shrunk(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return luma as the small picture by which frames are recognised."""
    return np.asarray(cv2.resize(luma, SMALL, interpolation=cv2.INTER_AREA), np.uint8)


def lateness(sounds: list[tuple[float, int]]) -> Floats:
    """Return for each (arrival in ms, 32-bit RTP timestamp) by how many ms it came later than the quickest one."""
    if not sounds:
        return np.zeros(0)
    first = sounds[0][1]
    transit = [arrival - (unwrap(stamp, first, 32) - first) * 1000.0 / AUDIO_RATE for arrival, stamp in sounds]
    late: Floats = np.array(transit) - min(transit)
    return late


async def view(order: Order, wire: Wire) -> None:
    """Watch until told to stop; write what came as npz."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            SignalingClient(order.url, order.room, order.token, role=Role.VIEWER, name="viewer")
        )
        pc = RTCPeerConnection()
        stack.push_async_callback(pc.close)
        watcher = Watcher(pc, MonotonicClock())
        await offer_to_node(client, pc)
        await until_connected(pc)
        wire.say("connected")
        zero_ms = float(await wire.until("go"))
        await wire.until("stop")
        watched = await watcher.result(zero_ms, zero_ms + order.seconds * 1000.0)
        await asyncio.to_thread(watched.save, Path(order.out))
        wire.say("done")
