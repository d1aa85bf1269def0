"""`lipline dub`: give the person in a video the words of any speech."""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from client.errors import UsageError
from models.errors import ModelError

DESCRIPTION = """\
Write an MP4 in which the person of VIDEO says SPEECH: as long as SPEECH, frames in step with it,
marked as AI-generated. The video plays once; when the speech is longer, its last seconds go on
back and forth. Use it only on people who agreed."""

EXAMPLES = """\
examples:
  lipline dub portrait.mp4 speech.wav out.mp4
  lipline dub portrait.mp4 other_talk.mp4 out.mp4 --model wav2lip.onnx"""

_BAR: Final = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline dub`."""
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a file that shows one face")
    parser.add_argument("speech", type=Path, metavar="SPEECH", help="any audio file, or a video with sound")
    parser.add_argument("out", type=Path, metavar="OUT.mp4", help="the file to write")
    parser.add_argument(
        "--model", default="lite", metavar="NAME|FILE.onnx", help="a bundled name or a generator's file (default: lite)"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.mp4 when it exists")


def run(args: argparse.Namespace) -> int:
    """Write `args.out`, show progress on stderr, return 0.

    Raises:
        UsageError: with the reason and the remedy in one line; nothing is written then.
    """
    _check_paths(args)
    from models.catalog import open_generator
    from realtime.dub import dub
    from realtime.media_file import MediaError

    bar = ProgressBar()
    try:
        generator = open_generator(args.model)
        frames = dub(args.video, args.speech, args.out, generator, bar.show)
    except (ModelError, MediaError) as error:
        bar.end()
        raise UsageError(str(error)) from error
    bar.end()
    print(f"{args.out}: {frames} frames by {generator.name}")
    return 0


class ProgressBar:
    """Draw progress on one line of stderr; on something other than a terminal, a line per quarter."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._drawn_at, self._quarter, self._begun = 0.0, 0, False

    def show(self, done_ms: float, total_ms: float) -> None:
        """Show that `done_ms` of `total_ms` (0 when unknown) are done."""
        share = min(done_ms / total_ms, 1.0) if total_ms > 0 else 0.0
        text = f"{done_ms / 1000:.1f} s" + (f" of {total_ms / 1000:.1f} s" if total_ms > 0 else "")
        now = time.monotonic()
        if self._terminal and (now - self._drawn_at > 0.1 or share >= 1.0):
            self._drawn_at, self._begun = now, True
            bar = "#" * round(share * _BAR)
            print(f"\r[{bar:<{_BAR}}] {text} ", end="", file=sys.stderr, flush=True)
        elif not self._terminal and int(share * 4) > self._quarter:
            self._quarter = int(share * 4)
            print(f"dub: {text}", file=sys.stderr)

    def end(self) -> None:
        """Leave the line."""
        if self._begun:
            print(file=sys.stderr)
            self._begun = False


def _check_paths(args: argparse.Namespace) -> None:
    for path in (args.video, args.speech):
        if not path.is_file():
            raise UsageError(f"there is no file {path}: check the path")
    if args.out.suffix.lower() != ".mp4":
        raise UsageError(f"{args.out} does not end in .mp4: name the output like {args.out.stem}.mp4")
    if not args.out.parent.is_dir():
        raise UsageError(f"there is no folder {args.out.parent}: make it first")
    if args.out.exists() and not args.force:
        raise UsageError(f"{args.out} exists: choose another name or add --force")
