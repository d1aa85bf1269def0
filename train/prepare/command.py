"""`lipline prepare`: turn folders of talking-face videos into shards to train on."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.prepare.corpus import Video
    from train.prepare.run import Preparation

DESCRIPTION = """\
Turn videos of people who speak into shards to train on: aligned crops at 25 fps, landmarks and
16 kHz speech, cut at silences, without what cannot be used. INPUT is videos or folders as GRID,
Lombard GRID, CREMA-D, LRS2, LRS3 and AVSpeech come, or any folder with one person in each.
Tracked videos are kept in a cache: the same command again goes on where it was stopped, and
tracks nothing twice. Use only footage whose people agreed to it."""

EXAMPLES = """\
examples:
  lipline prepare grid/s1 grid/s2 --out shards/grid
  lipline prepare lrs3/pretrain lrs3/trainval --out shards/lrs3 --workers 16
  lipline prepare me/*.mp4 --out shards/me --speaker me --reference me.jpg
  lipline prepare talks --out shards/first --expert none    before there is an expert"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline prepare`."""
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="videos, or folders that hold some")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="SHARDS", help="folder for the shards and REPORT.json"
    )
    parser.add_argument("--speaker", metavar="NAME", help="who speaks in all of them (default: told by the layout)")
    parser.add_argument(
        "--speaker-by",
        choices=("folder", "file"),
        default="folder",
        help="what names the speaker where the layout does not: folder (default), or each file is somebody else",
    )
    parser.add_argument("--reference", type=Path, metavar="FACE.jpg", help="keep only clips that show this person")
    parser.add_argument(
        "--expert",
        metavar="FILE|none",
        help="lite generator or sync expert that finds the offset of sound and picture (default: the bundled "
        "generator; none: leave it)",
    )
    parser.add_argument("--size", type=int, default=128, metavar="PX", help="side of the crops (default: 128)")
    parser.add_argument("--faces", type=int, default=4, metavar="N", help="people looked for in a frame (default: 4)")
    parser.add_argument("--longest", type=float, default=10.0, metavar="S", help="longest clip (default: 10)")
    parser.add_argument("--shortest", type=float, default=1.0, metavar="S", help="shortest clip (default: 1)")
    parser.add_argument("--sharpness", type=float, metavar="V", help="least variance of the Laplacian over the mouth")
    parser.add_argument("--yaw", type=float, metavar="DEG", help="farthest turn of the head")
    parser.add_argument(
        "--confidence", type=float, metavar="C", help="least confidence of the offset (default: the listener's own)"
    )
    parser.add_argument("--likeness", type=float, metavar="L", help="least likeness to the reference, 0 to 1")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where tracked videos are kept (default: SHARDS/cache)"
    )


def run(args: argparse.Namespace) -> int:
    """Write `args.out`, show progress on stderr and the table on stdout; return 1 when no clip is kept.

    Raises:
        ValueError: with the reason and the remedy in one line.
    """
    videos, sides, plan = _plan(args)
    from train.prepare.report import PreparationReport
    from train.prepare.run import prepare

    report = PreparationReport(_said(plan))
    if sides:
        for name in sides:
            report.left_out(name, {"filmed from the side": 0})
    prepare(videos, plan, report)
    print(report.table())
    return 0 if report.clips else 1


def _plan(args: argparse.Namespace) -> "tuple[list[Video], list[str], Preparation]":
    from train.prepare.corpus import find_videos
    from train.prepare.listener import open_listener
    from train.prepare.reference import read_reference
    from train.prepare.run import Preparation
    from train.prepare.settings import Choice, Settings

    limits = {"least_sharpness": args.sharpness, "largest_yaw": args.yaw}
    settings = Settings(
        size=args.size,
        faces=args.faces,
        shortest_s=args.shortest,
        longest_s=args.longest,
        **{name: value for name, value in limits.items() if value is not None},
    )
    expert = expert_file(args.expert)
    usual = None if expert is None else open_listener(expert).least_confidence
    wanted = {"least_confidence": usual if args.confidence is None else args.confidence, "likeness": args.likeness}
    choice = Choice(**{name: value for name, value in wanted.items() if value is not None})
    workers = os.cpu_count() or 1 if args.workers is None else args.workers
    if workers < 1:
        raise ValueError("--workers is at least 1: leave it out for one per core")
    videos, sides = find_videos(args.inputs, args.speaker, args.speaker_by)
    reference = None if args.reference is None else read_reference(args.reference)
    plan = Preparation(args.out, args.cache or args.out / "cache", settings, choice, workers, expert, reference)
    return videos, sides, plan


def expert_file(said: str | None) -> Path | None:
    """Return the listener's file, None for `none`; what cannot listen is refused before hours of tracking."""
    if said == "none":
        return None
    from models.catalog import model_path
    from models.errors import ModelError

    file = model_path("lite") if said is None else Path(said)
    if not file.is_file():
        raise ModelError(f"there is no {file.name}: give --expert FILE, or --expert none to leave sound and picture be")
    from train.prepare.listener import open_listener

    open_listener(file)
    return file


def _said(plan: "Preparation") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(plan.settings),
        **asdict(plan.choice),
        "expert": None if plan.expert is None else plan.expert.name,
        "reference": plan.reference is not None,
    }
