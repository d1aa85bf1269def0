"""What `lipline train near` does: read, mix, train, write ONNX."""

from collections.abc import Sequence
from pathlib import Path

from models.near.network import NearNet
from models.onnx.export import export_onnx
from train.config import read_config
from train.kinds import Options
from train.loop.loop import train_task
from train.near.config import NearTraining
from train.near.task import NearTask


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on the speech of `shards` and write a near-voice network to `out`; see train.kinds.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, NearTraining, options.changes)
    task = NearTask(chosen, shards, options.seed)
    minutes = chosen.mixes.count * chosen.mixes.seconds / 60.0
    options.report(f"{len(task.speakers)} voices, {minutes:.0f} minutes of mixes")
    trained = train_task(task, chosen.loop, folder, options, chosen.settings())
    if options.first:
        assert isinstance(trained, NearNet)
        difference = export_onnx(trained.cpu(), trained.contract(), out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0
