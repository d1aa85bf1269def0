"""The V4L2 calls that PyAV and pyvirtualcam do not make: what a device can do, and a remedy for v4l2loopback.

Numbers and layouts are those of the kernel's `linux/videodev2.h` on 64-bit systems. Linux only: where there is no
`fcntl`, importing this fails, so import it inside functions that run on Linux.
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from realtime.devices.holders import who_holds
from realtime.devices.names import SYS

CAPTURE: Final = 1
OUTPUT: Final = 2

_QUERYCAP: Final = (0x8068_5600, 104)
_ENUM_FMT: Final = (0xC040_5602, 64)
_G_FMT: Final = (0xC0D0_5604, 208)
_STREAMON: Final = 0x4004_5612
_G_PARM: Final = (0xC0CC_5615, 204)
_S_PARM: Final = (0xC0CC_5616, 204)
_ENUM_SIZES: Final = (0xC02C_564A, 44)
_ENUM_INTERVALS: Final = (0xC034_564B, 52)
_TYPE_CAPTURE: Final = 1
_TYPE_OUTPUT: Final = 2
_DISCRETE: Final = 1
_DEVICE_CAPS: Final = 0x8000_0000


@dataclass(frozen=True, slots=True)
class CaptureMode:
    """A format in which a camera gives pictures.

    Attributes:
        fourcc: code of the pixel format, such as "YU12", "NV12", "YUYV" or "MJPG".
        width: width in px.
        height: height in px.
        fps: highest rate in pictures a second; 0 when the driver does not say.
        scaled: whether smaller sizes are available, too.
    """

    fourcc: str
    width: int
    height: int
    fps: float
    scaled: bool = False


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_NONBLOCK)
    try:
        yield handle
    finally:
        os.close(handle)


def _ask(handle: int, call: tuple[int, int], *head: int) -> bytearray:
    """Make a call whose structure begins with the 32-bit numbers `head`; return the structure that comes back."""
    number, size = call
    data = bytearray(struct.pack(f"{len(head)}I", *head).ljust(size, b"\0"))
    fcntl.ioctl(handle, number, data)
    return data


def capabilities(path: str) -> int:
    """Return what the device offers now: `CAPTURE`, `OUTPUT`, both or 0; raises OSError where it cannot be opened."""
    with _opened(path, os.O_RDWR) as handle:
        data = _ask(handle, _QUERYCAP)
    everything, device = struct.unpack_from("2I", data, 84)
    return int(device if everything & _DEVICE_CAPS else everything) & (CAPTURE | OUTPUT)


def output_format(path: str) -> tuple[str, int, int]:
    """Return the FourCC, width and height that a sender's pictures must have now."""
    with _opened(path, os.O_RDWR) as handle:
        data = _ask(handle, _G_FMT, _TYPE_OUTPUT)
    width, height, fourcc = struct.unpack_from("<II4s", data, 8)
    return fourcc.decode("latin-1"), int(width), int(height)


def set_rate(path: str, fps: float) -> bool:
    """Set the rate that readers of a virtual camera see; return whether the device accepted it."""
    with suppress(OSError), _opened(path, os.O_RDWR) as handle:
        data = _ask(handle, _G_PARM, _TYPE_OUTPUT)
        # v4l2_outputparm: capability, mode, then the interval as a fraction.
        rate = Fraction(fps).limit_denominator(1001)
        struct.pack_into("2I", data, 12, rate.denominator, rate.numerator)
        fcntl.ioctl(handle, _S_PARM[0], data)
        return True
    return False


def modes(path: str) -> list[CaptureMode]:
    """Return the formats in which a camera gives pictures; raises OSError where it cannot be opened."""
    found: list[CaptureMode] = []
    with _opened(path, os.O_RDWR) as handle:
        for data in _each(handle, _ENUM_FMT, _TYPE_CAPTURE):
            fourcc = struct.unpack_from("I", data, 44)[0]
            for size in _each(handle, _ENUM_SIZES, fourcc):
                kind, width, height = struct.unpack_from("3I", size, 8)
                if kind != _DISCRETE:  # least, most and step of the width, then of the height
                    width, height = (struct.unpack_from("I", size, place)[0] for place in (16, 28))
                name = struct.pack("I", fourcc).decode("latin-1")
                fps = _most_fps(handle, fourcc, width, height)
                found.append(CaptureMode(name, width, height, fps, kind != _DISCRETE))
    return found


def _each(handle: int, call: tuple[int, int], what: int) -> Iterator[bytearray]:
    """Yield what the driver lists for `what`; it ends the list with EINVAL."""
    for index in range(64):
        try:
            yield _ask(handle, call, index, what)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise
            return


def _most_fps(handle: int, fourcc: int, width: int, height: int) -> float:
    best = 0.0
    for index in range(64):
        try:
            data = _ask(handle, _ENUM_INTERVALS, index, fourcc, width, height)
        except OSError:
            break
        # The type, then a fraction of seconds: of a range the first is the shortest.
        kind, numerator, denominator = struct.unpack_from("3I", data, 16)
        if numerator:
            best = max(best, denominator / numerator)
        if kind != _DISCRETE:
            break
    return best


def fixed_format(path: str, sys: Path = SYS) -> str:
    """Return the format that a virtual camera is bound to, as "YU12:640x480@30"; "" while it is free."""
    try:
        return (sys / os.path.basename(path) / "format").read_text().strip()
    except OSError:
        return ""


def sender_active(path: str, watch_s: float = 0.5) -> bool:
    """Return whether some program sends to the virtual camera now.

    A process that has it open for writing only is a sender. Others (OBS, ffmpeg) open it as readers do: they are known
    by the pictures that come within `watch_s`.
    """
    if any(holder.writes for holder in who_holds([path])):
        return True
    until = time.monotonic() + watch_s
    pictures = 0
    with suppress(OSError), _opened(path, os.O_RDONLY) as handle:
        while time.monotonic() < until:
            try:
                os.read(handle, 16)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            pictures += 1
            # The first one may be the last of a sender that is gone.
            if pictures > 1:
                return True
    return False


def free_output(path: str) -> None:
    """Restore the OUTPUT capability that v4l2loopback 0.12 loses when a sender closes; not while a sender is active.

    With `exclusive_caps=1` the module offers OUTPUT again only when somebody closes it who had begun to stream to it
    (issue 470 of v4l2loopback); pyvirtualcam only ever writes. So one stream is begun and closed here. The call itself
    may fail with EINVAL, as no buffers are there; that it was made is enough.
    """
    with _opened(path, os.O_WRONLY) as handle, suppress(OSError):
        fcntl.ioctl(handle, _STREAMON, struct.pack("i", _TYPE_OUTPUT))
