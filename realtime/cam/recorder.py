"""A file in place of the virtual camera and the virtual microphone, timed as things left."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from realtime.clock import Clock
from realtime.devices.api import Pixels, Samples, check_block
from realtime.ending import left_s
from realtime.media import AUDIO_RATE
from realtime.media_file import MediaWriter

_DEPTH: Final = 256
_SNAP: Final = 0.75
"""Share of an interval by which a picture may be off its place and still take it."""
_DRIFT_MS: Final = 60.0
_RESERVE_S: Final = 1.5
"""Time that the end of the file and what is closed after it may take."""


class Recorder:
    """A `FrameSink` and an `AudioSink` in one that writes an MP4 on a thread of its own.

    Pictures are timed as they left; a second one within a frame interval is left out. When the encoder cannot keep up,
    pictures and sound are dropped and counted in `dropped`. A process that was asked to end drops what still waits
    1.5 s before it is ended: the film is whole all the same, and stops a little earlier.
    """

    latency_ms = 0.0

    def __init__(
        self, path: Path, size: tuple[int, int], fps: float, clock: Clock, left_s: Callable[[], float] = left_s
    ) -> None:
        """Begin the file `path`, which appears once it is complete.

        Args:
            path: file to write.
            size: width and height of the pictures.
            fps: their greatest rate.
            clock: tells when pictures and sound leave.
            left_s: returns the seconds until this process is ended, infinite while nothing has asked it to end.

        Raises:
            MediaError: it cannot be written.
        """
        # Frames of it may be synthetic: the file says so from the start.
        # The encoder shares two cores with the face: it may not take much.
        self._writer = MediaWriter(path, fps, AUDIO_RATE, synthetic=True, preset="ultrafast", live=True)
        self._clock, self._interval_ms = clock, 1000.0 / fps
        self.size = size
        self._left_s = left_s
        self._refused = self._cut = 0  # one thread counts each
        self._zero_ms: float | None = None
        self._last: Pixels | None = None
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_DEPTH)
        self._error: Exception | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Number of pictures that were written."""
        return self._writer.frames

    @property
    def dropped(self) -> int:
        """Number of pictures and blocks of sound that there was no time for."""
        return self._refused + self._cut

    def send(self, i420: Pixels) -> None:
        """Add a picture (H * 3 // 2, W) uint8 that leaves now."""
        width, height = self.size
        if i420.shape != (height * 3 // 2, width):
            raise ValueError(f"a picture of {width}x{height} as I420 is {(height * 3 // 2, width)}, not {i420.shape}")
        at_ms = self._since_begin_ms()
        self._offer(lambda: self._write_picture(i420, at_ms))

    def put(self, block: Samples) -> None:
        """Add (960,) int16 samples that leave now."""
        check_block(block)
        at_ms = self._since_begin_ms()
        self._offer(lambda: self._write_sound(block, at_ms))

    def close(self) -> None:
        """Finish the file; leave none where no picture came. Idempotent.

        Raises:
            OSError, ValueError: it could not be written.
        """
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            self._writer.abandon()
            raise self._error
        if self._writer.frames:
            self._writer.close()
        else:
            self._writer.abandon()

    def _since_begin_ms(self) -> float:
        now_ms = self._clock.now_ms()
        if self._zero_ms is None:
            self._zero_ms = now_ms
        return now_ms - self._zero_ms

    def _offer(self, work: Callable[[], None]) -> None:
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self._refused += 1

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            if self._error is not None:
                continue
            if self._too_late():
                self._cut += 1
                continue
            try:
                work()
            except Exception as error:
                self._error = error

    def _too_late(self) -> bool:
        return self._left_s() < _RESERVE_S

    def _write_picture(self, i420: Pixels, at_ms: float) -> None:
        off = at_ms / self._interval_ms - self._writer.frames
        if off < -_SNAP:
            return
        before = i420 if self._last is None else self._last
        while off > _SNAP:
            if self._too_late():
                self._cut += 1
                return
            self._writer.write_i420(before)
            off -= 1.0
        self._writer.write_i420(i420)
        self._last = i420

    def _write_sound(self, block: Samples, at_ms: float) -> None:
        missing_ms = at_ms - self._writer.samples * 1000.0 / AUDIO_RATE
        if missing_ms > _DRIFT_MS or (self._writer.samples == 0 and missing_ms > 0.0):
            self._writer.write_audio(np.zeros(round(missing_ms * AUDIO_RATE / 1000.0), np.float32))
        self._writer.write_audio(block.astype(np.float32) / 32768.0)
