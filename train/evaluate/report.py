"""Measure generators on a corpus and write the report: the work behind `lipline evaluate`."""

import argparse
import hashlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.callerlayer import TeachableGenerator
from models.catalog import EXPERT, WEIGHTS, model_path, open_generator
from train.evaluate.corpus import Corpus
from train.evaluate.groups import FolderFigures, by_group, group_grid
from train.evaluate.measure import Measured
from train.evaluate.page import Report, page
from train.evaluate.pairs import PairList, choose
from train.evaluate.protocol import LOUDNESS, OTHER, Setting
from train.evaluate.recordings import curve_figures, curve_grid, follow
from train.evaluate.showcase import Example, choose_examples
from train.evaluate.table import CLOSING, COLUMNS, MOUTH, PICTURE, as_json, per_speaker, tabulate, text
from train.evaluate.work import PairTask, Workers, default_jobs, workers
from train.lite.config import CurvesConfig
from train.lite.curves import CurveRecording, read_curves
from train.prepare.listener import open_listener

FORMAT: Final = "lipline evaluation 1"
_PLAN: Final = ("r_planned", "r_drawn", "spread_planned", "r_raw")
_LISTENER: Final = "lite"
"""Who finds the offset of real videos: the bundled generator, whichever is measured."""


def evaluate(args: argparse.Namespace, corpus: Corpus, progress: Callable[[int, int], None]) -> str:
    """Measure what the command line asks for, write the report into `args.out`, return the table as text.

    Raises:
        ValueError: a model, the expert or the list of pairs cannot be used; named with the remedy.
    """
    began = time.monotonic()
    models = _named([args.model, *args.against])
    listed = choose(corpus.clips, args.pairs, args.seed)
    pairs = listed.pairs[: args.limit]
    expert, heard = _expert(args.expert), _recordings(args, models)
    task = PairTask(models, expert, Setting(args.away), corpus, model_path(_LISTENER))
    args.out.mkdir(parents=True, exist_ok=True)
    with workers(task, args.jobs or min(default_jobs(), len(pairs))) as bench:
        measured = bench.measure(pairs, progress)
        table, speakers = tabulate(measured), per_speaker(measured)
        examples = _examples(bench, measured, next(iter(models)), listed)
    groups, curves = _groups(corpus, measured, list(models)), curve_figures(follow(*heard)) if heard else {}
    facts = _facts(args, listed, measured, models, expert, time.monotonic() - began)
    title = f"{' and '.join(models)} on {_count(len(measured), 'clip')} of {_count(_people(measured), 'speaker')}"
    report = Report(title, list(models), table, speakers, examples, _seen(args), facts, groups, curves)
    (args.out / "index.html").write_text(page(report))
    (args.out / "report.json").write_text(json.dumps(_numbers(report, measured), indent=1, allow_nan=False) + "\n")
    return _text(report)


def _named(given: Sequence[str]) -> dict[str, Path]:
    """Return the models' files by what they are called in the table: the file's stem, numbered where two are equal."""
    named: dict[str, Path] = {}
    for entry in given:
        path = model_path(entry)
        name, number = path.stem, 2
        while name in named:
            name, number = f"{path.stem} {number}", number + 1
        named[name] = path
    return named


def _expert(given: Path | None) -> Path | None:
    """Return the expert's file; None when none is given and none is bundled."""
    if given is not None:
        if not given.is_file():
            raise ValueError(f"there is no expert {given}: check the path, or train one with `lipline train expert`")
        return given
    bundled = WEIGHTS / f"{EXPERT}.onnx"
    return bundled if bundled.is_file() else None


def _groups(corpus: Corpus, measured: Sequence[Measured], models: Sequence[str]) -> list[FolderFigures]:
    rows = [*models, LOUDNESS, models[0] + OTHER]
    least = open_listener(model_path(_LISTENER)).least_confidence
    return by_group(measured, [corpus.folder(one.key) for one in measured], rows, least)


def _recordings(
    args: argparse.Namespace, models: dict[str, Path]
) -> tuple[dict[str, TeachableGenerator], list[CurveRecording], list[CurveRecording]] | None:
    """Return the generators that can be measured on `--curves`, the recordings judged, and the others."""
    if args.curves is None:
        return None
    opened = {name: open_generator(path, threads=1) for name, path in models.items()}
    told = {name: generator for name, generator in opened.items() if isinstance(generator, TeachableGenerator)}
    if not told:
        raise ValueError("--curves needs a generator that plans lips from hidden numbers: give a lite generator")
    names = sorted(path.stem for path in args.curves.glob("*.npy"))
    held = args.held_out or names
    if not names or not set(held) <= set(names):
        missing = ", ".join(sorted(set(held) - set(names))) or "recordings with curves (NAME.flac and NAME.npy)"
        raise ValueError(f"{args.curves} holds no {missing}: check --curves and --held-out")
    config = CurvesConfig(folder=args.curves, fps=args.curve_fps, columns=(args.curve,), held_out=tuple(held))
    others = read_curves(config, held_out=False) if set(names) - set(held) else []
    return told, read_curves(config, held_out=True), others


