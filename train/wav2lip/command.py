"""What `lipline train wav2lip` does: read, train, write ONNX."""

from collections.abc import Sequence
from pathlib import Path

from models.onnx.contract import WAV2LIP
from models.onnx.export import export_onnx
from train.config import read_config
from train.kinds import Options
from train.loop.distributed import here
from train.loop.loop import train_task
from train.losses.expert_file import read_expert
from train.wav2lip.config import Wav2LipTraining
from train.wav2lip.task import Wav2LipTask


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on `shards` and write a generator for `lipline call --model` to `out`; see train.kinds.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, Wav2LipTraining, options.changes)
    expert = read_expert(chosen.expert.file)
    place = here()
    clips = chosen.data.pool(shards, "train", options.seed, rank=place.rank, world=place.world)
    held_out = chosen.data.pool(shards, "test", options.seed)
    options.report(f"{clips.count} clips to train on, {clips.minutes:.1f} minutes; {held_out.count} held out")
    task = Wav2LipTask(chosen, expert, clips, held_out.at(0), options.seed)
    network = train_task(task, chosen.loop, folder, options, chosen.settings())
    if options.first:
        difference = export_onnx(network.cpu(), WAV2LIP, out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0
