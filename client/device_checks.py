"""The doctor's checks of cameras and sound: what is there, what is in the way, and the one-time set-up per system."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from realtime.devices import virtual_camera
from realtime.devices.api import OUR_NAME, DeviceError
from realtime.devices.holders import who_holds
from realtime.devices.names import VideoDevice, list_video
from realtime.devices.virtual_microphone import SINK, SOURCE, cable

Finding = tuple[str, bool, str, str]

GROUP = "sudo usermod -aG video $USER, then log out and in again"
AT_BOOT = (
    "to have it after each start of the machine: echo v4l2loopback | sudo tee /etc/modules-load.d/lipline.conf; "
    "echo 'options v4l2loopback exclusive_caps=1 card_label=lipline' | sudo tee /etc/modprobe.d/lipline.conf"
)


def cameras() -> Iterator[Finding]:
    """List the webcams, who has them open, and whether we may open them."""
    if sys.platform.startswith("linux"):
        yield from linux_cameras(list_video())
    else:
        yield from _named_cameras()


def linux_cameras(devices: Sequence[VideoDevice]) -> Iterator[Finding]:
    """Check the webcams among `devices`."""
    real = [device for device in devices if not device.loopback and device.node == 0]
    if not real:
        yield "webcam", False, "none", "plug one in and switch on its shutter or key, or use --clip FILE"
    for device in real:
        found = f"{device.name} ({device.path})"
        if not os.access(device.path, os.R_OK | os.W_OK):
            yield "webcam", False, f"{found}: no permission", GROUP
        elif holders := _others(device):
            yield "webcam", False, f"{found}: open in {holders}", "close that, or choose another camera"
        else:
            yield "webcam", True, found, ""


def _named_cameras() -> Iterator[Finding]:
    import av

    system = "avfoundation" if sys.platform == "darwin" else "dshow"
    names = [device.description or device.name for device in av.enumerate_input_devices(system)]
    remedy = "plug one in, and allow the terminal to use it in the system's privacy settings"
    yield "webcam", bool(names), ", ".join(names) or "none", remedy


def our_camera() -> Iterator[Finding]:
    """See whether other programs can be given a camera."""
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        yield "pyvirtualcam", False, "missing: no virtual camera", virtual_camera.EXTRA
    if sys.platform.startswith("linux"):
        yield from linux_virtual_camera(list_video())
    else:
        place = Path("/Applications/OBS.app") if sys.platform == "darwin" else Path("C:/Program Files/obs-studio")
        there = place.exists()
        yield "virtual camera", there, "OBS Virtual Camera" if there else f"no OBS in {place}", virtual_camera.OBS


def linux_virtual_camera(devices: Sequence[VideoDevice]) -> Iterator[Finding]:
    """Check the virtual camera among `devices`: loaded, labelled, free, in no reader's format."""
    from realtime.devices import v4l2

    name = "virtual camera"
    try:
        device = virtual_camera.choose_loopback(devices)
    except DeviceError as error:
        remedy = str(error).rsplit("loaded. ", 1)[-1]
        yield name, False, "v4l2loopback is not loaded", f"{remedy}; {AT_BOOT}"
        return
    found = f"{device.name} ({device.path})"
    if not os.access(device.path, os.R_OK | os.W_OK):
        yield name, False, f"{found}: no permission", GROUP
    elif v4l2.sender_active(device.path):
        yield name, False, f"{found}: {_others(device) or 'another program'} sends to it", "close that program"
    elif bound := v4l2.fixed_format(device.path):
        who = _others(device) or "another program"
        remedy = f"close it, or send {bound.split('@')[0].rsplit(':', 1)[-1]}"
        yield name, False, f"{found}: {who} opened it before lipline and keeps it in {bound}", remedy
    elif device.name != OUR_NAME:
        remedy = f"sudo rmmod v4l2loopback && {virtual_camera.LOAD}"
        yield name, True, f'{found}: usable; programs call it "{device.name}", not "lipline": {remedy}', ""
    else:
        yield name, True, found, ""
    if not _exclusive():
        remedy = f"sudo rmmod v4l2loopback && {virtual_camera.LOAD}"
        yield "exclusive_caps", False, "off: Chrome and Zoom do not list such a camera", remedy


def _exclusive(parameter: Path = Path("/sys/module/v4l2loopback/parameters/exclusive_caps")) -> bool:
    try:
        return parameter.read_text().startswith("Y")
    except OSError:
        return True


def _others(device: VideoDevice) -> str:
    return ", ".join(str(holder) for holder in who_holds([device.path]) if holder.pid != os.getpid())


def sound() -> Iterator[Finding]:
    """List microphones, and see whether other programs can be given one."""
    from realtime.devices.sound import has_sound_server

    if has_sound_server():
        yield from _server_sound()
        return
    try:
        import sounddevice

        listed = [dict(device) for device in sounddevice.query_devices()]
    except (ImportError, OSError) as error:
        yield "microphone", False, f"no sound server, no PortAudio ({error})", _no_sound()
        return
    yield from portaudio_sound(listed, sys.platform)


def _no_sound() -> str:
    from realtime.devices.portaudio import EXTRA

    return f"sudo apt install pulseaudio-utils pipewire-pulse; or {EXTRA}" if sys.platform == "linux" else EXTRA


def portaudio_sound(listed: Sequence[dict[str, object]], platform: str) -> Iterator[Finding]:
    """Check what PortAudio lists."""
    from realtime.devices.portaudio import find_sound

    played = cable(platform)[1]
    inputs = [str(device["name"]) for device in listed if device["max_input_channels"]]
    plug = "plug in a microphone, or use --clip FILE"
    yield "microphone", bool(inputs), ", ".join(inputs) or "none", plug
    chosen, _, remedy = cable(platform)
    try:
        find_sound(listed, played, "output")
        yield "virtual microphone", True, f'choose "{chosen}" in the other program', ""
    except DeviceError:
        yield "virtual microphone", False, "none", remedy


def _server_sound() -> Iterator[Finding]:
    from realtime.devices.pactl import sinks, sources
    from realtime.devices.virtual_microphone import alive

    known = sources()
    real = [node.description for node in known if not node.monitor and not node.owner]
    yield "microphone", bool(real), ", ".join(real) or "none", "plug in a microphone, or use --clip FILE"
    ours = [node for node in (*known, *sinks()) if node.name in (SINK, SOURCE)]
    foreign = [node for node in ours if not node.owner]
    if foreign:
        remedy = f"pactl unload-module {foreign[0].module}"
        yield "virtual microphone", False, f"another program made a device called {foreign[0].name}", remedy
    elif any(alive(node.owner) for node in ours):
        yield "virtual microphone", True, "in use by a lipline that runs", ""
    elif ours:
        yield "virtual microphone", True, "left by a run that crashed; the next one takes it away", ""
    else:
        yield "virtual microphone", True, "the sound server makes one while lipline runs", ""
