"""The webcam of a local call, and a clip that plays in its place."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from realtime.devices.api import CameraFrame, DeviceError, Fault, OnFrame, OnLost
from realtime.devices.watch import WatchThreads


class FrameReading(Protocol):
    """An opened camera."""

    name: str
    size: tuple[int, int]
    fps: float

    def read(self) -> CameraFrame | None:
        """Return the next picture, or None when there is none yet; raises DeviceError when the camera is gone."""

    def close(self) -> None:
        """Let go of it. Idempotent."""


class WatchedCamera:
    """A camera on two threads: one reads what `open_reading` opened, one passes on the newest picture.

    Attributes:
        name: name of the camera, also while it is away.
        size: width and height in px.
        fps: nominal rate in pictures a second.
    """

    def __init__(
        self,
        open_reading: Callable[[], FrameReading],
        *,
        name: str,
        size: tuple[int, int],
        fps: float,
    ) -> None:
        self.name, self.size, self.fps = name, size, fps
        self._open = open_reading
        # Opening may take its 5 s.
        self._threads: WatchThreads[CameraFrame] = WatchThreads(patience_s=6.0)

    @property
    def dropped(self) -> int:
        """Number of pictures that were dropped because a newer one had come."""
        return self._threads.dropped

    @property
    def outages(self) -> int:
        """Number of times that pictures stopped coming."""
        return self._threads.outages

    def start(self, on_frame: OnFrame, on_lost: OnLost) -> None:
        """Open the camera and begin; raises DeviceError when it cannot be opened."""
        if self._threads.started:
            raise RuntimeError("a camera is started once")
        reading = self._open()
        self.name, self.size, self.fps = reading.name, reading.size, reading.fps or self.fps
        names = (f"camera {self.name}", "camera pictures")
        self._threads.start(reading, self._open, on_frame, on_lost, name=self.name, threads=names)

    def close(self) -> None:
        """Stop and let go of the camera. Idempotent."""
        self._threads.close()


class Webcam(WatchedCamera):
    """A real webcam, opened by name and found again by name after it was unplugged."""

    def __init__(
        self,
        name: str = "",
        size: tuple[int, int] = (640, 480),
        fps: float = 30.0,
    ) -> None:
        """Choose the camera `name`: its path, its name or part of it; "" is the first camera that is not ours."""
        super().__init__(self._find, name=name, size=size, fps=fps)
        self._place = ""

    def _find(self) -> FrameReading:
        from realtime.devices.avcamera import open_webcam

        reader, place = open_webcam(self.name, self.size, self.fps, self._place)
        # From now on it is looked for by the name that it has, not by the number that it had.
        self.name, self._place = reader.name, place or self._place
        return reader


class FileCamera(WatchedCamera):
    """A clip in place of a webcam, played in real time, over and over."""

    def __init__(self, path: str | Path, *, loop: bool = True) -> None:
        """Read size and rate of the clip.

        Raises:
            MediaError: the file is missing or has no video.
        """
        from realtime.media_file import MediaError, probe

        info = probe(path)
        if not info.has_video:
            raise MediaError(f"{path} has no video: give a file that shows a face")
        size = (info.width // 2 * 2, info.height // 2 * 2)
        super().__init__(lambda: _ClipReading(path, size, info.fps, loop), name=str(path), size=size, fps=info.fps)


class _ClipReading:
    """An opened clip, which gives its pictures when they are due."""

    def __init__(self, path: str | Path, size: tuple[int, int], fps: float, loop: bool) -> None:
        self.name, self.size, self.fps = str(path), size, fps
        self._path, self._loop = path, loop
        self._frames: Any = None
        self._due_ms = time.monotonic() * 1000.0
        self._next: Any = None

    def read(self) -> CameraFrame | None:
        from realtime.media_file import read_video

        if self._next is None:
            if self._frames is None:
                self._frames = iter(read_video(self._path, self.fps))
            self._next = next(self._frames, None)
            if self._next is None:
                if not self._loop:
                    raise DeviceError(Fault.MISSING, f"{self.name} is at its end")
                self._frames = None
                return None
        now_ms = time.monotonic() * 1000.0
        if now_ms < self._due_ms:
            return None
        image, self._next = self._next.image, None
        captured_ms = self._due_ms
        # A machine that slept does not play what it missed.
        self._due_ms = max(self._due_ms + 1000.0 / self.fps, now_ms - 200.0)
        return _cropped(image, self.size, captured_ms)

    def close(self) -> None:
        self._frames = self._next = None


def _cropped(image: Any, size: tuple[int, int], captured_ms: float) -> CameraFrame:
    import cv2
    import numpy as np

    even = np.ascontiguousarray(image[: size[1], : size[0]])
    return CameraFrame(even, np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8), captured_ms)
