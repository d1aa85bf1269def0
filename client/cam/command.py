"""`lipline cam`: the webcam with a filter, as a camera and a microphone in any program."""

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import UsageError
from realtime import ending
from realtime.cam.modes import Mode
from realtime.statusline import StatusLine
from realtime.tasks import first_to_end

if TYPE_CHECKING:
    from client.cam.preview import PreviewedDevice
    from client.cam.switch import CamSwitch
    from realtime.cam.call import LocalCall

DESCRIPTION = """\
Show up as the camera and the microphone "lipline" in Zoom, Meet or any other program. Real pictures
of your webcam go through as they are; when it stalls or is unplugged while you speak, you go on
speaking: past frames move the head, your voice moves the lips. Every such frame says that it is one.

  through   your camera; made frames only while it gives none
  photo     a photo or clip (--photo) speaks with your microphone; no camera needed
  dub       your camera, with lips that speak another sound (--dub): an interpreter, a file
  away      your last seconds again and again, mouth closed, microphone silent

keys: t through, p photo, d dub, a away, f next face, q quit; the same in the window of --preview, where a
click on a face (or its number) follows it, and on the page of `lipline serve` with --join"""

EXAMPLES = """\
examples:
  lipline cam                                      first camera, default microphone
  lipline cam --camera "HD Webcam" --size 1280x720 --fps 30
  lipline cam --photo me.jpg --mode photo          no camera: your picture speaks
  lipline cam --dub interpreter.wav                press d, and the lips are the interpreter's
  lipline cam --preview                            a small window; click the face to follow
  lipline cam --join ws://127.0.0.1:8765 --token SECRET       switch it from the page of `lipline serve`
  lipline cam --camera me.mp4 --out try.mp4 --seconds 20       try it without any device

In the other program choose the camera "lipline", and the microphone "lipline" too: sound waits there for
the lips while frames are made, and only then. One-time set-up of both: `lipline doctor`.
A photo or clip is used only after you said that it is you or that its person agreed; the answer is kept
beside the file's SHA-256. Ctrl-C ends it."""

