"""`lipline evaluate`: how well a generator's mouths follow speech, and how real they look."""

import argparse
import time
from functools import partial
from pathlib import Path

from realtime.statusline import StatusLine

DESCRIPTION = """\
Measure generators on clips that `lipline prepare` wrote: lip-sync, picture and timing against the
real video, beside controls (real video, frozen face, loudness alone, other speech). Speech and
frames come from different clips, by fixed lists of pairs. Writes report.json and index.html."""

EXAMPLES = """\
examples:
  lipline evaluate lite SHARDS --out out/report              clips kept from training, split by clip
  lipline evaluate me.onnx SHARDS --against lite --out out/report    two generators side by side
  lipline evaluate lite SHARDS --role all --out out/report   speakers that were never trained on
  lipline evaluate lite SHARDS --role all --curves RECORDINGS --curve 74 --out out/report    and speech with face curves
  lipline evaluate lite SHARDS --draw pairs.json             draw a list of pairs to keep, measure nothing"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline evaluate`."""
    parser.add_argument("model", metavar="MODEL", help="a bundled name or a generator's ONNX file")
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="folders that `lipline prepare` wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for report.json and index.html")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="MODEL",
        help="another generator in the same table; repeatable",
    )
    _add_choice(parser)
    _add_curves(parser)
    parser.add_argument(
        "--expert", type=Path, metavar="FILE", help="the sync expert that judges (default: the bundled)"
    )
    parser.add_argument(
        "--away", type=int, default=4, metavar="N", help="frames between a rebuilt frame and its sources"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one per core)")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add what says which clips are measured."""
    parser.add_argument(
        "--role",
        choices=("test", "train", "all"),
        default="test",
        help="clips by their part in training (default: test)",
    )
    parser.add_argument(
        "--split", choices=("clip", "speaker"), default="clip", help="what training kept apart (default: clip)"
    )
    parser.add_argument("--speakers", nargs="+", metavar="NAME", help="only these")
    parser.add_argument(
        "--pairs", type=Path, metavar="FILE", help="list of pairs (default: the one kept for this data)"
    )
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw a list of pairs, write it and stop")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs of the list")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of a list that is drawn (default: 1)")


def _add_curves(parser: argparse.ArgumentParser) -> None:
    """Add what is measured on speech without pictures."""
    parser.add_argument(
        "--curves", type=Path, metavar="DIR", help="speech with curves of a face: NAME.flac, NAME.npy (frames, curves)"
    )
    parser.add_argument("--curve", type=int, default=0, metavar="N", help="the curve that opens the jaw (default: 0)")
    parser.add_argument("--curve-fps", type=float, default=30.0, metavar="N", help="curves a second (default: 30)")
    parser.add_argument("--held-out", nargs="+", metavar="NAME", help="recordings that are judged (default: all)")


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, print the table, return 0.

    Raises:
        ValueError: with the reason and the remedy in one line.
    """
    _check(args)
    from train.data.clips import Split
    from train.evaluate.corpus import Corpus
    from train.evaluate.pairs import draw_pairs, write_pairs

    corpus = Corpus(args.data, args.role, Split(args.split), args.speakers)
    if args.draw is not None:
        pairs = draw_pairs(corpus.clips, args.draw.stem, args.seed)
        write_pairs(args.draw, pairs)
        print(f"{args.draw}: {len(pairs.pairs)} pairs")
        return 0
    from train.evaluate.report import evaluate

    line = StatusLine(prefix="evaluate: ")
    try:
        print(evaluate(args, corpus, partial(show_progress, line, time.monotonic())))
    finally:
        line.end()
    print(f"{args.out / 'index.html'}")
    return 0


def show_progress(line: StatusLine, began_s: float, done: int, total: int) -> None:
    """Show on `line` that `done` of `total` clips are measured since the monotonic time `began_s`.

    In a log that is a line for the first clip and for each tenth.
    """
    spent = time.monotonic() - began_s
    text = f"{done} of {total} clips, {spent:.0f} s, {spent / done * (total - done):.0f} s left"
    line.show(text, done * 10 // total, share=done / total)


def _check(args: argparse.Namespace) -> None:
    if args.out is None and args.draw is None:
        raise ValueError("say where the report goes: --out DIR")
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{args.out} is a file: name a folder for the report")
    if args.curve < 0 or args.curve_fps <= 0:
        raise ValueError("--curve is 0 or more, --curve-fps above 0")
    for name in ("limit", "jobs", "away"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is at least 1, not {value}")
    if args.away > 8:
        raise ValueError(f"--away is at most 8, not {args.away}: half of a short clip must be left to speak over")
