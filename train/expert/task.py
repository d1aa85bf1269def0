"""Train a lip-sync expert: which sound belongs to this mouth?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.expert.contract import ExpertConfig
from models.expert.network import SyncNet
from train.data.clips import Clip, Role
from train.data.pool import Pool
from train.data.shards import read_infos, shard_paths
from train.expert.agreement import agreement_losses
from train.expert.config import ExpertTraining
from train.expert.judged import FAR, HALF, accuracies, best_threshold, judge_clips, torch_embed
from train.expert.pairs import draw_batch
from train.expert.windows import MEASURES
from train.loop.task import Batch, Evaluation, Stateless
from train.losses.expert_file import read_expert

EVALUATED: Final = 40
"""Most held-out clips of one evaluation."""

CALIBRATED: Final = 20
"""Training clips that its threshold is found on."""


class Student(nn.Module):
    """The expert, and two lines that read the mouth's measures off its embeddings while it is trained."""

    def __init__(self, config: ExpertTraining) -> None:
        super().__init__()
        expert = config.network.expert
        self.expert = _begin(expert, config.network.start)
        told = MEASURES * expert.frames
        self.from_sound = nn.Linear(expert.embedding, told)
        self.from_mouth = nn.Linear(expert.embedding, told)

    def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return audio and video embeddings (SyncNet) and the measures told from each, (N, 3 frames)."""
        audio, video = self.expert(mel, face)
        # Unit vectors of many numbers are small ones.
        size = audio.shape[1] ** 0.5
        return audio, video, self.from_sound(audio * size), self.from_mouth(video * size)


def _begin(config: ExpertConfig, start: Path | None) -> SyncNet:
    if start is None:
        return SyncNet(config)
    network = read_expert(start)
    if network.config != config:
        raise ValueError(f"{start.name} is {network.config}, not {config}: give network.start an expert of these sizes")
    return network.requires_grad_(True).train()


class ExpertTask(Stateless):
    """Bring the expert, clips of the role "judge" and the losses together (a train.loop.task.Task)."""

    def __init__(self, config: ExpertTraining, shards: Sequence[Path], seed: int = 1) -> None:
        """Look through `shards`.

        Raises:
            ShardError: there are no shards, or none to train on.
        """
        self._config, self._shards, self._seed = config, list(shards), seed
        self._expert = config.network.expert
        model = Student(config)
        # On CPUs a fifth faster, on GPUs what tensor cores want.
        self.networks: dict[str, nn.Module] = {"model": model.to(memory_format=torch.channels_last)}  # type: ignore[call-overload]
        self._pools: dict[tuple[int, int], Pool] = {}
        self._held_out: list[Clip] | None = None
        known = self._pool(0, 1)
        self.count, self.minutes = known.count, known.minutes

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return the windows of a step (train.expert.pairs.draw_batch)."""
        clips = self._pool(rank, world).at(step)
        rng = np.random.default_rng((self._seed, step, rank))
        return draw_batch(clips, self._expert, self._config.pairs, self._config.augment, rng)

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return "loss" and its parts: "bce", "contrast", "heard" and "seen" (measures told from sound and mouth)."""
        pairs = self._config.pairs
        face = batch["face"].float().div(255.0).contiguous(memory_format=torch.channels_last)
        audio, video, heard, seen = nets[name](batch["mel"], face)
        parts = agreement_losses(audio, video, batch["kinds"], pairs)
        parts["heard"] = functional.smooth_l1_loss(heard, batch["measures"])
        parts["seen"] = functional.smooth_l1_loss(seen, batch["measures"])
        loss = parts["bce"] + pairs.contrast * parts["contrast"] + pairs.shapes * (parts["heard"] + parts["seen"])
        return {"loss": loss, **parts}

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Measure off-sync accuracy on held-out clips, at the threshold 0.5 and at the training clips' best."""
        assert isinstance(average, Student)
        if self._held_out is None:
            self._held_out = self._read_held_out()
        if not self._held_out:
            return Evaluation({})
        embed, frames = torch_embed(average.expert), self._expert.frames
        known = list(self._pool(0, 1).at(0))[:CALIBRATED] if not self._pool(0, 1).streams else []
        judged = judge_clips(embed, self._held_out, frames)
        figures = {f"accuracy at 0.5, {FAR}": accuracies(judged, HALF)[FAR]}
        if known:
            threshold = best_threshold(judge_clips(embed, known, frames))
            rows = accuracies(judged, threshold)
            figures |= {"threshold": threshold} | {f"accuracy, {name}": value for name, value in rows.items()}
        return Evaluation({name: value for name, value in figures.items() if value == value})

    def speakers(self) -> list[str]:
        """Return who is trained on, sorted."""
        data = self._config.data
        return sorted(
            {
                info.speaker
                for path in shard_paths(self._shards)
                for _, info in read_infos(path)
                if (not data.speakers or info.speaker in data.speakers)
                and data.split.role(info.speaker, info.source) == self._role
            }
        )

    @property
    def _role(self) -> Role:
        return "judge" if self._config.data.judge > 0 else "train"

    def _pool(self, rank: int, world: int) -> Pool:
        if (rank, world) not in self._pools:
            self._pools[rank, world] = self._config.data.pool(
                self._shards, self._role, self._seed, rank=rank, world=world
            )
        return self._pools[rank, world]

    def _read_held_out(self) -> list[Clip]:
        if self._config.data.test <= 0:
            return []
        return list(self._config.data.pool(self._shards, "test", self._seed).at(0))[:EVALUATED]
