"""What `lipline train expert` does: read, train, write ONNX."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from models.export import export_onnx
from train.config import DataConfig, read_config
from train.expert.config import ExpertTraining
from train.expert.task import ExpertTask, Student
from train.kinds import Options
from train.loop import train

TRAINED_KEY: Final = "lipline.trained"
"""Metadata property: the split and, where that is by clip, the speakers that an expert was trained on, as JSON."""


def run(config: Path, shards: Sequence[Path], run: Path, out: Path, options: Options) -> int:
    """Train by `config` on `shards` and write an expert to `out`; see train.kinds.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `run` cannot be written.
    """
    chosen = read_config(config, ExpertTraining, options.changes)
    task = ExpertTask(chosen, shards, options.seed)
    options.report(f"{task.count} clips to train on, {task.minutes:.1f} minutes")
    trained = train(
        task,
        chosen.loop,
        run,
        seed=options.seed,
        time_budget_s=options.time_budget_s,
        report=options.report,
        settings=chosen.model_dump(mode="json", exclude={"loop"}),
    )
    if options.first:
        difference = export_expert(trained, chosen.data, task.speakers(), out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0


def export_expert(trained: torch.nn.Module, data: DataConfig, speakers: Sequence[str], out: Path) -> float:
    """Write the expert of a trained Student as ONNX with what it was trained on; return the difference from torch."""
    assert isinstance(trained, Student)
    expert = trained.expert.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    # Names of speakers say who is seen only where a split keeps clips of theirs; else the split itself does.
    seen = sorted(speakers) if data.by == "clip" else []
    told = {"by": data.by, "test": data.test, "judge": data.judge, "speakers": seen}
    return export_onnx(
        expert, expert.config.contract(), out, expert.config.metadata() | {TRAINED_KEY: json.dumps(told)}
    )