def _examples(bench: Workers, measured: Sequence[Measured], main: str, listed: PairList) -> list[Example]:
    chosen = choose_examples(measured, main)
    pairs = {pair.speech: pair for pair in listed.pairs}
    shown = bench.show([pairs[measured[index].key] for _, index in chosen])
    return [
        Example(why, measured[index], scene, rows) for (why, index), (scene, rows) in zip(chosen, shown, strict=True)
    ]


def _seen(args: argparse.Namespace) -> bool:
    return bool(args.role == "train" or (args.role == "test" and args.split == "clip"))


def _facts(
    args: argparse.Namespace,
    listed: PairList,
    measured: Sequence[Measured],
    models: dict[str, Path],
    expert: Path | None,
    seconds: float,
) -> list[tuple[str, str]]:
    spoken = sum(int(one.speech.sum()) for one in measured)
    frames = sum(len(one.real) for one in measured)
    alone = sum(one.pose == one.key for one in measured)
    return [
        *((name, f"{path.name}, SHA-256 {_sha256(path)[:16]}") for name, path in models.items()),
        ("expert", f"{expert.name}, SHA-256 {_sha256(expert)[:16]}" if expert else "none: LSE and FD-sync are missing"),
        ("data", f"{', '.join(folder.name for folder in args.data)}; role {args.role}, split by {args.split}"),
        (
            "pairs",
            f"{listed.name}, seed {listed.seed}, {len(measured)} of {len(listed.pairs)}; {alone} over their own clip",
        ),
        ("frames", f"{frames}, {spoken} of them inside speech"),
        ("rebuilt", f"from frames at least {args.away} away"),
        ("time", f"{seconds:.0f} s on {platform.machine()}, Python {platform.python_version()}"),
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _people(measured: Sequence[Measured]) -> int:
    return len({one.speaker for one in measured})


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _numbers(report: Report, measured: Sequence[Measured]) -> dict[str, Any]:
    """Return the content of report.json."""
    return {
        "format": FORMAT,
        "title": report.title,
        "models": list(report.models),
        "facts": dict(report.facts),
        "columns": {entry.key: {"unit": entry.unit, "note": entry.note} for entry in COLUMNS},
        "rows": as_json(report.table),
        "folders": {group.name: group.as_json() for group in report.groups},
        "curves": {row: _tree(of) for row, of in report.curves.items()},
        "speakers": {row: {who: _plain(values) for who, values in of.items()} for row, of in report.speakers.items()},
        "clips": [
            {
                "speech": one.key,
                "pose": one.pose,
                "speaker": one.speaker,
                "real": _list(one.real),
                "inside_speech": one.speech.astype(int).tolist(),
                "opening": {name: _list(row.opening) for name, row in one.rows.items()},
            }
            for one in measured
        ],
    }


def _list(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]


def _plain(values: Any) -> dict[str, float | None]:
    return {key: float(value) if np.isfinite(value) else None for key, value in values.items()}


def _tree(values: Any) -> Any:
    return {
        key: _tree(value) if isinstance(value, dict) else _plain({key: value})[key] for key, value in values.items()
    }


def _text(report: Report) -> str:
    """Return the tables for a terminal."""
    table, models, speakers = report.table, report.models, report.speakers
    parts = [report.title, text(table, MOUTH), "closing of the mouth, frames\n" + text(table, CLOSING)]
    parts.append("at the offset of each folder's own pictures\n" + group_grid(report.groups).text())
    if report.curves:
        parts.append("planned lips against the curve of a face\n" + curve_grid(report.curves).text())
    parts += [text(table, PICTURE), text({name: table[name] for name in models}, _PLAN)]
    people = sorted(speakers[models[0]])
    if len(people) > 1:
        told = "\n".join(
            f"  {who}: " + ", ".join(f"{name} {speakers[name][who]['r']:.2f}" for name in [*models, "loudness alone"])
            for who in people
        )
        parts.append(f"r in speech by speaker\n{told}")
    return "\n\n".join(parts)
