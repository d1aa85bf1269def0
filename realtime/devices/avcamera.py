"""Open a webcam with PyAV: v4l2 on Linux, avfoundation on macOS, dshow on Windows; never blocking."""

import errno
import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from realtime.devices.api import OUR_NAME, CameraFrame, DeviceError, Fault
from realtime.devices.holders import held_by
from realtime.devices.names import VideoDevice, find_camera, list_video
from realtime.devices.set_up import MAC_CAMERA, VIDEO_GROUP, WINDOWS_CAMERA

if TYPE_CHECKING:
    from realtime.devices.v4l2 import CaptureMode

_PREFERRED: Final = ("YU12", "NV12", "YUYV", "MJPG")
"""FourCCs, those that need the least work first."""
_INPUT: Final = {"YU12": "yuv420p", "NV12": "nv12", "YUYV": "yuyv422", "MJPG": "mjpeg"}
_NON_BLOCK: Final = "+4"
"""AVFMT_FLAG_NONBLOCK: `fflags` takes it as a number only. Without it a stalled camera holds its thread for ever."""
_PLAUSIBLE_MS: Final = 2000.0
_SYSTEMS: Final = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class AvReader:
    """A reader of one open webcam. Not thread-safe."""

    WAIT_MS: Final = 20

    def __init__(self, container: Any, name: str, handle: int | None = None) -> None:
        """Read `container`; `handle` is its file descriptor, to wait on instead of polling."""
        self._container = container
        self._poll: Any = None
        if handle is not None:
            self._poll = select.poll()
            self._poll.register(handle, select.POLLIN)
        self._stream = container.streams.video[0]
        # One picture in, one out: frame threads would hold several back.
        self._stream.thread_type = "SLICE"
        self.name = name
        self.size = (int(self._stream.width), int(self._stream.height))
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)

    def read(self) -> CameraFrame | None:
        """Return the next picture, None when none came within 20 ms or one was damaged.

        Raises:
            DeviceError: the camera is gone.
        """
        from av.error import InvalidDataError

        from realtime.devices.frames import camera_frame

        # Errors count as events too: the camera that is gone says so as it is read.
        if self._poll is not None and not self._poll.poll(self.WAIT_MS):
            return None
        try:
            # A generator that was told "not yet" is over: each look needs its own.
            packet = next(self._container.demux(self._stream), None)
            frames = packet.decode() if packet is not None and packet.size else []
        except BlockingIOError:
            return None
        except InvalidDataError:
            return None
        except (OSError, ValueError) as error:
            raise DeviceError(Fault.MISSING, f"{self.name} was unplugged: plug it in again") from error
        if not frames:
            return None
        now_ms = time.monotonic() * 1000.0
        stamp_ms = float(frames[-1].time or 0.0) * 1000.0
        return camera_frame(frames[-1], stamp_ms if 0.0 <= now_ms - stamp_ms < _PLAUSIBLE_MS else now_ms)

    def close(self) -> None:
        """Let go of the camera. Idempotent."""
        with suppress(OSError):
            self._container.close()


def open_webcam(wanted: str, size: tuple[int, int], fps: float, place: str = "") -> tuple[AvReader, str]:
    """Open a webcam by name (or path, on Linux); return it and where it is plugged in.

    Raises:
        DeviceError: it is missing, busy, forbidden, or has no such size; one line with the remedy.
    """
    if sys.platform.startswith("linux"):
        device = find_camera(list_video(), wanted, place)
        return _open_v4l2(device, size, fps), device.place
    return _open_named(wanted, size, fps), ""


def choose_mode(found: "Sequence[CaptureMode]", size: tuple[int, int], fps: float, name: str) -> "CaptureMode | None":
    """Return the capture mode of `size` that is fast enough and costs the least work.

    None when the driver lists no modes; the fastest when none is fast enough.

    Raises:
        DeviceError: the camera has other sizes only.
    """
    usable = [mode for mode in found if mode.fourcc in _PREFERRED]
    if not usable:
        return None
    width, height = size
    fitting = [
        mode
        for mode in usable
        if (mode.width, mode.height) == size or (mode.scaled and mode.width >= width and mode.height >= height)
    ]
    if not fitting:
        sizes = sorted({(mode.width, mode.height) for mode in usable})
        listed = ", ".join(f"{w}x{h}" for w, h in sizes)
        raise DeviceError(Fault.FORMAT, f"{name} has no pictures of {width}x{height}: choose one of {listed}")
    return max(
        fitting,
        key=lambda mode: (mode.fps == 0.0 or mode.fps >= fps - 0.5, mode.fps if mode.fps < fps - 0.5 else 0.0,
                          -_PREFERRED.index(mode.fourcc)),
    )  # fmt: skip


