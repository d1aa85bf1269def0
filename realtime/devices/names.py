"""Which video devices Linux has, read from sysfs, and which of them somebody means by a name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime.devices.api import OUR_NAME, DeviceError, Fault

SYS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A video node of Linux.

    Attributes:
        path: path such as "/dev/video2"; the number may change when the camera is plugged in again.
        name: name given by the driver or the label, such as "HD Webcam: HD Webcam".
        node: index among the camera's nodes; 0 gives pictures, the others of UVC cameras give metadata.
        place: where it is plugged in, such as "1-2:1.0", to tell equal cameras apart; "" for virtual ones.
        loopback: whether it is a virtual camera of v4l2loopback.
    """

    path: str
    name: str
    node: int = 0
    place: str = ""
    loopback: bool = False

    @property
    def ours(self) -> bool:
        """Whether this is the camera that lipline sends to."""
        return self.loopback and self.name == OUR_NAME


def list_video(sys: Path = SYS, dev: Path = Path("/dev")) -> list[VideoDevice]:
    """Return the video nodes in the order of their numbers; [] where there are none."""
    folders = sorted(
        (folder for folder in sys.glob("video*") if folder.name[5:].isdigit()), key=lambda f: int(f.name[5:])
    )
    return [device for folder in folders if (device := _read(folder, dev)) is not None]


def _read(folder: Path, dev: Path) -> VideoDevice | None:
    try:
        name = (folder / "name").read_text(errors="replace").strip()
    except OSError:  # unplugged since it was listed
        return None
    try:
        node = int((folder / "index").read_text())
    except (OSError, ValueError):
        node = 0
    link = folder / "device"
    place = os.path.basename(os.path.realpath(link)) if link.is_symlink() else ""
    # The attributes that only v4l2loopback adds; `max_openers` is in every release since 0.7.
    loopback = (folder / "max_openers").exists()
    return VideoDevice(str(dev / folder.name), name, node, place, loopback)


def find_camera(devices: Sequence[VideoDevice], wanted: str = "", place: str = "") -> VideoDevice:
    """Return the camera that is meant, never our own.

    Args:
        devices: the video nodes to choose from.
        wanted: a path, a name, or part of a name (case does not matter); "" takes the first real camera, then the first
            virtual one.
        place: where it was plugged in before; decides between cameras of equal name.

    Raises:
        DeviceError: there is none, or it is our own virtual camera.
    """
    named = [device for device in devices if wanted in ("", device.path)]
    named = named or [device for device in devices if device.name == wanted]
    named = named or [device for device in devices if wanted.lower() in device.name.lower()]
    if named and all(device.ours for device in named) and wanted:
        raise DeviceError(
            Fault.MISSING, f"{wanted} is lipline's own camera, which cannot watch itself: name the real webcam"
        )
    usable = [device for device in named if not device.ours]
    if not usable:
        raise DeviceError(Fault.MISSING, _none(devices, wanted))
    return min(usable, key=lambda device: (place != "" and device.place != place, device.loopback, device.node))


def _none(devices: Sequence[VideoDevice], wanted: str) -> str:
    others = sorted({device.name for device in devices if not device.ours and device.node == 0})
    if not others:
        meant = f"camera {wanted!r}" if wanted else "camera"
        return f"there is no {meant}: plug one in and switch it on; a laptop may have a shutter or a key for it"
    return f"there is no camera {wanted!r}; there are: {', '.join(others)}"
