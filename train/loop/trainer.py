"""One step of training: every network of a task in turn, learning rate, clipping, averaged weights."""

import copy
import math
import random
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from train.config import Config
from train.loop.checkpoint import State, load_network
from train.loop.distributed import Place, objective, others_fixed
from train.loop.task import Batch, Task


class LoopConfig(Config):
    """How long and how a network is trained.

    Attributes:
        steps: optimiser steps in all, over every resumed run.
        learning_rate: peak of AdamW's rate; after the warm-up it falls with the schedule.
        warmup: steps over which the rate rises (at most a tenth of all).
        betas: of AdamW.
        weight_decay: of AdamW.
        clip: largest norm of a network's gradient.
        ema: decay of the averaged weights, which are what is kept; lower in the first steps.
        schedule: "cosine" to zero, or "constant".
        bf16: compute the losses in bfloat16 where that is safe; weights stay float32.
        evaluate_every: steps between evaluations.
        checkpoint_s: seconds between checkpoints.
        patience: steps in a row without a finite gradient after which the run ends.
    """

    steps: int = Field(20_000, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup: int = Field(200, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(1e-4, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.998, ge=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    bf16: bool = False
    evaluate_every: int = Field(1000, ge=1)
    checkpoint_s: float = Field(120.0, ge=0)
    patience: int = Field(10, ge=1)


class DivergedError(ValueError):
    """Say when and where gradients stopped being finite."""


def rate_at(config: LoopConfig, step: int, done: float) -> float:
    """Return the learning rate of `step` when the share `done` (0..1) of the run is behind."""
    rising = min(1.0, (step + 1) / max(1, min(config.warmup, config.steps // 10)))
    falling = 0.5 * (1.0 + math.cos(min(done, 1.0) * math.pi)) if config.schedule == "cosine" else 1.0
    return config.learning_rate * rising * falling


def seed_step(seed: int, step: int, rank: int) -> None:
    """Set the random generators of torch (CPU and CUDA), Python and numpy for one step of one process.

    What is drawn in a step depends on (seed, step, rank) alone: a resumed run draws what an uninterrupted one does, and
    no generator's state has to be kept.
    """
    words = np.random.SeedSequence((seed, step, rank)).generate_state(4)
    torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
    random.seed(int(words[2]))
    np.random.seed(int(words[3]))


class Trainer:
    """The networks of a task, their optimisers and the averaged "model", trained step by step."""

    def __init__(self, task: Task, config: LoopConfig, place: Place, seed: int) -> None:
        """Move the task's networks to the place's device; in a distributed run they become the first process's."""
        self.step = self.skipped = 0
        self.rate = 0.0
        self._task, self._config, self._place, self._seed = task, config, place, seed
        self._networks = {name: network.to(place.device) for name, network in task.networks.items()}
        self._objectives = {name: objective(task, name, place) for name in self._networks}
        self.average = copy.deepcopy(self._networks["model"]).eval().requires_grad_(False)
        fused = place.device.type == "cuda"
        self._optimisers = {
            name: torch.optim.AdamW(
                network.parameters(),
                lr=config.learning_rate,
                betas=config.betas,
                weight_decay=config.weight_decay,
                fused=fused,
            )
            for name, network in self._networks.items()
        }

    def train_step(self, batch: Batch, done: float) -> dict[str, Tensor]:
        """Train every network on `batch` once and return what to show, by name, as scalars on the device.

        Where a gradient is not finite in any process, the step is left out in all of them: weights and buffers stay,
        and `skipped` counts such steps in a row.

        Raises:
            DivergedError: that happened `patience` times in a row.
        """
        seed_step(self._seed, self.step, self._place.rank)
        self.rate = rate_at(self._config, self.step, done)
        buffers = {name: [kept.clone() for kept in net.buffers()] for name, net in self._networks.items()}
        shown: dict[str, Tensor] = {}
        for network in self._networks.values():
            network.train()
        for name in self._networks:
            losses, finite = self._update(name, batch)
            shown |= {f"{name}/{key}": value for key, value in losses.items()}
            if not finite:
                self._skip_step(name, losses, buffers)
                break
        else:
            self.skipped = 0
        self.step += 1
        self._update_ema()
        return shown

    def _update(self, name: str, batch: Batch) -> tuple[dict[str, Tensor], bool]:
        """Update one network where its gradient is finite; return its losses with the gradient's norm, and that."""
        optimiser = self._optimisers[name]
        for group in optimiser.param_groups:
            group["lr"] = self.rate
        with others_fixed(self._networks, name):
            with torch.autocast(self._place.device.type, torch.bfloat16, enabled=self._config.bf16):
                losses: dict[str, Tensor] = self._objectives[name](batch)
            optimiser.zero_grad(set_to_none=True)
            losses["loss"].backward()
        # Averaged over processes already, so that all of them see the same norm.
        norm = nn.utils.clip_grad_norm_(self._networks[name].parameters(), self._config.clip)
        if finite := math.isfinite(norm):
            optimiser.step()
        # What the next network finds in the batch is data to it.
        for key, value in batch.items():
            batch[key] = value.detach()
        return {key: value.detach() for key, value in losses.items()} | {"gradient": norm}, finite

    def _skip_step(self, name: str, losses: Mapping[str, Tensor], buffers: Mapping[str, list[Tensor]]) -> None:
        # Batch norm's statistics have seen what made the gradient infinite.
        for key, kept in buffers.items():
            for buffer, value in zip(self._networks[key].buffers(), kept, strict=True):
                buffer.copy_(value)
        self.skipped += 1
        if self.skipped >= self._config.patience:
            told = ", ".join(f"{key} {float(value):.4g}" for key, value in losses.items())
            raise DivergedError(
                f'the gradient of "{name}" was not finite in {self.skipped} steps in a row, up to step {self.step} '
                f"({told}); the last checkpoint is good: lower loop.learning_rate or loop.clip, or set "
                "loop.bf16=false, in a new --run"
            )

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self._config.ema, self.step / (self.step + 20))
        pairs = zip(self.average.state_dict().values(), self._networks["model"].state_dict().values(), strict=True)
        for mine, theirs in pairs:
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1.0 - decay)
            else:
                mine.copy_(theirs)

    def state(self) -> State:
        """Return everything the next step depends on, for `Checkpoints.save`."""
        return {
            "step": self.step,
            "skipped": self.skipped,
            "networks": {name: network.state_dict() for name, network in self._networks.items()},
            "average": self.average.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
            "task": self._task.state(),
        }

    def restore(self, state: State) -> None:
        """Take back what `state` returned.

        Raises:
            RunError: the networks were others.
        """
        for name, network in self._networks.items():
            load_network(network, state["networks"].get(name, {}), name)
            fused = self._optimisers[name].defaults["fused"]
            self._optimisers[name].load_state_dict(state["optimisers"][name])
            for group in self._optimisers[name].param_groups:
                # Of this device, not of the one that wrote the checkpoint.
                group["fused"] = fused
        load_network(self.average, state["average"], "model")
        self._task.restore(state["task"])
        self.step, self.skipped = int(state["step"]), int(state["skipped"])
