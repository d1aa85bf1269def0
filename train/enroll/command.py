"""`lipline enroll`: make a generator for one person from one to three minutes of them speaking."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from models.lite.network import Lite
    from train.data.clips import Clip
    from train.enroll.config import EnrolConfig

DESCRIPTION = """\
Fine-tune the lite generator on one person who speaks in VIDEO, one to three minutes in all, and
write it to --out when it moves that person's mouth better on held-out speech than before.
Nothing leaves this machine, and the prepared pictures and sounds are removed afterwards. Enrol
only people who agreed; the file imitates one person's mouth, so keep it as private as a photo."""

EXAMPLES = """\
examples:
  lipline enroll me.mp4 --out me.onnx
  lipline enroll monday.mp4 tuesday.mp4 --out me.onnx --reference me.jpg --time-budget 20
  lipline serve --models voices/              and callers named NAME get voices/NAME.onnx"""

_MARGIN: Final = 0.02
"""Share of the time budget that is left for loading."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline enroll`."""
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="one person speaking, alone in view")
    parser.add_argument("--out", type=Path, required=True, metavar="ME.onnx", help="the personal generator")
    parser.add_argument("--start", default="lite", metavar="lite|FILE.onnx", help="what to start from (default: lite)")
    parser.add_argument(
        "--time-budget",
        type=float,
        default=10.0,
        metavar="MIN",
        help="minutes in all, with preparing (default: 10)",
    )
    parser.add_argument("--reference", type=Path, metavar="FACE.jpg", help="who is meant, where others are in view")
    parser.add_argument("--keep-data", type=Path, metavar="DIR", help="keep the prepared pictures and sounds here")
    parser.add_argument(
        "--expert",
        default="none",
        metavar="FILE|none",
        help="sync expert that finds the offset of sound and picture (default: none: as recorded)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="other settings, as train/configs/enroll.toml")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="order of data and dropout (default: 1)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that prepare (default: one per core)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that train on the CPU (default: all)")
    parser.add_argument("--force", action="store_true", help="write the file even when it is not better")


def run(args: argparse.Namespace) -> int:
    """Write `args.out`, show progress and the table on stdout; return 1 when it would be no better than the start.

    Raises:
        ValueError: with the reason and the remedy in one line; nothing is written then.
        KeyboardInterrupt: Ctrl-C; nothing is written, and what was prepared is removed.
    """
    begun = time.monotonic()
    _check(args)
    import torch

    from models.catalog import model_path
    from models.lite.export import ears_of, load_lite
    from train.config import read_config
    from train.enroll.config import EnrolConfig

    config = EnrolConfig() if args.config is None else read_config(args.config, EnrolConfig)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    lite, ears = load_lite(model_path(args.start)), ears_of(model_path(args.start))
    ends_at = begun + args.time_budget * 60.0 * (1.0 - _MARGIN)
    with _folder(args.keep_data) as folder:
        clips = _read(args, folder, lite, config)
        if time.monotonic() > ends_at:
            raise ValueError(f"preparing took all of {args.time_budget:g} min: give --time-budget more")
        return _enrol(args, lite, ears, clips, config, ends_at)


def _read(args: argparse.Namespace, folder: Path, lite: "Lite", config: "EnrolConfig") -> "list[Clip]":
    from train.enroll.footage import read_person, refuse_little
    from train.prepare.command import expert_file
    from train.prepare.reference import read_reference

    _say("preparing on this machine; nothing leaves it")
    reference = None if args.reference is None else read_reference(args.reference)
    workers = args.workers or os.cpu_count() or 1
    clips = read_person(args.videos, folder, lite.config.size, workers, expert_file(args.expert), reference)
    refuse_little(clips, config.least_s)
    return clips


def _enrol(
    args: argparse.Namespace,
    lite: "Lite",
    ears: bytes,
    clips: "list[Clip]",
    config: "EnrolConfig",
    ends_at: float,
) -> int:
    from models.ears.onnx import Ears
    from train.enroll.figures import measure_person, shortcoming, table
    from train.enroll.footage import refuse_gaps
    from train.enroll.parts import part, seconds_of
    from train.enroll.person import enrol
    from train.lite.heard import ClipHearing

    parts = part(clips, config.parts)
    refuse_gaps(parts)
    learn, choose, held = (seconds_of(some) for some in (parts.learn, parts.choose, parts.held))
    _say(f"{learn:.0f} s to learn from, {choose:.0f} s to choose by, {held:.0f} s held out for the table")
    hearing = ClipHearing.of(Ears(ears), lite.config, config.voice.spoilt, args.seed)
    begun = time.monotonic()
    before = measure_person(lite, hearing, parts.held, config.picture)
    # The same again at the end, and as long for the export.
    ends_at -= 2.0 * (time.monotonic() - begun)
    enrolled = enrol(lite, hearing, parts, config, _say, ends_at=ends_at, seed=args.seed)
    after = measure_person(enrolled.lite, hearing, parts.held, config.picture)
    print(table(before, after))
    reason = shortcoming(before, after, config)
    if reason is not None and not args.force:
        _say(f"no file was written, the generic generator is as good: {reason}")
        _say("record more or clearer speech, raise --time-budget, or write it all the same with --force")
        return 1
    _write(args.out, enrolled.lite, ears, learn, before.correlation, after.correlation)
    return 0


def _write(out: Path, lite: "Lite", ears: bytes, seconds: float, before: float, after: float) -> None:
    import json

    from models.lite.export import export_lite
    from models.lite.onnx import PERSONAL_KEY

    said = {"seconds": round(seconds), "correlation": round(after, 3), "generic": round(before, 3)}
    export_lite(lite, ears, out, {PERSONAL_KEY: json.dumps(said)})
    _say(f"wrote {out.name}: for this person alone; use it with --model {out.name}, or `lipline serve --models DIR`")


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Give the folder for what is prepared; it goes with the context, however that ends, unless it is kept."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    # Readable by its owner alone.
    with tempfile.TemporaryDirectory(prefix="lipline-enroll-") as folder:
        yield Path(folder)


def _check(args: argparse.Namespace) -> None:
    if args.time_budget <= 0:
        raise ValueError("--time-budget is in minutes and more than 0")
    for name in ("threads", "workers"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ValueError(f"--{name} is at least 1: leave it out to use every core")
    if args.out.suffix != ".onnx":
        raise ValueError(f"{args.out.name} does not end in .onnx: name the file like me.onnx")
    if not args.out.resolve().parent.is_dir():
        raise ValueError(f"there is no folder {args.out.parent} for --out: make it first")


def _say(line: str) -> None:
    print(line, flush=True)
