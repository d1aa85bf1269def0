"""The viewer's eyes and ears: keep every picture and sound with the time of its arrival."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from aiortc import RTCPeerConnection
from numpy.typing import NDArray

from client.rig.sound import AUDIO_RATE, Samples
from realtime.clock import Clock
from realtime.media import VideoFrame
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.opus import OpusDecoder
from realtime.serial import unwrap

MAX_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold what the viewer received; times in ms of the call.

    Attributes:
        frame_ms: (n,) float64 arrival of each decoded picture.
        media_ms: (n,) float64 its time on the sender's clock, from an unknown zero.
        frames: (n, H * 3 / 2, W) uint8 planar YUV 4:2:0 as decoded.
        samples: int16 48 kHz mono, laid out so that the first sample belongs to time 0 of the call.
    """

    frame_ms: NDArray[np.float64]
    media_ms: NDArray[np.float64]
    frames: NDArray[np.uint8]
    samples: Samples

    @property
    def luma(self) -> NDArray[np.uint8]:
        """Return (n, H, W): a view of the brightness planes."""
        return self.frames[:, : self.frames.shape[1] * 2 // 3]

    def save(self, path: Path) -> None:
        """Write to an uncompressed npz file."""
        np.savez(path, frame_ms=self.frame_ms, media_ms=self.media_ms, frames=self.frames, samples=self.samples)

    @classmethod
    def load(cls, path: Path) -> "Seen":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            return cls(data["frame_ms"], data["media_ms"], data["frames"], data["samples"])


class Viewer:
    """Receive on one peer connection, from before its offer until `result`. Belongs to one event loop.

    Both streams come through lipline's receiver, so that no jitter buffer hides when something arrived.
    """

    def __init__(self, pc: RTCPeerConnection, clock: Clock) -> None:
        self._pictures: list[tuple[float, float, NDArray[np.uint8]]] = []
        self._sounds: list[tuple[float, int, Samples]] = []
        self._decoder = OpusDecoder()
        pc.addTransceiver("video", direction="recvonly")
        pc.addTransceiver("audio", direction="recvonly")
        self._streams = ReceivedStreams(pc, clock, on_audio_packet=self._hear, on_video_frame=self._see)

    @property
    def pictures(self) -> int:
        """Return how many pictures have arrived."""
        return len(self._pictures)

    async def result(self, zero_ms: float, end_ms: float) -> Seen:
        """Stop, and return what came between `zero_ms` and `end_ms` of the clock, in ms of the call."""
        await self._streams.close()
        kept = [row for row in self._pictures if zero_ms <= row[0] <= end_ms]
        # Pictures of another size cannot be compared with the rest.
        kept = [row for row in kept if row[2].shape == kept[-1][2].shape]
        frames = np.stack([picture for _, _, picture in kept]) if kept else np.zeros((0, 3, 2), np.uint8)
        times, media = (np.array([row[column] for row in kept], np.float64) for column in (0, 1))
        return Seen(times - zero_ms, media, frames, lay_out(self._sounds, zero_ms, end_ms))

    def _see(self, frame: VideoFrame, arrival_ms: float) -> None:
        if len(self._pictures) < MAX_SECONDS * 30:
            # Half the memory of BGR, and what the encoder sent anyway.
            planar = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2YUV_I420), np.uint8)
            self._pictures.append((arrival_ms, frame.media_ms, planar))

    def _hear(self, _sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        samples = self._decoder(payload)
        if samples is not None and len(self._sounds) < MAX_SECONDS * 50:
            self._sounds.append((arrival_ms, timestamp, samples))


def lay_out(sounds: list[tuple[float, int, Samples]], zero_ms: float, end_ms: float) -> Samples:
    """Put blocks of sound where a player without a buffer would play them: by timestamp, the quickest one on arrival.

    Args:
        sounds: (arrival in ms, 32-bit RTP timestamp at 48 kHz, int16 mono samples) in order of arrival.
        zero_ms: arrival time that becomes sample 0.
        end_ms: arrival time at which the result ends.

    Returns:
        int16 samples; silence where nothing came.
    """
    total = max(0, round((end_ms - zero_ms) * AUDIO_RATE / 1000))
    result = np.zeros(total, np.int16)
    if not sounds:
        return result
    first = sounds[0][1]
    stamps = [unwrap(stamp, first, 32) - first for _, stamp, _ in sounds]
    offset_ms = min(arrival - stamp * 1000 / AUDIO_RATE for (arrival, _, _), stamp in zip(sounds, stamps, strict=True))
    for (_, _, samples), stamp in zip(sounds, stamps, strict=True):
        start = round((offset_ms + stamp * 1000 / AUDIO_RATE - zero_ms) * AUDIO_RATE / 1000)
        piece = samples[max(0, -start) : max(0, total - start)]
        result[max(0, start) : max(0, start) + len(piece)] = piece
    return result
