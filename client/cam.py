"""`lipline cam`: the webcam with a filter, as a camera and a microphone in any program."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import UsageError
from realtime.cam.modes import Mode

if TYPE_CHECKING:
    from client.cam_status import StatusLine
    from realtime.cam.call import LocalCall

DESCRIPTION = """\
Show up as the camera and the microphone "lipline" in Zoom, Meet or any other program. Real pictures
of your webcam go through as they are; when it stalls or is unplugged while you speak, you go on
speaking: past frames move the head, your voice moves the lips. Every such frame says that it is one.

  through   your camera; made frames only while it gives none
  photo     a photo or clip (--photo) speaks with your microphone; no camera needed
  dub       your camera, with lips that speak another sound (--dub): an interpreter, a file
  away      your last seconds again and again, mouth closed, microphone silent

keys: t through, p photo, d dub, a away, f next face, q quit"""

EXAMPLES = """\
examples:
  lipline cam                                      first camera, default microphone
  lipline cam --camera "HD Webcam" --size 1280x720 --fps 30
  lipline cam --photo me.jpg --mode photo          no camera: your picture speaks
  lipline cam --dub interpreter.wav                press d, and the lips are the interpreter's
  lipline cam --camera me.mp4 --out try.mp4 --seconds 20       try it without any device

In the other program choose the camera "lipline", and the microphone "lipline" too: sound waits there for
the lips while frames are made, and only then. One-time set-up of both: `lipline doctor`.
A photo or clip is used only after you said that it is you or that its person agreed; the answer is kept
beside the file's SHA-256. Ctrl-C ends it."""

_STATUS_S = 0.5
# Threads that compute give way this often: with Python's 5 ms a picture that came waits for several of them.
_SWITCH_S = 0.0005
_MEDIA = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".wav", ".mp3", ".ogg", ".m4a", ".flac")
_KEYS = {"t": Mode.THROUGH, "p": Mode.PHOTO, "d": Mode.DUB, "a": Mode.AWAY}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lipline cam`."""
    parser = subparsers.add_parser(
        "cam",
        help="be a camera and a microphone in any program",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    parser.add_argument("--i-may-use-this", action="store_true", help="say yes to the question whose face it is")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Be the camera until q, Ctrl-C or the end of `--seconds`."""
    _check(options)
    from client.cam_parts import check_consent

    check_consent(options)
    asyncio.run(_run(options))
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
    from client.cam_parts import put_together
    from client.cam_status import StatusLine
    from client.keys import Keys
    from realtime.cam.call import LocalCall
    from realtime.clock import MonotonicClock
    from realtime.devices.api import DeviceError

    line, clock, ended = StatusLine(), MonotonicClock(), asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH_S)
        stack.callback(_tell_file, options.out)
        parts = await put_together(options, stack, clock, line.say)
        call = LocalCall(
            parts.devices, parts.window, parts.synth, parts.stage, clock, fps=parts.fps, mode=options.mode,
            card=parts.card, gate=parts.gate, say=line.say,
        )  # fmt: skip

        def pressed(key: str) -> None:
            if key == "q":
                ended.set()
            elif key == "f":
                parts.follow_next()
            elif key in _KEYS and (refused := call.choose(_KEYS[key])) is not None:
                line.say(refused)

        keys = await stack.enter_async_context(Keys(pressed))
        hint = "keys t p d a f q" if keys.active else "Ctrl-C ends it"
        line.say(f"sending {parts.devices.size[0]}x{parts.devices.size[1]} to {parts.sends_to}; {hint}")
        tasks = [
            asyncio.create_task(call.run()),
            asyncio.create_task(ended.wait()),
            asyncio.create_task(_tell(call, line)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except DeviceError as error:
            raise UsageError(str(error)) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            line.clear()
            line.say(_summary(call))


def _tell_file(out: Path | None) -> None:
    if out is not None and out.is_file():
        print(f"wrote {out}")


async def _tell(call: "LocalCall", line: "StatusLine") -> None:
    while True:
        await asyncio.sleep(_STATUS_S)
        line.show(call.status())


def _summary(call: "LocalCall") -> str:
    stats, path = call.path.engine.stats, call.path
    from realtime.media import FrameKind

    counts = f"{stats.frames[FrameKind.REAL]} real and {stats.frames[FrameKind.SYNTH]} synthetic pictures"
    return (
        f"{counts}; real ones left within {path.latency.at(0.95)[0]:.0f} ms, lips within "
        f"{stats.skew_abs.at(0.95)[0]:.0f} ms of their sound (95 % of them)"
    )
