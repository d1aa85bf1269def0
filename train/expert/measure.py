"""Print an expert's off-sync accuracy: `python -m train.expert.measure MODEL.onnx SHARDS... [--json]`.

Which clips it never saw is read from the file: held-out clips of the speakers it was trained on, and other speakers.
Accuracy is balanced (train.expert.judged); it is told at the threshold 0.5 and at the best one of training clips.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from models.errors import ModelError
from models.expert.onnx import Expert
from train.data.clips import Clip
from train.data.shards import read_samples, shard_paths
from train.expert.judged import HALF, Judged, accuracies, best_threshold, judge_clips
from train.expert.origin import TRAINING, Origin

CALIBRATION: Final = 60
"""Most training clips that the threshold is found on."""


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one group of clips.

    Attributes:
        clips: how many were measured.
        half: off-sync accuracy at the threshold 0.5, by row (train.expert.judged.accuracies).
        best: the same at the training clips' best threshold; None where no training clip was given.
    """

    clips: int
    half: dict[str, float]
    best: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class ExpertReport:
    """What was measured of an expert of `frames` frames, `groups` by name."""

    frames: int
    threshold: float | None
    groups: dict[str, Group]


def measure(expert: Expert, shards: Sequence[Path], most: int | None = None) -> ExpertReport:
    """Measure every group of clips in `shards`.

    Args:
        expert: with its origin in the metadata.
        shards: folders with shards, or shards.
        most: clips of a group that are measured; None is all (of training clips, CALIBRATION).

    Raises:
        ModelError: the expert does not say what it was trained on.
        ShardError: there are no shards.
        ValueError: there is no clip to measure on.
    """
    judged = _judge(expert, shards, most)
    if not judged.keys() - {TRAINING}:
        raise ValueError("these shards hold no clip that is new to the expert: give held-out clips or other speakers")
    threshold = best_threshold(judged[TRAINING]) if TRAINING in judged else None
    groups = {
        name: Group(len(found), accuracies(found, HALF), None if threshold is None else accuracies(found, threshold))
        for name, found in sorted(judged.items())
    }
    return ExpertReport(expert.frames, threshold, groups)


def _judge(expert: Expert, shards: Sequence[Path], most: int | None) -> dict[str, list[Judged]]:
    origin = Origin.of(expert.metadata)
    clips: dict[str, list[Clip]] = {}
    for path in shard_paths(shards):
        for sample in read_samples(path):
            group = origin.group(sample.info.speaker, sample.info.source)
            limit = CALIBRATION if group == TRAINING else most
            if group is not None and (limit is None or len(clips.get(group, ())) < limit):
                clips.setdefault(group, []).append(Clip.of(sample))
    return {
        group: judge_clips(lambda clip: expert.embed(clip.crops, clip.mel), found, expert.frames)
        for group, found in clips.items()
    }


def table(report: ExpertReport) -> str:
    """Return the report as lines to read: a column for each group, a row for each distance."""
    names = list(report.groups)
    where = "no training clips given" if report.threshold is None else f"{report.threshold:.2f}"
    lines = [
        f"expert of {report.frames} frames; off-sync accuracy in %, in-sync and off-sync pairs half and half,",
        f"at the threshold 0.50 / at the best of training clips ({where})",
        "",
        f"{'sound of':26}" + "".join(f"{f'{name} ({report.groups[name].clips})':>36}" for name in names),
    ]
    for row in next(iter(report.groups.values())).half:
        lines.append(f"{row:26}" + "".join(f"{_cell(report.groups[name], row):>36}" for name in names))
    return "\n".join(lines)


def _cell(group: Group, row: str) -> str:
    best = "-" if group.best is None else f"{100 * group.best[row]:.1f}"
    return f"{100 * group.half[row]:.1f} / {best}"


def as_json(report: ExpertReport) -> str:
    """Return the report as JSON; null stands for what could not be measured."""

    def known(value: object) -> object:
        if isinstance(value, dict):
            return {key: known(inner) for key, inner in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return json.dumps(known(asdict(report)), indent=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 with a line on stderr where nothing can be measured."""
    parser = argparse.ArgumentParser(prog="python -m train.expert.measure", description=__doc__)
    parser.add_argument("model", type=Path, help="an expert that `lipline train expert` wrote")
    parser.add_argument("shards", type=Path, nargs="+", help="folders that `lipline prepare` wrote")
    parser.add_argument("--most", type=int, help="measure at most so many clips of a group (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    args = parser.parse_args(arguments)
    try:
        report = measure(Expert.open(args.model), args.shards, args.most)
    except (ValueError, ModelError) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_json(report) if args.json else table(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
