"""Train Wav2Lip: L1, the frozen expert's sync loss from when it can help, and the quality discriminator by choice."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.expert.network import SyncNet, see
from models.wav2lip.discriminator import QualityDiscriminator
from models.wav2lip.network import Wav2Lip
from train.data.clips import Clip
from train.data.pool import Pool
from train.loop.task import Batch, Evaluation
from train.losses.adversarial import discriminator_loss, real_loss
from train.losses.frozen import SyncLoss, stack_lower
from train.losses.pictures import weighted_l1
from train.wav2lip.config import Wav2LipTraining
from train.wav2lip.paste import paste
from train.wav2lip.windows import FRAMES, draw_windows

SHOWN = 8
"""Held-out windows that an evaluation shows."""


class Wav2LipTask:
    """Bring generator, expert, discriminator and clips together (a train.loop.task.Task)."""

    def __init__(
        self, config: Wav2LipTraining, expert: SyncNet, pool: Pool, held_out: Sequence[Clip], seed: int = 1
    ) -> None:
        """Train on what `pool` holds and measure on windows of `held_out`, the same ones every time."""
        self.networks: dict[str, nn.Module] = {"model": Wav2Lip(config.width)}
        if config.loss.quality > 0:
            self.networks["quality"] = QualityDiscriminator()
        self._config, self._pool, self._seed = config, pool, seed
        self._expert, self._sync = expert.config, SyncLoss(expert)
        self._held_out = draw_windows(held_out, config.held_out, self._expert, np.random.default_rng(0))
        self._sync_weight = 0.0

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return the windows of a step (train.wav2lip.windows.draw_windows); pictures are bytes until they are used."""
        rng = np.random.default_rng((self._seed, step, rank))
        return draw_windows(self._pool.at(step), self._config.batch, self._expert, rng)

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return "loss" and its parts; the generator leaves "made" (N, 3, 5, 96, 96) for the discriminator."""
        truth = _to_float(batch["truth"])
        if name == "quality":
            return {"loss": discriminator_loss(nets["quality"](truth), nets["quality"](batch["made"].detach()))}
        made = nets["model"](batch["mel"], _to_float(batch["face"])).float()
        batch["made"] = made
        weights, sync = self._config.loss, self._sync_weight
        parts = {"l1": weighted_l1(made, truth)}
        loss = (1.0 - sync - weights.quality) * parts["l1"]
        if sync > 0:
            parts["sync"] = self._sync_loss(made, batch)
            loss = loss + sync * parts["sync"]
        if weights.quality > 0:
            parts["quality"] = real_loss(nets["quality"](made))
            loss = loss + weights.quality * parts["quality"]
        return {"loss": loss, **parts}

    @torch.no_grad()
    def evaluate(self, average: nn.Module) -> Evaluation:
        """Measure L1 and sync loss on the held-out windows; a sync loss low enough switches its weight on for good.

        "sync real" is what the expert says of the real frames: no generator gets below it for long. Pictures show the
        middle frame of some windows: what is told, the reference, made, real.
        """
        device = next(average.parameters()).device
        sums = {"l1": 0.0, "sync": 0.0, "sync real": 0.0}
        rows: list[Tensor] = []
        spoken = 0
        for start in range(0, self._config.held_out, self._config.batch):
            part = {key: value[start : start + self._config.batch].to(device) for key, value in self._held_out.items()}
            truth, face = _to_float(part["truth"]), _to_float(part["face"])
            made = average(part["mel"], face)
            heard = int(part["speech"].sum())
            spoken += heard
            sums["l1"] += float(weighted_l1(made, truth)) * len(made)
            sums["sync"] += float(self._sync_loss(made, part)) * heard
            sums["sync real"] += float(self._sync_loss(truth, part)) * heard
            rows += [torch.cat([face[:, :3], face[:, 3:], made, truth], dim=-1)[:, :, FRAMES // 2].cpu()]
        counts = {"l1": self._config.held_out, "sync": spoken, "sync real": spoken}
        figures = {name: value / max(counts[name], 1) for name, value in sums.items()}
        if spoken and figures["sync"] < self._config.loss.sync_below:
            self._sync_weight = self._config.loss.sync
        pictures = torch.cat(rows)[:SHOWN].flip(1)
        return Evaluation(figures | {"sync weight": self._sync_weight}, {"told reference made real": pictures})

    def state(self) -> dict[str, float]:
        """Return the weight of the sync loss, which the public trainer forgets when it resumes."""
        return {"sync_weight": self._sync_weight}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take back what `state` returned."""
        self._sync_weight = float(state["sync_weight"])

    def _sync_loss(self, made: Tensor, batch: Batch) -> Tensor:
        """Return the expert's loss of clips (N, 3, 5, 96, 96) over all its windows with speech."""
        frames = made.transpose(1, 2)
        if self._config.expert.sees == "crop":
            frames = paste(frames, _to_float(batch["crops"]), batch["boxes"])
        length = self._expert.frames
        views = [frames[:, start : start + length] for start in range(FRAMES - length + 1)]
        if self._config.expert.sees == "crop":
            faces = [see(view, self._expert) for view in views]
        else:
            faces = [stack_lower(view) for view in views]
        # Window by window, as the sound lies.
        loss: Tensor = self._sync(
            batch["sound"].transpose(0, 1).flatten(0, 1), torch.cat(faces), batch["speech"].T.flatten()
        )
        return loss


def _to_float(pictures: Tensor) -> Tensor:
    return pictures.float() / 255.0
