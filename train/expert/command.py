"""What `lipline train expert` does: read, train, write ONNX."""

from collections.abc import Sequence
from pathlib import Path

import torch

from models.errors import ModelError
from models.onnx.export import export_onnx
from models.onnx.weights import read_weights
from train.config import read_config
from train.expert.config import ExpertTraining
from train.expert.origin import Origin
from train.expert.task import ExpertTask, Student
from train.kinds import Options
from train.loop.loop import train_task


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on `shards` and write an expert to `out`; see train.kinds.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, ExpertTraining, options.changes)
    task = ExpertTask(chosen, shards, options.seed)
    origin = origin_of(chosen, task.speakers())
    options.report(f"{task.count} clips to train on, {task.minutes:.1f} minutes")
    trained = train_task(task, chosen.loop, folder, options, chosen.settings())
    if options.first:
        difference = export_expert(trained, origin, out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0


def export_expert(trained: torch.nn.Module, origin: Origin, out: Path) -> float:
    """Write the expert of a trained Student as ONNX with what it was trained on; return the difference from torch."""
    assert isinstance(trained, Student)
    expert = trained.expert.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    properties = expert.config.metadata() | origin.metadata()
    return export_onnx(expert, expert.config.contract(), out, properties)


def origin_of(config: ExpertTraining, speakers: Sequence[str]) -> Origin:
    """Return what a run by `config` on `speakers` has seen, with what the expert that it starts from had.

    Raises:
        ModelError: that expert's split is another, so that its training clips would be taken for new ones.
    """
    origin = Origin(config.data.split, frozenset(speakers))
    start = config.network.start
    if start is None or start.suffix != ".onnx":
        return origin
    before = Origin.of(read_weights(start)[1])
    if before.split != origin.split:
        raise ModelError(f"{start.name} was trained on another split, {before.split}: set data to the same")
    return Origin(origin.split, origin.speakers | before.speakers)
