"""`lipline dub`: give the person in a video the words of any speech."""

import argparse
from functools import partial
from pathlib import Path

from client.errors import UsageError
from models.errors import ModelError
from realtime.statusline import StatusLine

DESCRIPTION = """\
Write an MP4 in which the person of VIDEO says SPEECH: as long as SPEECH, frames in step with it,
marked as AI-generated. The video plays once; when the speech is longer, its last seconds go on
back and forth. Use it only on people who agreed."""

EXAMPLES = """\
examples:
  lipline dub portrait.mp4 speech.wav out.mp4
  lipline dub portrait.mp4 other_talk.mp4 out.mp4 --model wav2lip.onnx"""


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

    line = StatusLine(prefix="dub: ", every_s=0.1)
    try:
        generator = open_generator(args.model)
        frames = dub(args.video, args.speech, args.out, generator, partial(show_progress, line))
    except (ModelError, MediaError) as error:
        line.end()
        raise UsageError(str(error)) from error
    line.end()
    print(f"{args.out}: {frames} frames by {generator.name}")
    return 0


def show_progress(line: StatusLine, done_ms: float, total_ms: float) -> None:
    """Show on `line` that `done_ms` of `total_ms` (0 when unknown) are done; in a log once for each quarter."""
    share = min(done_ms / total_ms, 1.0) if total_ms > 0 else 0.0
    text = f"{done_ms / 1000:.1f} s" + (f" of {total_ms / 1000:.1f} s" if total_ms > 0 else "")
    line.show(text, int(share * 4) or None, share=share)


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
