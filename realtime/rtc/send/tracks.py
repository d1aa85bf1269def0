"""Outgoing tracks: pictures, and speech in blocks of 20 ms, both with timestamps that count from one media zero."""

import asyncio
from collections import deque
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from realtime.clock import Clock
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.rtc.send.opus import TIME_BASE as AUDIO_TIME_BASE
from realtime.rtc.send.packer import SpeechMode, SpeechPacker

VIDEO_TIME_BASE = Fraction(1, 90_000)
LATE_RUN = 5
"""So many late blocks in a row, at the pace of sound, mean that the source's clock stood still."""
STALL_MS = 10.0
"""Delay of our own event loop, in ms, from which on a missing block says nothing about the source."""


class EngineVideoTrack(MediaStreamTrack):
    """Send the newest frame that was put: a mailbox of one slot, so that a slow encoder skips and never queues.

    Timestamps are `media_ms - zero_ms` at 90 kHz and always rise. Event loop only.

    Attributes:
        frames_put: number of frames offered.
        frames_skipped: number of frames replaced by a newer one before they were sent.
    """

    kind = "video"

    def __init__(self, *, zero_ms: float) -> None:
        super().__init__()
        self._zero_ms = zero_ms
        self._slot: tuple[NDArray[np.uint8], float] | None = None
        self._filled = asyncio.Event()
        self._last_pts = -1
        self.frames_put = 0
        self.frames_skipped = 0

    def put_frame(self, image: NDArray[np.uint8], media_ms: float) -> None:
        """Offer `image` (H, W, 3) uint8 BGR of media time `media_ms`; it replaces one not yet taken. Never blocks."""
        self.frames_put += 1
        if self._slot is not None:
            self.frames_skipped += 1
        self._slot = (image, media_ms)
        self._filled.set()

    def media_ms(self, pts: int) -> float:
        """Return the media time of timestamp `pts` (90 kHz)."""
        return self._zero_ms + pts / 90.0

    async def recv(self) -> av.VideoFrame:
        """Wait for a frame that was not sent yet."""
        await self._filled.wait()
        if self.readyState != "live" or self._slot is None:
            raise MediaStreamError
        image, media_ms = self._slot
        self._slot = None
        self._filled.clear()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts = self._last_pts = max(self._last_pts + 1, round((media_ms - self._zero_ms) * 90.0))
        frame.time_base = VIDEO_TIME_BASE
        return frame

    def stop(self) -> None:
        """End the track and wake whoever waits in `recv`."""
        super().stop()
        self._filled.set()


