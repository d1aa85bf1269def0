"""Play the prepared clip like camera and microphone: pushed into our caller, or as tracks for a stock one."""

import asyncio
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from client.rig.clip import FPS
from client.rig.sound import AUDIO_RATE, Samples
from realtime.clock import Clock
from realtime.media import AudioBlock, VideoFrame
from realtime.rtc.send.caller import CallerPeer

BLOCK = AUDIO_RATE // 50


async def push(images: NDArray[np.uint8], samples: Samples, peer: CallerPeer, zero_ms: float, clock: Clock) -> None:
    """Push the clip into `peer` from `zero_ms` on; media time counts from there. Return when it is over."""

    async def pictures() -> None:
        for index, image in enumerate(images):
            await clock.sleep_until(zero_ms + index * 1000.0 / FPS)
            peer.put_frame(VideoFrame(image, index * 1000.0 / FPS))

    async def sound() -> None:
        for index in range(len(samples) // BLOCK):
            # A microphone has a block when its last sample has been spoken.
            await clock.sleep_until(zero_ms + (index + 1) * 20.0)
            peer.put_audio(AudioBlock(samples[index * BLOCK : (index + 1) * BLOCK], index * 20.0))

    await asyncio.gather(pictures(), sound())


class Start:
    """The time at which the clip begins; set once, awaited by both tracks."""

    def __init__(self) -> None:
        self._set = asyncio.Event()
        self._zero_ms = 0.0

    def at(self, zero_ms: float) -> None:
        """Begin at `zero_ms`."""
        self._zero_ms = zero_ms
        self._set.set()

    async def wait(self) -> float:
        """Wait for the signal and return the time at which the clip begins."""
        await self._set.wait()
        return self._zero_ms


class ClipVideo(MediaStreamTrack):
    """Play the pictures at 25 a second; one that is late by a whole interval is left out, as a camera would."""

    kind = "video"

    def __init__(self, images: NDArray[np.uint8], start: Start, clock: Clock) -> None:
        super().__init__()
        self._images = images
        self._start = start
        self._clock = clock
        self._next = 0

    async def recv(self) -> av.VideoFrame:
        """Wait until the next picture is due and return it."""
        zero_ms = await self._start.wait()
        late = int((self._clock.now_ms() - zero_ms) * FPS / 1000.0)
        index = max(self._next, late)
        if index >= len(self._images):
            await self._clock.sleep_until(zero_ms + 1e9)
        self._next = index + 1
        await self._clock.sleep_until(zero_ms + index * 1000.0 / FPS)
        if self.readyState != "live":
            raise MediaStreamError
        frame = av.VideoFrame.from_ndarray(self._images[index], format="bgr24")
        frame.pts, frame.time_base = index * 90_000 // FPS, Fraction(1, 90_000)
        return frame


class ClipAudio(MediaStreamTrack):
    """Play the sound in blocks of 20 ms; silence after its end."""

    kind = "audio"

    def __init__(self, samples: Samples, start: Start, clock: Clock) -> None:
        super().__init__()
        self._samples = samples
        self._start = start
        self._clock = clock
        self._next = 0

    async def recv(self) -> av.AudioFrame:
        """Wait until the next block has been spoken and return it."""
        zero_ms = await self._start.wait()
        index, self._next = self._next, self._next + 1
        await self._clock.sleep_until(zero_ms + (index + 1) * 20.0)
        if self.readyState != "live":
            raise MediaStreamError
        block = np.zeros(BLOCK, np.int16)
        spoken = self._samples[index * BLOCK : (index + 1) * BLOCK]
        block[: len(spoken)] = spoken
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, index * BLOCK, Fraction(1, AUDIO_RATE)
        return frame
