"""The protocols of cameras and sound devices, which real devices and those in memory follow alike."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from realtime.media import BLOCK_SAMPLES

Pixels = NDArray[np.uint8]
Samples = NDArray[np.int16]

OUR_NAME = "lipline"
"""What our virtual camera and microphone are called."""


class Fault(Enum):
    """The kind of a fault of a device."""

    MISSING = "missing"
    BUSY = "busy"
    DENIED = "no permission"
    FORMAT = "wrong format"
    STALLED = "stalled"
    NOT_SET_UP = "not set up"
    FAILED = "failed"


class DeviceError(OSError):
    """A fault of a device: one line that says what is wrong and what to do about it."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame:
    """A picture of a camera.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        i420: (H * 3 // 2, W) uint8, planes Y, U, V one below the other, in video range; the camera's own bytes where
            it gives 4:2:0. None where width or height is odd.
        captured_ms: monotonic time in ms (`time.monotonic`) at which it was taken.
    """

    image: Pixels
    i420: Pixels | None
    captured_ms: float


OnFrame = Callable[[CameraFrame], None]
OnBlock = Callable[[Samples, float], None]
OnLost = Callable[[DeviceError], None]


class Camera(Protocol):
    """A camera, which gives pictures on a thread of its own."""

    @property
    def name(self) -> str:
        """Name by which it is found again after a loss."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures, in px; the requested size until it runs."""

    @property
    def fps(self) -> float:
        """Nominal rate in pictures a second; the requested rate until it runs."""

    def start(self, on_frame: OnFrame, on_lost: OnLost) -> None:
        """Begin; call once.

        Both are called on one thread of the camera's: `on_frame` with the newest picture (of those that come while it
        runs, only the last is kept), `on_lost` once each time that pictures stop coming. The camera is then looked for
        by its name until it is back, and `on_frame` goes on.

        Raises:
            DeviceError: it cannot be opened now.
        """

    def close(self) -> None:
        """Stop; nothing is called any more once this returns. Idempotent."""


class FrameSink(Protocol):
    """What shows pictures."""

    def send(self, i420: Pixels) -> None:
        """Show a picture (H * 3 // 2, W) uint8 of the sink's size; does not wait for anybody to look.

        Raises:
            ValueError: the picture has another size.
            DeviceError: the device went away.
        """

    def close(self) -> None:
        """Let go of the device. Idempotent."""


class SoundSource(Protocol):
    """A source of sound, which gives blocks on a thread of its own."""

    def start(self, on_block: OnBlock, on_lost: OnLost | None = None) -> None:
        """Begin; call once.

        `on_block` gets (960,) int16 samples, 20 ms at 48 kHz, and the monotonic time in ms of the first one. `on_lost`
        is called once each time that sound stops coming; it goes on when the device is back.

        Raises:
            DeviceError: it cannot be opened now.
        """

    def close(self) -> None:
        """Stop; nothing is called any more once this returns. Idempotent."""


class AudioSink(Protocol):
    """What plays sound."""

    @property
    def latency_ms(self) -> float:
        """Time until sound that is put now is heard, in ms, as far as is known."""

    def put(self, block: Samples) -> None:
        """Add (960,) int16 samples, 20 ms at 48 kHz, to a bounded queue that drops the oldest; never waits.

        Raises:
            ValueError: the block has another length.
        """

    def close(self) -> None:
        """Let go of the device. Idempotent."""


def check_block(block: Samples) -> None:
    """Raise ValueError unless `block` is (960,) int16."""
    if block.shape != (BLOCK_SAMPLES,) or block.dtype != "int16":
        raise ValueError(f"sound comes in blocks of ({BLOCK_SAMPLES},) int16, not {block.shape} {block.dtype}")
