"""The camera that other programs see, through pyvirtualcam: v4l2loopback on Linux, that of OBS on macOS and Windows."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from realtime.devices.api import OUR_NAME, DeviceError, Fault, Pixels
from realtime.devices.holders import held_by
from realtime.devices.names import VideoDevice, list_video
from realtime.devices.set_up import EXTRA, OBS, RELOAD, VIDEO_GROUP, load_module

SIZES: Final = ((640, 480), (1280, 720))


class VirtualCamera:
    """A `FrameSink` that other programs see as a camera, with the very bytes of I420. Not thread-safe.

    Attributes:
        name: name to choose in the other program.
        size: width and height in px.
        fps: rate that readers see.
    """

    def __init__(self, size: tuple[int, int] = (640, 480), fps: float = 30.0, *, label: str = OUR_NAME) -> None:
        """Open the virtual camera called `label`; on Linux, where there is none, the first that is free.

        Raises:
            DeviceError: it is not set up, busy, forbidden, or bound to another format; one line with the remedy.
        """
        if size[0] % 2 or size[1] % 2 or min(size) <= 0:
            raise ValueError(f"I420 needs even sizes, not {size[0]}x{size[1]}")
        self.size, self.fps = size, fps
        self._path = ""
        self._camera: Any = None
        if sys.platform.startswith("linux"):
            device = choose_loopback(list_video(), label)
            prepare(device, size)
            self.name, self._path = device.name, device.path
            self._camera = _open(size, fps, "v4l2loopback", device.path)
            self._settle(device)
        else:
            self._camera = _open(size, fps, "obs", None)
            self.name = str(self._camera.device)

    def send(self, i420: Pixels) -> None:
        """Show a picture (H * 3 // 2, W) uint8.

        Raises:
            ValueError: the picture has another size or type.
            DeviceError: the camera is closed.
        """
        width, height = self.size
        if i420.shape != (height * 3 // 2, width) or i420.dtype != np.uint8:
            wanted = f"{(height * 3 // 2, width)} uint8"
            raise ValueError(f"a picture of {width}x{height} as I420 is {wanted}, not {i420.shape} {i420.dtype}")
        if self._camera is None:
            raise DeviceError(Fault.MISSING, f"the virtual camera {self.name} is closed")
        self._camera.send(i420)

    def close(self) -> None:
        """Let go of the camera, so that it can be opened again. Idempotent."""
        if self._camera is None:
            return
        self._camera.close()
        self._camera = None
        if self._path:
            _free_if_lost(self._path)

    def _settle(self, device: VideoDevice) -> None:
        """Check that the device took our format, and set its rate."""
        from realtime.devices import v4l2

        width, height = self.size
        with suppress(OSError):
            if v4l2.output_format(self._path) != ("YU12", width, height):
                self.close()
                raise _bound(device, self.size)
        v4l2.set_rate(self._path, self.fps)


def choose_loopback(devices: Sequence[VideoDevice], label: str = OUR_NAME) -> VideoDevice:
    """Return the virtual camera called `label`, else the first one.

    Raises:
        DeviceError: there is none: the module is not loaded.
    """
    virtual = [device for device in devices if device.loopback]
    if not virtual:
        raise DeviceError(Fault.NOT_SET_UP, f"there is no virtual camera: the module is not loaded. {load_module()}")
    return next((device for device in virtual if device.name == label), virtual[0])


def prepare(device: VideoDevice, size: tuple[int, int]) -> None:
    """Prepare a v4l2loopback device so that it can be opened for sending.

    Raises:
        DeviceError: access is forbidden, another program sends to it, or a reader keeps it in another format.
    """
    from realtime.devices import v4l2

    try:
        if v4l2.sender_active(device.path):
            raise DeviceError(Fault.BUSY, _in_use(device))
        if not v4l2.capabilities(device.path) & v4l2.OUTPUT:
            v4l2.free_output(device.path)
        if not v4l2.capabilities(device.path) & v4l2.OUTPUT:
            raise DeviceError(Fault.FAILED, f"{device.name} takes no pictures any more: {RELOAD}")
    except PermissionError as error:
        what = f"{device.name} ({device.path})"
        raise DeviceError(Fault.DENIED, f"no permission to open {what}: {VIDEO_GROUP}") from error
    except DeviceError:
        raise
    except OSError as error:
        raise DeviceError(Fault.BUSY, f"{device.name} cannot be opened ({error}): close what uses it") from error
    bound = v4l2.fixed_format(device.path).split("@")[0]
    if bound and bound != f"YU12:{size[0]}x{size[1]}":
        raise _bound(device, size)


def _in_use(device: VideoDevice) -> str:
    who = held_by([device.path])
    return f"another program sends to {device.name} already ({who}): close it, or load the module with devices=2"


def _bound(device: VideoDevice, size: tuple[int, int]) -> DeviceError:
    """Return the error for a device whose format is kept by a program that opened it before."""
    from realtime.devices import v4l2

    bound = v4l2.fixed_format(device.path).split("@")[0]
    text = f"{device.name} is held in {bound or 'another format'} by {held_by([device.path])}, which opened it before"
    remedy = f"close that program, start lipline, then that program again{same_size(bound)}"
    return DeviceError(Fault.FORMAT, f"{text} lipline sent {size[0]}x{size[1]}: {remedy}")


def same_size(bound: str) -> str:
    """Return how to send in the format that readers are bound to; "" where that is not I420."""
    return f"; or keep it and give lipline --size {bound[5:].split('@')[0]}" if bound.startswith("YU12:") else ""


def _free_if_lost(path: str) -> None:
    """Restore the OUTPUT capability that 0.12 lost, for us and for the next sender."""
    from realtime.devices import v4l2

    with suppress(OSError):
        # While we sent, OUTPUT was not offered: nobody else can have begun.
        if not v4l2.capabilities(path) & v4l2.OUTPUT and not v4l2.sender_active(path, 0.0):
            v4l2.free_output(path)


def _open(size: tuple[int, int], fps: float, backend: str, device: str | None) -> Any:
    try:
        import pyvirtualcam
    except ModuleNotFoundError as error:
        raise DeviceError(Fault.NOT_SET_UP, f"pyvirtualcam is not installed: {EXTRA}") from error
    try:
        return pyvirtualcam.Camera(
            size[0], size[1], fps, fmt=pyvirtualcam.PixelFormat.I420, device=device, backend=backend
        )
    except KeyError as error:
        raise DeviceError(Fault.NOT_SET_UP, f"pyvirtualcam has no {backend} on {sys.platform}: {EXTRA}") from error
    except (RuntimeError, ValueError) as error:
        raise open_fault(str(error), backend) from error


def open_fault(text: str, backend: str) -> DeviceError:
    """Return one line that says why pyvirtualcam could not open the camera, and the remedy."""
    said = " ".join(text.split())
    if "in use" in said.lower() or "already" in said.lower():
        return DeviceError(Fault.BUSY, f"the virtual camera is in use ({said}): close OBS or the other program")
    if backend == "obs":
        return DeviceError(Fault.NOT_SET_UP, f"there is no virtual camera ({said}): {OBS}")
    return DeviceError(Fault.FAILED, f"the virtual camera cannot be opened ({said}): lipline doctor says more")