class BlockAudioTrack(MediaStreamTrack):
    """Send 20 ms blocks as mono Opus packets, so that the bit rate is ours and not aiortc's 96 kbit/s stereo.

    The queue is bounded and drops its oldest block. When a block is `patience_ms` late, silence is sent until one
    arrives; not so when the event loop itself stood still: blocks are late then, but the source has not paused.
    Timestamps are the blocks' output time minus `zero_ms` at 48 kHz and rise. Event loop only.

    Attributes:
        blocks_dropped: number of blocks dropped because the queue was full.
        blocks_late: number of blocks that came after silence had been sent in their place.
        blocks_silent: number of blocks of silence sent because none came in time.
    """

    kind = "audio"

    def __init__(
        self, clock: Clock, *, zero_ms: float, bitrate: int = 24_000, queue_blocks: int = 10, patience_ms: float = 40.0
    ) -> None:
        super().__init__()
        self._clock = clock
        self._zero_ms = zero_ms
        self._packer = SpeechPacker(SpeechMode(bitrate))
        self._packets: deque[tuple[int, bytes]] = deque()
        self._late_run = 0
        self._late_since_ms = 0.0
        self._shift = 0
        self._blocks: deque[AudioBlock] = deque()
        self._queue_blocks = queue_blocks
        self._patience_ms = patience_ms
        self._filled = asyncio.Event()
        self._next_pts: int | None = None
        self._due_ms = 0.0
        self.blocks_dropped = 0
        self.blocks_late = 0
        self.blocks_silent = 0

    def put_block(self, block: AudioBlock) -> None:
        """Queue a block; the oldest one is dropped if the queue is full. Never blocks."""
        if len(self._blocks) >= self._queue_blocks:
            self._blocks.popleft()
            self.blocks_dropped += 1
        self._blocks.append(block)
        self._filled.set()

    def media_ms(self, pts: int) -> float:
        """Return the output time in ms of timestamp `pts` (48 kHz), as blocks sent now have it."""
        return self._zero_ms + (pts - self._shift) * 1000.0 / AUDIO_RATE

    async def recv(self) -> "av.Packet[Any]":
        """Wait for the next packet's blocks, or for the time at which silence must take their place."""
        while not self._packets:
            block = await self._next_block()
            if self.readyState != "live":
                raise MediaStreamError
            samples = np.zeros(BLOCK_SAMPLES, np.int16) if block is None else block.samples
            self._packets.extend(self._packer.push(samples, self._place(block)))
        pts, payload = self._packets.popleft()
        packet = av.Packet(payload)
        packet.pts = pts
        packet.time_base = AUDIO_TIME_BASE
        return packet

    def _place(self, block: AudioBlock | None) -> int:
        """Return the timestamp of `block`, or of the silence in its place."""
        pts = self._next_pts or 0
        if block is None:
            self.blocks_silent += 1
            self._due_ms += BLOCK_MS
        else:
            pts = max(pts, self._pts(block))
            self._due_ms = self._clock.now_ms() + BLOCK_MS + self._patience_ms
        self._next_pts = pts + BLOCK_SAMPLES
        return pts

    @property
    def mode(self) -> SpeechMode:
        """How speech is sent."""
        return self._packer.mode

    def set_mode(self, mode: SpeechMode) -> None:
        """Send speech as `mode` says, from the next packet or pause in the speech on."""
        self._packer.mode = mode

    def stop(self) -> None:
        """End the track and wake whoever waits in `recv`."""
        super().stop()
        self._filled.set()

    async def _next_block(self) -> AudioBlock | None:
        while self.readyState == "live":
            while self._blocks:
                block = self._blocks.popleft()
                if self._in_time(block):
                    return block
            self._filled.clear()
            if self._next_pts is None:
                await self._filled.wait()  # no silence before the first block
                continue
            # asyncio.wait_for of Python 3.11 loses a cancellation that meets the event: the sender would never stop.
            try:
                async with asyncio.timeout(max(0.0, self._due_ms - self._clock.now_ms()) / 1000.0):
                    await self._filled.wait()
            except TimeoutError:
                if not self._blocks and not self._loop_stood_still():
                    return None
        return None

    def _loop_stood_still(self) -> bool:
        """Return whether our own loop was too late to judge the source; if so, give the source more time."""
        now_ms = self._clock.now_ms()
        if now_ms - self._due_ms <= STALL_MS:
            return False
        self._due_ms = now_ms + self._patience_ms
        return True

    def _in_time(self, block: AudioBlock) -> bool:
        """Return whether `block` can still be sent: no silence was sent in its place, or it gets a new place.

        Late blocks get a new place when several arrive at the pace of sound, since the next ones will be as late.
        Blocks that a device held back and then gives all at once are soon in time again.
        """
        if self._next_pts is not None and self._pts(block) <= self._next_pts - BLOCK_SAMPLES:
            self.blocks_late += 1
            now_ms = self._clock.now_ms()
            if self._late_run == 0:
                self._late_since_ms = now_ms
            self._late_run += 1
            if self._late_run < LATE_RUN or now_ms - self._late_since_ms < (LATE_RUN - 1) * BLOCK_MS / 2:
                return False
            # The source stood still, and its stamps with it: from here on they are that much later on the wire.
            self._shift += self._next_pts - self._pts(block)
        self._late_run = 0
        return True

    def _pts(self, block: AudioBlock) -> int:
        return max(0, round((block.leaves_ms - self._zero_ms) * AUDIO_RATE / 1000.0) + self._shift)
