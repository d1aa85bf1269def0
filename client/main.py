"""The `lipline` command: find the subcommand, import only that one, turn errors into one line."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from client.errors import UsageError
from realtime import ending
from realtime.process import tune

FAILED = 1
USAGE = 2
INTERRUPTED = ending.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Command:
    """The module of a command, with DESCRIPTION, EXAMPLES, `add_arguments` and `run`, and its purpose in a line."""

    module: str
    help: str


COMMANDS = {
    "doctor": Command("client.doctor.command", "say what this machine can do, what is missing and how to mend it"),
    "demo": Command("client.demo.command", "show a call whose link collapses, with and without lipline, and measure"),
    "serve": Command("client.serve.command", "run a signaling server with a lipline node"),
    "call": Command("client.call.command", "join a room from a file or from camera and microphone"),
    "cam": Command("client.cam.command", "be a camera and a microphone in any program, also without a camera"),
    "dub": Command("client.dub", "put the words of any speech on a person in a video"),
    "convert": Command("client.convert", "turn a Wav2Lip or SyncNet checkpoint into ONNX"),
    "prepare": Command("train.prepare.command", "turn folders of talking-face videos into shards to train on"),
    "train": Command("train.command", "train a sync expert, a lite generator or Wav2Lip on shards"),
    "enroll": Command("train.enroll.command", "make a generator for one person from a minute or three of video"),
    "evaluate": Command("train.evaluate.command", "measure a generator against real video and controls"),
}

DESCRIPTION = """\
Keep a video call alive when the video cannot get through: past frames of the caller
move the head, live speech moves the lips, and real video takes over again without a jump."""

EXAMPLES = """\
examples:
  lipline doctor                              see whether this machine can run a call
  lipline demo                                watch a link collapse; results in out/demo/report.html
  lipline demo --clip me.mp4                  the same with your own talking face
  lipline serve --port 8765 --token SECRET    run rooms and the filter for others
  lipline call ws://127.0.0.1:8765 --room studio --token SECRET --clip me.mp4
  lipline call ws://127.0.0.1:8765 --room studio --token SECRET --view seen.mp4
  lipline cam                                 be the camera "lipline" in Zoom or Meet
  lipline cam --photo me.jpg --mode photo     without a camera: your picture speaks
  lipline dub portrait.mp4 speech.wav out.mp4 give the person in a video other words
  lipline convert wav2lip.pth wav2lip.onnx    use weights that you have
  lipline enroll me.mp4 --out me.onnx         make a generator for your own face and voice
  lipline prepare videos/ --out shards/       make training data of any folder of talking faces
  lipline train lite --config train/configs/lite.toml --shards shards/ --out mine.onnx
  lipline evaluate lite shards/ --out report/ see how well a generator speaks

Every synthetic frame carries a badge. `lipline COMMAND --help` tells more about one command."""


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Build the parser; import only the module of `chosen`, so that help needs none of them."""
    parser = argparse.ArgumentParser(
        prog="lipline", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        added = subparsers.add_parser(name, help=command.help, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == chosen:
            module = importlib.import_module(command.module)
            added.description, added.epilog = module.DESCRIPTION, module.EXAMPLES
            module.add_arguments(added)
            added.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` (default: the process's own arguments) and return its exit code.

    0 is success, 1 a failure that the command has explained, 2 an error of use with its remedy, 130 Ctrl-C.
    """
    tune()  # before a command imports numpy
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    try:
        code = _run(arguments, chosen)
        if ending.asked():
            # Code that is called from C, as while a library is loaded, may swallow the exception.
            raise KeyboardInterrupt
        return code
    except KeyboardInterrupt:
        print("\nlipline: stopped", file=sys.stderr)
        return INTERRUPTED
    except UsageError as error:
        return _complain(str(error))
    except ModuleNotFoundError as error:
        return _complain(f"the package {error.name!r} is missing; run `make setup` or: {_install_hint(error.name)}")
    except (OSError, ValueError) as error:
        if os.environ.get("LIPLINE_DEBUG"):
            raise
        return _complain(f"{error} (LIPLINE_DEBUG=1 shows where)")


def _run(arguments: list[str], chosen: str | None) -> int:
    parser = build_parser(chosen if chosen in COMMANDS else None)
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"lipline {version('lipline')}")
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    run: Callable[[argparse.Namespace], int | None] = options.run
    return run(options) or 0


def _install_hint(package: str | None) -> str:
    top = (package or "").split(".")[0]
    trainers = ("torch", "onnx", "soxr", "pydantic", "tensorboard", "skimage", "torchmetrics", "matplotlib")
    extra = {"onnxruntime": "cpu", "pyvirtualcam": "camera", "sounddevice": "camera"} | dict.fromkeys(trainers, "train")
    return f"pip install 'lipline[{extra[top]}]'" if top in extra else f"pip install {top}"


def _complain(text: str) -> int:
    print(f"lipline: error: {' '.join(text.split())}", file=sys.stderr)
    return USAGE


def start() -> NoReturn:
    """Be the `lipline` program: run the command of this process and leave with its exit code, soon after any signal."""
    ending.on_signals()
    ending.leave(main())


if __name__ == "__main__":
    start()
