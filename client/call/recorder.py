"""What `lipline call --view` keeps: pictures and sound from one connection after another, in one file."""

import asyncio
from collections import deque
from pathlib import Path

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection
from numpy.typing import NDArray

from models.generator import Image
from realtime.clock import Clock
from realtime.media import BLOCK_SAMPLES, VideoFrame
from realtime.media_file import MediaWriter
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.opus import OpusDecoder
from realtime.threads import in_thread

FPS = 25
QUEUE_BLOCKS = 15


class Downlink:
    """One connection that receives into a recording."""

    def __init__(self, clock: Clock, recording: "Recording") -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTransceiver("video", direction="recvonly")
        self.pc.addTransceiver("audio", direction="recvonly")
        self._streams = ReceivedStreams(self.pc, clock, on_audio_packet=recording.hear, on_video_frame=recording.see)

    def begin(self) -> None:
        """Nothing is left to start: media are received from the first packet on."""

    async def close(self) -> None:
        """End the connection. Idempotent."""
        await self._streams.close()
        await self.pc.close()


class Recording:
    """Record what arrives: 25 pictures a second, the newest one each time, with the sound in step. Event loop only."""

    def __init__(self, path: Path, clock: Clock) -> None:
        # The other end may show synthetic frames at any time: the file is marked for machines from the start.
        self._writer = MediaWriter(path, FPS, synthetic=True, live=True)
        self._path, self._clock = path, clock
        self._decode = OpusDecoder()
        self._newest: Image | None = None
        self._first = asyncio.Event()
        self._sound: deque[NDArray[np.int16]] = deque(maxlen=QUEUE_BLOCKS)
        self._finished = False

    @property
    def seconds(self) -> float:
        """Length of what has been written, in s."""
        return self._writer.frames / FPS

    def see(self, frame: VideoFrame, _arrival_ms: float) -> None:
        """Add a picture."""
        if self._newest is None or frame.image.shape == self._newest.shape:
            self._newest = frame.image
            self._first.set()

    def hear(self, _sequence: int, _timestamp: int, payload: bytes, _arrival_ms: float) -> None:
        """Add a packet of sound; when too much waits, the oldest is dropped."""
        samples = self._decode(payload)
        if samples is not None:
            self._sound.append(samples)

    async def run(self) -> None:
        """Write until cancelled."""
        await self._first.wait()
        assert self._newest is not None
        self._sound.clear()
        due_ms = self._clock.now_ms()
        while True:
            await self._clock.sleep_until(due_ms)
            due_ms += 1000.0 / FPS
            blocks = [self._sound.popleft() if self._sound else np.zeros(BLOCK_SAMPLES, np.int16) for _ in range(2)]
            # Encoding takes a few ms, so it is off the loop; `finish` may not touch the encoder before it is done.
            await in_thread(self._write, self._newest, np.concatenate(blocks))

    def summary(self) -> str:
        """Return what was recorded."""
        if not self._writer.frames:
            return f"nothing came: {self._path} was not written"
        return f"{self._path}: {self.seconds:.1f} s"

    async def finish(self) -> None:
        """Finish the file; leave none when nothing came. Idempotent."""
        if self._finished:
            return
        self._finished = True
        await in_thread(self._writer.close if self._writer.frames else self._writer.abandon)

    def _write(self, image: Image, samples: NDArray[np.int16]) -> None:
        self._writer.write_frame(image)
        self._writer.write_audio(samples.astype(np.float32) / 32768.0)
