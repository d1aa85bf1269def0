"""Decode video on a thread of its own: every frame is decoded, only the newest is turned into pixels."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from realtime.rtc.assemble import EncodedFrame

_DECODERS = {"VP8": "libvpx", "H264": "h264"}
QUEUE_FRAMES = 60


class VideoDecoder:
    """Decode frames in order; `on_image(image, rtp_timestamp)` and `on_error()` are called on the decoder's thread.

    `image` is (H, W, 3) uint8 BGR. When the decoder is behind, older frames are decoded but not shown.
    """

    def __init__(self, *, on_image: Callable[[NDArray[np.uint8], int], None], on_error: Callable[[], None]) -> None:
        self._on_image = on_image
        self._on_error = on_error
        self._frames: queue.Queue[EncodedFrame | None] = queue.Queue(QUEUE_FRAMES)
        self._codec: VideoCodecContext | None = None
        self._codec_name = ""
        self._thread = threading.Thread(target=self._run, name="video-decoder", daemon=True)
        self._thread.start()

    def put(self, frame: EncodedFrame) -> bool:
        """Queue a frame without blocking; return False if the queue was full (then go on with a keyframe)."""
        try:
            self._frames.put_nowait(frame)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End the thread and wait for it, for about one frame's time. Idempotent; blocks, so call it off the loop."""
        while self._thread.is_alive():
            try:
                self._frames.put(None, timeout=0.05)
            except queue.Full:
                self._drain()
                continue
            self._thread.join()

    def _drain(self) -> None:
        try:
            while True:
                self._frames.get_nowait()
        except queue.Empty:
            return

    def _run(self) -> None:
        while (frame := self._frames.get()) is not None:
            try:
                pictures = self._decode(frame)
            except (av.FFmpegError, ValueError):
                self._codec = None  # a keyframe follows; begin with a clean decoder
                self._on_error()
                continue
            if pictures and self._frames.qsize() < 2:
                self._on_image(pictures[-1].to_ndarray(format="bgr24").astype(np.uint8, copy=False), frame.timestamp)

    def _decode(self, frame: EncodedFrame) -> list[av.VideoFrame]:
        if self._codec is None or self._codec_name != frame.codec:
            name = _DECODERS.get(frame.codec.upper())
            if name is None:
                raise ValueError(f"no decoder for {frame.codec}")
            codec = av.CodecContext.create(name, "r")
            assert isinstance(codec, VideoCodecContext)
            codec.thread_count = 1  # frame threads would delay every picture by one
            self._codec, self._codec_name = codec, frame.codec
        packet: av.Packet[Any] = av.Packet(frame.data)
        return list(self._codec.decode(packet))