def _open_v4l2(device: VideoDevice, size: tuple[int, int], fps: float) -> AvReader:
    from realtime.devices import v4l2

    if not os.access(device.path, os.R_OK | os.W_OK):
        raise open_fault(device, PermissionError(errno.EACCES, ""))
    try:
        if device.loopback and not v4l2.capabilities(device.path) & v4l2.CAPTURE:
            raise DeviceError(Fault.MISSING, f"nobody sends to the virtual camera {device.name}: start what feeds it")
        mode = choose_mode(v4l2.modes(device.path), size, fps, device.name)
    except DeviceError:
        raise
    except OSError as error:
        raise open_fault(device, error) from error
    options = {"video_size": f"{size[0]}x{size[1]}", "framerate": f"{fps:g}"}
    if mode is not None:
        options["input_format"] = _INPUT[mode.fourcc]
        if mode.fps and mode.fps < fps:
            options["framerate"] = f"{mode.fps:g}"
    try:
        before = _handles(device.path)
        container = _av_open(device.path, "v4l2", options)
        opened = _handles(device.path) - before
        reader = AvReader(container, device.name, opened.pop() if len(opened) == 1 else None)
    except (OSError, ValueError) as error:
        raise open_fault(device, error) from error
    if reader.size != size:
        reader.close()
        given = f"{reader.size[0]}x{reader.size[1]}"
        raise DeviceError(Fault.FORMAT, f"{device.name} gives pictures of {given} only: choose that size")
    return reader


def _handles(path: str) -> set[int]:
    """Return this process's file descriptors on a device, since FFmpeg does not say which one it opened."""
    found = set()
    for handle in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{handle}") == path:
                found.add(int(handle))
    return found


def _av_open(file: str, system: str, options: dict[str, str]) -> Any:
    import av

    # The timeout is for opening alone: some cameras need a second for their first picture, a stalled one has none.
    return av.open(file, format=system, options={**options, "fflags": _NON_BLOCK}, timeout=(5.0, None))


def open_fault(device: VideoDevice, error: Exception) -> DeviceError:
    """Return one line that says why a camera could not be opened, and the remedy."""
    number = getattr(error, "errno", None)
    if number == errno.EBUSY:
        who = held_by([device.path])
        return DeviceError(Fault.BUSY, f"{device.name} is in use by {who}: close it, or choose another camera")
    if number in (errno.EACCES, errno.EPERM):
        return DeviceError(Fault.DENIED, f"no permission to open {device.name} ({device.path}): {VIDEO_GROUP}")
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return DeviceError(Fault.MISSING, f"{device.name} is not there any more: plug it in again")
    if number == errno.EINVAL:
        return DeviceError(Fault.FORMAT, f"{device.name} has no such pictures ({error}): choose another size or rate")
    return DeviceError(Fault.FAILED, f"{device.name} cannot be opened ({error}): unplug it and plug it in again")


def _open_named(wanted: str, size: tuple[int, int], fps: float) -> AvReader:
    """Open a camera of macOS or Windows by its name."""
    system = _SYSTEMS.get(sys.platform)
    if system is None:
        raise DeviceError(Fault.NOT_SET_UP, f"lipline knows no cameras on {sys.platform}: use a clip")
    name = choose_named(list_named(system), wanted)
    options = {"video_size": f"{size[0]}x{size[1]}", "framerate": f"{fps:g}"}
    try:
        reader = AvReader(_av_open(f"video={name}" if system == "dshow" else name, system, options), name)
    except (OSError, ValueError) as error:
        raise named_fault(system, name, size, error) from error
    return reader


def list_named(system: str) -> list[str]:
    """Return the names of the cameras of macOS ("avfoundation") or Windows ("dshow"); [] when they are not listed."""
    import av

    try:
        devices = av.enumerate_input_devices(system)
    except (OSError, ValueError):
        return []
    # Microphones are in the same list, and FFmpeg's "Capture screen 0" is no camera.
    return [
        device.description or device.name
        for device in devices
        if "video" in (device.media_types or ["video"]) and not device.description.startswith("Capture screen")
    ]


def choose_named(names: Sequence[str], wanted: str) -> str:
    """Return the name of the camera that is meant; a virtual one of ours only if it is named in full.

    Raises:
        DeviceError: there is none.
    """
    named = [name for name in names if name == wanted] or [n for n in names if wanted.lower() in n.lower()]
    # OBS shows what we send: a camera that watches itself.
    named = [name for name in named if "OBS Virtual" not in name and name != OUR_NAME]
    if named:
        return named[0]
    if not names and wanted:  # a system that does not list its cameras may still open one
        return wanted
    meant = f"camera {wanted!r}" if wanted else "camera"
    choice = f", or choose of: {', '.join(names)}" if names else ""
    raise DeviceError(Fault.MISSING, f"there is no {meant}: plug one in and switch on its shutter or key{choice}")


def named_fault(system: str, name: str, size: tuple[int, int], error: Exception) -> DeviceError:
    """Return one line that says why a camera of macOS or Windows could not be opened, and the remedy."""
    if system == "avfoundation":
        remedy, fault = MAC_CAMERA, Fault.DENIED
    else:
        remedy, fault = f"close the program that uses it, and {WINDOWS_CAMERA}", Fault.BUSY
    text = f"{name} cannot be opened at {size[0]}x{size[1]} ({error}): {remedy}; or choose another size"
    return DeviceError(fault, text)