_STATUS_S = 0.5
_MEDIA = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".wav", ".mp3", ".ogg", ".m4a", ".flac")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline cam`."""
    modes = [mode.value for mode in Mode]
    parser.add_argument("--camera", metavar="NAME|FILE", help="a camera by part of its name, or a clip (the first one)")
    parser.add_argument("--microphone", metavar="NAME|FILE", help="a microphone by name, a file, or none (the default)")
    parser.add_argument("--mode", default=Mode.THROUGH.value, choices=modes, help="how to begin (through)")
    parser.add_argument("--photo", type=Path, metavar="FILE", help="a photo, drawing or short clip that may speak")
    parser.add_argument("--dub", metavar="DEVICE|FILE", help="another voice for your lips")
    parser.add_argument("--size", type=_size, metavar="WxH", help="of the pictures (the camera's, else 640x480)")
    parser.add_argument("--fps", type=float, metavar="N", help="pictures a second (the camera's, else 25)")
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so many seconds")
    parser.add_argument("--out", type=Path, metavar="FILE.mp4", help="write a file in place of the virtual devices")
    parser.add_argument("--model", default="lite", metavar="NAME|FILE.onnx", help="what makes the mouths (lite)")
    parser.add_argument("--preview", action="store_true", help="show what leaves in a small window")
    parser.add_argument(
        "--join", metavar="URL", help="let a room of `lipline serve` switch this camera; ws:// or wss://"
    )
    parser.add_argument("--token", help="of that room, as `lipline serve` printed it")
    parser.add_argument("--room", default="lipline", metavar="NAME", help="that room (lipline)")
    parser.add_argument("--name", default="camera", help="what this camera is called in the room (camera)")
    parser.add_argument("--i-may-use-this", action="store_true", help="say yes to the question whose face it is")


def run(options: argparse.Namespace) -> int:
    """Run the camera until q, Ctrl-C or the end of `--seconds`; return 0."""
    _check(options)
    from client.cam.parts import check_consent

    check_consent(options)
    ending.run(_run(options))
    return 0


def _check(options: argparse.Namespace) -> None:
    options.mode = Mode(options.mode)
    if options.mode is Mode.PHOTO and options.photo is None:
        raise UsageError("--mode photo needs a picture: add --photo FILE")
    if options.mode is Mode.DUB and options.dub is None:
        raise UsageError("--mode dub needs another voice: add --dub DEVICE or --dub FILE")
    if options.fps is not None and not 5.0 <= options.fps <= 60.0:
        raise UsageError(f"--fps {options.fps:g} is out of range: use 5 to 60")
    for name in (options.camera, options.microphone, options.dub):
        if name and Path(name).suffix.lower() in _MEDIA and not Path(name).is_file():
            raise UsageError(f"there is no file {name}: check the path")
    if (options.join is None) != (options.token is None):
        raise UsageError("--join URL and --token SECRET go together: `lipline serve` prints both")
    out: Path | None = options.out
    if out is not None and out.suffix.lower() != ".mp4":
        raise UsageError(f"{out} does not end in .mp4: name it like {out.stem}.mp4")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: choose another name")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it like 640x480") from None
    if not all(64 <= side <= 4096 and side % 2 == 0 for side in size):
        raise argparse.ArgumentTypeError(f"{text} cannot be sent: both sides must be even, from 64 to 4096")
    return size


async def _run(options: argparse.Namespace) -> None:
    from client.cam.keys import Keys
    from client.cam.parts import put_together
    from client.cam.preview import PreviewedDevice
    from client.cam.switch import CamSwitch
    from realtime.cam.call import LocalCall
    from realtime.clock import MonotonicClock

    line, clock, ended = StatusLine(prefix="lipline cam: "), MonotonicClock(), asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(_tell_file, options.out)
        parts = await put_together(options, stack, clock, line.say)
        watched = PreviewedDevice(parts.devices.pictures)
        call = LocalCall(
            replace(parts.devices, pictures=watched), parts.hearing, parts.synth, parts.stage, clock, fps=parts.fps,
            mode=options.mode, card=parts.card, gate=parts.gate, say=line.say,
        )  # fmt: skip
        switch = CamSwitch(call, parts.tracker, parts.devices.size, ended, line.say)
        keys = await stack.enter_async_context(Keys(switch.press))
        hint = "keys t p d a f q" if keys.active else "Ctrl-C ends it"
        line.say(f"sending {parts.devices.size[0]}x{parts.devices.size[1]} to {parts.sends_to}; {hint}")
        await _open_switches(options, stack, switch, call, watched, line)
        await _until_ended(call, line, switch, ended, options.seconds)


async def _open_switches(
    options: argparse.Namespace,
    stack: AsyncExitStack,
    switch: "CamSwitch",
    call: "LocalCall",
    watched: "PreviewedDevice",
    line: StatusLine,
) -> None:
    """Open the preview window and join the room, each if the options ask for it."""
    if options.preview:
        from client.cam.preview import Preview
        from client.cam.status import status_text

        preview = Preview(switch, lambda: status_text(call.status(), len(switch.marks), switch.followed), line.say)
        watched.look = (await stack.enter_async_context(preview)).look
    if options.join is not None:
        from client.cam.room import CamRoom

        room = CamRoom(options.join, options.room, options.token, options.name, switch, line.say)
        await stack.enter_async_context(room)


async def _until_ended(
    call: "LocalCall", line: StatusLine, switch: "CamSwitch", ended: asyncio.Event, seconds: float | None
) -> None:
    """Run the call until q, until `seconds` are over, or until a device ends."""
    from realtime.devices.api import DeviceError

    try:
        await first_to_end(call.run(), ended.wait(), _tell(call, line, switch), timeout_s=seconds)
    except DeviceError as error:
        raise UsageError(str(error)) from error
    finally:
        line.clear()
        line.say(_summary(call))


def _tell_file(out: Path | None) -> None:
    if out is not None and out.is_file():
        print(f"wrote {out}")


async def _tell(call: "LocalCall", line: StatusLine, switch: "CamSwitch") -> None:
    from client.cam.status import show_status

    while True:
        await asyncio.sleep(_STATUS_S)
        show_status(line, call.status(), len(switch.marks), switch.followed)


def _summary(call: "LocalCall") -> str:
    stats, path = call.path.engine.stats, call.path
    from realtime.media import BLOCK_MS, FrameKind

    concealed_s = path.sound.concealed_blocks * BLOCK_MS / 1000.0
    counts = f"{stats.frames[FrameKind.REAL]} real and {stats.frames[FrameKind.SYNTH]} synthetic pictures"
    return (
        f"{counts}; real ones left within {path.latency.at(0.95)[0]:.0f} ms, lips within "
        f"{stats.skew_abs.at(0.95)[0]:.0f} ms of their sound (95 % of them); {concealed_s:.1f} s of sound concealed"
    )
