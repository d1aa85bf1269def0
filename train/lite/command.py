"""What `lipline train lite` does: fit the basis, train the voice, train the pictures, write ONNX."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import torch

from models.catalog import model_path
from models.ears.onnx import Ears
from models.lite.export import ears_of, export_lite, load_lite
from models.lite.network import Lite
from train.config import DataConfig, read_config
from train.data.clips import Clip
from train.data.pool import Pool
from train.data.shards import ShardError
from train.kinds import Options
from train.lite.basis import fit_basis, usual_opening
from train.lite.config import LiteTraining
from train.lite.heard import ClipHearing
from train.lite.picture import PictureTask
from train.lite.sync import SyncJudge
from train.lite.voice import VoiceAndCurves, VoiceTask, set_gain, set_range
from train.lite.voicefile import load_voice
from train.loop.distributed import here
from train.loop.loop import train_task
from train.loop.task import Task
from train.losses.expert_file import read_expert

_SAMPLE_GB: Final = 1.0
"""Of a corpus too large for memory, what the basis and the spreads are measured on."""


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on `shards` and write a generator to `out`; see train.kinds.

    Every stage has a folder of its own in `folder`; one that is complete is passed over when the run is resumed.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, LiteTraining, options.changes)
    held_out = read_held_out(chosen.data, shards, chosen.held_out)
    place = here()
    pool = chosen.data.pool(shards, "train", options.seed, rank=place.rank, world=place.world)
    options.report(f"{pool.count} clips to train on, {pool.minutes:.1f} minutes; {len(held_out)} held out")
    ears = read_ears(chosen)
    lite = train_lite(chosen, Ears(ears), pool, sample_of(chosen, shards, pool), held_out, folder, options)
    if options.first:
        difference = export_lite(lite.cpu().eval(), ears, out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0


def train_lite(
    chosen: LiteTraining,
    ears: Ears,
    pool: Pool,
    sample: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: Path,
    options: Options,
) -> Lite:
    """Train the stages that `chosen` names and return the averaged network.

    `sample` are clips that are the same in every process of a distributed run.
    """
    lite = (
        load_lite(model_path(chosen.start))
        if chosen.start is not None
        else Lite(replace(chosen.model.lite, heard=ears.config.width))
    )
    if chosen.start is None:
        lite.config = replace(lite.config, opening=usual_opening(sample))
        lite.basis_BV.copy_(torch.from_numpy(fit_basis(sample, lite.config.coefficients)))
    _train_voice(lite, chosen, ears, pool, sample, held_out, folder, options)
    if "picture" in chosen.stages:
        options.report("the pictures: a mouth shape from a person's own pixels")
        pictures = PictureTask(lite.painter, pool, held_out, chosen.picture, make_judge(chosen, lite), options.seed)
        painter = _stage(chosen, pictures, "picture", folder, options)
        lite.painter.load_state_dict(painter.state_dict())
    return lite


def _train_voice(
    lite: Lite,
    chosen: LiteTraining,
    ears: Ears,
    pool: Pool,
    sample: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: Path,
    options: Options,
) -> None:
    """Give `lite` its voice: that of `chosen.voice.start`, trained if the stages say so, with its gain."""
    begun, trains = chosen.voice.start, "voice" in chosen.stages
    if begun is None and not trains:
        return
    hearing = ClipHearing.of(ears, lite.config, chosen.voice.spoilt, options.seed)
    if begun is not None:
        state, basis = load_voice(begun, lite.config)
        lite.voice.load_state_dict(state)
        lite.basis_BV.copy_(basis)
    elif chosen.start is None:
        set_range(lite.voice, sample, hearing)
    if trains:
        options.report("the voice: mouth shapes from what is heard")
        task = VoiceTask(lite, pool, sample, held_out, chosen.voice, hearing, options.seed)
        trained = _stage(chosen, task, "voice", folder, options)
        assert isinstance(trained, VoiceAndCurves)
        lite.voice.load_state_dict(trained.voice.state_dict())
    set_gain(lite.cpu().eval(), sample, hearing)


def _stage(
    chosen: LiteTraining, task: Task, stage: Literal["voice", "picture"], folder: Path, options: Options
) -> torch.nn.Module:
    config = chosen.voice if stage == "voice" else chosen.picture
    share = chosen.voice.share if stage == "voice" else 1.0 - chosen.voice.share
    part = share if len(chosen.stages) > 1 else 1.0
    # What the other stage is told does not change this one.
    settings = chosen.model_dump(mode="json", include={"start", "data", "model"})
    budget_s = None if options.time_budget_s is None else options.time_budget_s * part
    return train_task(
        task,
        config.loop,
        folder / stage,
        replace(options, time_budget_s=budget_s),
        settings | {stage: config.settings()},
    )


def read_ears(chosen: LiteTraining) -> bytes:
    """Return the content of the hearing network that `chosen` names: its file, or that inside a generator.

    Raises:
        ModelError: there is none.
    """
    return chosen.ears.read_bytes() if chosen.ears is not None else ears_of(model_path(chosen.start or "lite"))


def make_judge(chosen: LiteTraining, lite: Lite) -> SyncJudge | None:
    """Return the sync loss's expert when the configuration asks for one.

    Raises:
        ValueError: the windows have another number of frames than the expert judges.
    """
    if not chosen.picture.loss.sync:
        return None
    judge = SyncJudge(read_expert(model_path(chosen.picture.expert or "expert")), lite.config)
    if chosen.picture.frames != judge.frames:
        raise ValueError(f"the expert judges {judge.frames} frames: set picture.frames={judge.frames}")
    return judge


def sample_of(chosen: LiteTraining, shards: Sequence[Path], pool: Pool) -> Sequence[Clip]:
    """Return clips to measure on: all of a corpus that is in memory, else the same part of it in every process."""
    if not pool.streams:
        return pool.at(0)
    return chosen.data.pool(shards, "train", 0, memory_gb=_SAMPLE_GB).at(0)


def read_held_out(data: DataConfig, shards: Sequence[Path], most: int) -> list[Clip]:
    """Return clips of the role "test", at most `most`; none when the corpus has none."""
    try:
        pool = data.pool(shards, "test", 0, memory_gb=_SAMPLE_GB)
    except ShardError:
        return []
    return list(pool.at(0))[:most]
