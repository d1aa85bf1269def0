"""Devices in memory, in place of real ones."""

from collections import deque

from realtime.devices.api import CameraFrame, DeviceError, OnBlock, OnFrame, OnLost, Pixels, Samples, check_block


class MemoryCamera:
    """A camera that gives the pictures that it is handed, on the caller's thread."""

    def __init__(self, name: str = "memory", size: tuple[int, int] = (640, 480), fps: float = 30.0) -> None:
        self.name, self.size, self.fps = name, size, fps
        self.closed = False
        self._on_frame: OnFrame | None = None
        self._on_lost: OnLost | None = None

    def start(self, on_frame: OnFrame, on_lost: OnLost) -> None:
        """Remember whom to tell."""
        self._on_frame, self._on_lost = on_frame, on_lost

    def push(self, frame: CameraFrame) -> None:
        """Give a picture to whoever started the camera."""
        if self._on_frame is not None and not self.closed:
            self._on_frame(frame)

    def lose(self, error: DeviceError) -> None:
        """Stop giving pictures, as if unplugged."""
        if self._on_lost is not None and not self.closed:
            self._on_lost(error)

    def close(self) -> None:
        """Give no more."""
        self.closed = True


class MemoryFrames:
    """A picture sink that keeps the last `limit` pictures."""

    def __init__(self, size: tuple[int, int] = (640, 480), limit: int = 1000) -> None:
        self.size = size
        self.frames: deque[Pixels] = deque(maxlen=limit)
        self.sent = 0
        self.closed = False

    def send(self, i420: Pixels) -> None:
        """Keep a copy."""
        width, height = self.size
        if i420.shape != (height * 3 // 2, width):
            raise ValueError(f"a picture of {width}x{height} as I420 is {(height * 3 // 2, width)}, not {i420.shape}")
        self.frames.append(i420.copy())
        self.sent += 1

    def close(self) -> None:
        """Take no more."""
        self.closed = True


class MemorySource:
    """A sound source that gives the blocks that it is handed, on the caller's thread."""

    def __init__(self) -> None:
        self.closed = False
        self._on_block: OnBlock | None = None
        self._on_lost: OnLost | None = None

    def start(self, on_block: OnBlock, on_lost: OnLost | None = None) -> None:
        """Remember whom to tell."""
        self._on_block, self._on_lost = on_block, on_lost

    def push(self, block: Samples, captured_ms: float) -> None:
        """Give (960,) int16 samples to whoever started the source."""
        check_block(block)
        if self._on_block is not None and not self.closed:
            self._on_block(block, captured_ms)

    def lose(self, error: DeviceError) -> None:
        """Stop giving sound, as if unplugged."""
        if self._on_lost is not None and not self.closed:
            self._on_lost(error)

    def close(self) -> None:
        """Give no more."""
        self.closed = True


class MemorySound:
    """A sound sink that keeps the last `limit` blocks."""

    def __init__(self, limit: int = 3000) -> None:
        self.blocks: deque[Samples] = deque(maxlen=limit)
        self.closed = False
        self.latency_ms = 0.0

    def put(self, block: Samples) -> None:
        """Keep a copy."""
        check_block(block)
        self.blocks.append(block.copy())

    def close(self) -> None:
        """Take no more."""
        self.closed = True
