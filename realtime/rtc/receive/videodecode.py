"""Decode video on a thread of its own; only frames that are still in time are converted to pixels."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from realtime.rtc.receive.assemble import EncodedFrame

_DECODERS = {"VP8": "libvpx", "H264": "h264"}
MAX_PIXELS = 4096 * 2304
"""Largest picture that is decoded; a header of 10 bytes may claim 16383 x 16383."""
QUEUE_FRAMES = 60
# A hole that is filled late releases up to a second of video at once, which takes a tenth of that to decode.
MAX_BACKLOG_MS = 1_000.0
# The frames of such a burst are each shown at their own time, 200 ms after they were taken.
SHOW_BACKLOG_MS = 200.0
_RATE_PER_MS = 90.0


def _media_ms(first: EncodedFrame, last: EncodedFrame) -> float:
    return ((last.timestamp - first.timestamp) & 0xFFFFFFFF) / _RATE_PER_MS  # RTP timestamps wrap at 32 bits


class VideoDecoder:
    """Decode frames in order; `on_image(image, rtp_timestamp)` and `on_error()` are called on the decoder's thread.

    `image` is (H, W, 3) uint8 BGR. A frame more than 200 ms of media older than the newest in the queue is decoded but
    not shown; a keyframe empties the queue before it. The queue holds at most `max_backlog_ms` of media and
    `QUEUE_FRAMES` frames.

    Attributes:
        frames_skipped: number of frames that were never decoded.
    """

    def __init__(
        self,
        *,
        on_image: Callable[[NDArray[np.uint8], int], None],
        on_error: Callable[[], None],
        max_backlog_ms: float = MAX_BACKLOG_MS,
    ) -> None:
        self._on_image = on_image
        self._on_error = on_error
        self._max_backlog_ms = max_backlog_ms
        self._frames: deque[EncodedFrame] = deque()
        self._filled = threading.Condition()
        self._closed = False
        self._codec: VideoCodecContext | None = None
        self._codec_name = ""
        self.frames_skipped = 0
        self._thread = threading.Thread(target=self._run, name="video-decoder", daemon=True)
        self._thread.start()

    def put_frame(self, frame: EncodedFrame) -> bool:
        """Queue a frame without blocking; return whether there was room. If not, go on with a keyframe."""
        with self._filled:
            if frame.keyframe:
                self.frames_skipped += len(self._frames)
                self._frames.clear()  # nothing before it is needed, to decode or to show
            elif self._overflows(frame):
                self.frames_skipped += 1
                return False
            self._frames.append(frame)
            self._filled.notify()
        return True

    def close(self) -> None:
        """End the thread and wait for it, for about one frame's time. Idempotent; blocks, so call it off the loop."""
        with self._filled:
            self._closed = True
            self._filled.notify()
        self._thread.join()

    def _overflows(self, frame: EncodedFrame) -> bool:
        if not self._frames:
            return False
        return _media_ms(self._frames[0], frame) > self._max_backlog_ms or len(self._frames) >= QUEUE_FRAMES

    def _in_time(self, frame: EncodedFrame) -> bool:
        with self._filled:
            return not self._frames or _media_ms(frame, self._frames[-1]) <= SHOW_BACKLOG_MS

    def _take(self) -> EncodedFrame | None:
        with self._filled:
            self._filled.wait_for(lambda: self._closed or self._frames)
            return None if self._closed else self._frames.popleft()

    def _run(self) -> None:
        while (frame := self._take()) is not None:
            try:
                pictures = self._decode(frame)
            except (av.FFmpegError, ValueError):
                self._codec = None  # a keyframe follows; begin with a clean decoder
                self._on_error()
                continue
            if pictures and self._in_time(frame):
                self._on_image(pictures[-1].to_ndarray(format="bgr24").astype(np.uint8, copy=False), frame.timestamp)

    def _decode(self, frame: EncodedFrame) -> list[av.VideoFrame]:
        _require_size(frame)
        if self._codec is None or self._codec_name != frame.codec:
            name = _DECODERS.get(frame.codec.upper())
            if name is None:
                raise ValueError(f"no decoder for {frame.codec}")
            codec = av.CodecContext.create(name, "r")
            assert isinstance(codec, VideoCodecContext)
            codec.thread_count = 1  # frame threads would delay every picture by one
            codec.options = {"max_pixels": str(MAX_PIXELS)}
            self._codec, self._codec_name = codec, frame.codec
        packet: av.Packet[Any] = av.Packet(frame.data)
        return list(self._codec.decode(packet))


def _require_size(frame: EncodedFrame) -> None:
    """Refuse a VP8 keyframe (RFC 6386, 9.1) larger than `MAX_PIXELS`: libvpx would make room for it at once."""
    if frame.codec.upper() != "VP8" or not frame.keyframe or len(frame.data) < 10:
        return
    width, height = (int.from_bytes(frame.data[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    if width * height > MAX_PIXELS:
        raise ValueError(f"a picture of {width} x {height} is more than a call holds")
