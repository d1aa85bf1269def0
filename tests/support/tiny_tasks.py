"""A tiny task with all that a real one has: two networks, dropout, batch norm, planted data, a sync weight."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train.loop.task import Batch, Evaluation
from train.losses.adversarial import hinge_discriminator_loss, hinge_real_loss
from train.losses.motion import temporal_loss
from train.losses.pictures import edge_l1, weighted_l1

SIDE = 16


class Talker(nn.Module):
    """Paint a picture of a mouth from 8 loudnesses: (N, 8) to (N, 3, 16, 16)."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        # A bias before batch norm would have a gradient of rounding errors alone, which AdamW makes large.
        self.hear = nn.Sequential(nn.Linear(8, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(dropout))
        self.paint = nn.Sequential(
            nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Sigmoid()
        )

    def forward(self, loudness: Tensor) -> Tensor:
        painted: Tensor = self.paint(self.hear(loudness).reshape(-1, 4, 4, 4))
        return painted


def judge() -> nn.Module:
    """Return a discriminator of patches."""
    return nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3, 1, 1))


class TalkTask:
    """Learn a mouth that opens as far as its speech is loud. Records what the losses were, step by step."""

    def __init__(
        self,
        seed: int = 1,
        *,
        dropout: float = 0.2,
        adversary: bool = True,
        weights: Mapping[str, float] | None = None,
        parts: tuple[int, ...] | None = None,
    ) -> None:
        """`parts` makes every batch that of several ranks one after the other, as one process would see them."""
        torch.manual_seed(seed)
        self.networks: dict[str, nn.Module] = {"model": Talker(dropout)}
        if adversary:
            self.networks["judge"] = judge()
        self.weights = {"edges": 0.5, "motion": 0.3, "real": 0.05} | dict(weights or {})
        self.sync, self.seed, self.parts = 0.0, seed, parts
        self.curve: list[dict[str, float]] = []
        self.drawn: list[tuple[int, int, int]] = []

    def batch(self, step: int, rank: int, world: int) -> Batch:
        self.drawn.append((step, rank, world))
        parts = [planted((self.seed, step, part)) for part in self.parts or (rank,)]
        return {key: torch.stack([part[key] for part in parts]) for key in parts[0]}

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        of_parts = [self._losses(name, nets, batch, part) for part in range(len(batch["truth"]))]
        losses = {key: torch.stack([losses[key] for losses in of_parts]).mean() for key in of_parts[0]}
        if name == "model":
            self.curve.append({})
        self.curve[-1] |= {f"{name}.{key}": float(value.detach()) for key, value in losses.items()}
        return losses

    def _losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch, part: int) -> dict[str, Tensor]:
        truth = batch["truth"][part]
        if name == "judge":
            loss = hinge_discriminator_loss(nets["judge"](truth.flatten(0, 1)), nets["judge"](batch[f"made{part}"]))
            return {"loss": loss}
        made = nets["model"](batch["loudness"][part].flatten(0, 1))
        batch[f"made{part}"] = made
        film = made.reshape(truth.shape)
        losses = {
            "l1": weighted_l1(made, truth.flatten(0, 1)),
            "edges": edge_l1(made, truth.flatten(0, 1)),
            "motion": temporal_loss(film, truth),
        }
        if "judge" in nets:
            losses["real"] = hinge_real_loss(nets["judge"](made))
        total = sum(value * self.weights.get(key, 1.0) for key, value in losses.items())
        sync = self.sync * (made.mean((1, 2, 3)) - truth.flatten(0, 1).mean((1, 2, 3))).abs().mean()
        return {"loss": total + sync, **losses}

    def evaluate(self, average: nn.Module) -> Evaluation:
        assert not average.training
        held_out = planted((self.seed, 10**6, 0))
        with torch.no_grad():
            made = average(held_out["loudness"].flatten(0, 1))
        error = float(weighted_l1(made, held_out["truth"].flatten(0, 1)))
        # As Wav2Lip switches its expert on: by what an evaluation says.
        self.sync = round(self.sync + error, 6)
        return Evaluation({"l1": error}, {"mouths": made, "film": made.reshape(held_out["truth"].shape)})

    def state(self) -> dict[str, float]:
        return {"sync": self.sync}

    def restore(self, state: Mapping[str, float]) -> None:
        self.sync = state["sync"]


def planted(key: tuple[int, int, int]) -> Batch:
    """Return 4 films of two frames: loudness (4, 2, 8), pictures (4, 2, 3, 16, 16)."""
    rng = np.random.default_rng(key)
    loudness = rng.uniform(0, 1, (4, 2, 8)).astype(np.float32)
    rows = np.abs(np.arange(SIDE) - SIDE / 2)[None, None, :, None] < 1 + 6 * loudness.mean(-1)[:, :, None, None]
    columns = np.abs(np.arange(SIDE) - SIDE / 2) < 5
    mouth = (rows & columns).astype(np.float32)[:, :, None]
    truth = 0.7 - 0.5 * mouth * np.array([1.0, 0.8, 0.9], np.float32)[:, None, None]
    return {"loudness": torch.from_numpy(loudness), "truth": torch.from_numpy(truth.astype(np.float32))}


def quiet(_line: str) -> None:
    """Take a line of progress and say nothing."""


def saved(run: Path) -> dict[str, Any]:
    """Return the checkpoint of a run without the time it took and its configuration."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    return {key: value for key, value in state.items() if key not in ("spent_s", "identity")}


def same(one: object, other: object) -> bool:
    """Say whether two nested structures are equal, tensors bit for bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
