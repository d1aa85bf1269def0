"""The doctor's checks of cameras and sound: what is there, what is in the way, and the one-time set-up per system."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from realtime.devices import set_up, virtual_camera
from realtime.devices.api import OUR_NAME, DeviceError
from realtime.devices.holders import who_holds
from realtime.devices.names import VideoDevice, list_video
from realtime.devices.virtual_microphone import SINK, SOURCE, cable, take_away

Finding = tuple[str, bool, str, str]

AT_BOOT = (
    "to have it after each start of the machine: echo v4l2loopback | sudo tee /etc/modules-load.d/lipline.conf; "
    "echo 'options v4l2loopback exclusive_caps=1 card_label=lipline' | sudo tee /etc/modprobe.d/lipline.conf"
)
NO_WEBCAM = "plug one in and switch on its shutter or key, or give a video in its place: lipline cam --camera FILE"
NO_MICROPHONE = "plug in a microphone, or do without: lipline cam --microphone none"


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
        yield "webcam", False, "none", NO_WEBCAM
    for device in real:
        found = f"{device.name} ({device.path})"
        if not os.access(device.path, os.R_OK | os.W_OK):
            yield "webcam", False, f"{found}: no permission", set_up.VIDEO_GROUP
        elif holders := _others(device):
            remedy = "close that program, or take another camera: lipline cam --camera NAME"
            yield "webcam", False, f"{found}: open in {holders}", remedy
        else:
            yield "webcam", True, found, ""


def _named_cameras() -> Iterator[Finding]:
    from realtime.devices.avcamera import list_named

    yield from named_cameras(list_named("avfoundation" if sys.platform == "darwin" else "dshow"), sys.platform)


def named_cameras(names: Sequence[str], platform: str) -> Iterator[Finding]:
    """Check the cameras of macOS or Windows, which are known by name only."""
    real = [name for name in names if "OBS Virtual" not in name]
    allow = set_up.MAC_CAMERA if platform == "darwin" else set_up.WINDOWS_CAMERA
    yield "webcam", bool(real), ", ".join(real) or "none", f"{NO_WEBCAM}; if it is there, {allow}"


def our_camera() -> Iterator[Finding]:
    """See whether other programs can be given a camera."""
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        yield "pyvirtualcam", False, "missing: no virtual camera", set_up.EXTRA
    if sys.platform.startswith("linux"):
        yield from linux_virtual_camera(list_video())
    else:
        place = Path("/Applications/OBS.app") if sys.platform == "darwin" else Path("C:/Program Files/obs-studio")
        there = place.exists()
        yield "virtual camera", there, "OBS Virtual Camera" if there else f"no OBS in {place}", set_up.OBS


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
        yield name, False, f"{found}: no permission", set_up.VIDEO_GROUP
    elif v4l2.sender_active(device.path):
        remedy = "close that program, unless it is your own lipline cam"
        yield name, False, f"{found}: {_others(device) or _unseen(device)} sends to it", remedy
    elif bound := v4l2.fixed_format(device.path):
        who = _others(device) or _unseen(device)
        remedy = f"close that program, start lipline, then that program again{virtual_camera.same_size(bound)}"
        yield name, False, f"{found}: {who} opened it before lipline and keeps it in {bound}", remedy
    elif device.name != OUR_NAME:
        rename = f'choose "{device.name}" in the other program; to have it called "lipline", {set_up.RELOAD}'
        yield name, True, f"{found}: {rename}", ""
    else:
        yield name, True, found, ""
    if not _exclusive():
        yield "exclusive_caps", False, "off: Chrome and Zoom do not list such a camera", set_up.RELOAD


def _exclusive(parameter: Path = Path("/sys/module/v4l2loopback/parameters/exclusive_caps")) -> bool:
    try:
        return parameter.read_text().startswith("Y")
    except OSError:
        return True


def _others(device: VideoDevice) -> str:
    return ", ".join(str(holder) for holder in who_holds([device.path]) if holder.pid != os.getpid())


def _unseen(device: VideoDevice) -> str:
    """Return how to find a holder that only root may see."""
    return f"a program of another user (sudo fuser -v {device.path} names it)"


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
        remedy = set_up.portaudio()
        if sys.platform.startswith("linux"):
            remedy = f"{set_up.sound_server()}; or without a sound server: {remedy}"
        yield "microphone", False, f"no sound server, no PortAudio ({error})", remedy
        return
    yield from portaudio_sound(listed, sys.platform)


def portaudio_sound(listed: Sequence[dict[str, object]], platform: str) -> Iterator[Finding]:
    """Check what PortAudio lists."""
    from realtime.devices.portaudio import find_sound

    played = cable(platform)[1]
    inputs = [str(device["name"]) for device in listed if device["max_input_channels"]]
    yield "microphone", bool(inputs), ", ".join(inputs) or "none", _no_microphone(platform)
    chosen, _, remedy = cable(platform)
    try:
        find_sound(listed, played, "output")
        yield "virtual microphone", True, f'choose "{chosen}" in the other program', ""
    except DeviceError:
        yield "virtual microphone", False, "none", remedy


def _no_microphone(platform: str, sound: Path = Path("/dev/snd")) -> str:
    if platform == "darwin":
        return f"{NO_MICROPHONE}; if it is there, {set_up.MAC_MICROPHONE}"
    if platform == "win32":
        return f"{NO_MICROPHONE}; if it is there, {set_up.WINDOWS_MICROPHONE}"
    if any(not os.access(node, os.R_OK | os.W_OK) for node in sound.glob("pcm*c")):
        return f"you may not open it: {set_up.AUDIO_GROUP}"
    return NO_MICROPHONE


def _server_sound() -> Iterator[Finding]:
    from realtime.devices.pactl import sinks, sources
    from realtime.devices.virtual_microphone import alive

    known = sources()
    real = [node.description for node in known if not node.monitor and not node.owner]
    yield "microphone", bool(real), ", ".join(real) or "none", NO_MICROPHONE
    ours = [node for node in (*known, *sinks()) if node.name in (SINK, SOURCE)]
    foreign = [node for node in ours if not node.owner]
    if foreign:
        made = f"another program made a device called {foreign[0].name}"
        yield "virtual microphone", False, made, take_away(foreign[0])
    elif any(alive(node.owner) for node in ours):
        yield "virtual microphone", True, "in use by a lipline that runs", ""
    elif ours:
        yield "virtual microphone", True, "left by a run that crashed; the next one takes it away", ""
    else:
        yield "virtual microphone", True, "the sound server makes one while lipline runs", ""
