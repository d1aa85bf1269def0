"""Second stage of lite: pictures of a mouth shape from a speaker's own pixels.

The network is told the true shape of the target frame, so that it never learns to average over what it cannot know.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.lite.contract import LiteConfig
from models.lite.discriminator import PatchDiscriminator
from models.lite.painter import Drawing, Painter
from models.lite.warp import enlarge
from train.data.clips import Clip
from train.data.pool import ClipSource
from train.lite.config import PictureConfig
from train.lite.sources import draw_windows, rgb
from train.lite.sync import SyncJudge
from train.loop.task import Batch, Evaluation, Stateless
from train.losses.adversarial import hinge_discriminator_loss, hinge_real_loss
from train.losses.lips import outline_weights
from train.losses.motion import temporal_loss
from train.losses.pictures import edge_l1, flow_variation, laplacian_energy, sharpness_loss, structure_loss, weighted_l1

SHOWN = 6
"""Held-out windows that are drawn for people to look at."""

NOISE = 0.003
"""Error of a shape, in eye distances, that the network must bear: what FaceMesh's own is."""


class PictureTask(Stateless):
    """Bring the pictures of a lite, clips, losses and a discriminator together (a train.loop.task.Task)."""

    def __init__(
        self,
        painter: Painter,
        pool: ClipSource,
        held_out: Sequence[Clip],
        config: PictureConfig,
        judge: SyncJudge | None = None,
        seed: int = 1,
    ) -> None:
        """Train `painter`; `judge` is the sync loss's."""
        self.networks: dict[str, nn.Module] = {"model": painter}
        if config.loss.quality:
            self.networks["discriminator"] = PatchDiscriminator()
        self._painter, self._pool, self._held_out = painter, pool, list(held_out)
        self._config, self._judge, self._seed = config, judge, seed

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return windows (train.lite.sources.draw_windows), and whether the sync loss is on as "sync" (a bool)."""
        rng = np.random.default_rng((self._seed, step, rank))
        clips, config = self._pool.at(step), self._config
        batch = draw_windows(clips, config.batch, config.frames, self._painter.config.sources, config.apart, rng)
        batch["noise"] = torch.from_numpy(rng.normal(0.0, NOISE, batch["shapes"].shape).astype(np.float32))
        if self._judge is not None and step >= config.loss.sync_after * config.loop.steps:
            batch |= self._judge.hear(clips, batch)
        return batch

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the generator, or of the discriminator with what the generator made."""
        truth = region_of(batch["targets"], self._painter.config)
        if name == "discriminator":
            loss = hinge_discriminator_loss(nets[name](truth.flatten(0, 1)), nets[name](batch["made"]))
            return {"loss": loss}
        shapes = batch["shapes"] + batch["noise"]
        drawing = nets[name](shapes, batch["crops"], batch["source_shapes"])
        crops = batch["crops"].repeat_interleave(shapes.shape[1], 0)
        made = self._painter.mixture(drawing, crops)
        batch["made"] = made.detach()
        windows = made.reshape(truth.shape)
        parts = self._parts(drawing, shapes.flatten(0, 1), windows, truth)
        weights = self._config.loss
        if weights.quality:
            parts["quality"] = hinge_real_loss(nets["discriminator"](made))
        if self._judge is not None and "mel" in batch:
            parts["sync"] = self._judge(windows, batch)
        loss = torch.stack([getattr(weights, part) * value for part, value in parts.items()]).sum()
        return {"loss": loss, **parts}

    def _parts(self, drawing: Drawing, shapes: Tensor, made: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return the unweighted losses of made against true regions (N, T, 3, H, W)."""
        weights, warp = self._config.loss, self._painter.warp
        outline = warp.outline(shapes)
        where = outline_weights(enlarge(outline))
        flat, real = made.flatten(0, 1), truth.flatten(0, 1)
        chosen = drawing.weights_NKhw
        far = 1.0 - outline[:, [0, 1, 3]].amax(1)
        parts = {
            "pixels": weighted_l1(flat, real, where),
            "edges": edge_l1(flat, real),
            "smooth": flow_variation(drawing.flow_NK2hw),
            "paint": drawing.residual_N3hw.abs().mean(),
            "choice": -(chosen * (chosen + 1e-6).log()).sum(1).mean(),
            "stay": (far * (1.0 - chosen[:, 0])).mean(),
        }
        if weights.sharpness:
            parts["sharpness"] = sharpness_loss(flat, real, where)
        if weights.structure:
            parts["structure"] = structure_loss(flat, real, where)
        if weights.temporal:
            parts["temporal"] = temporal_loss(made, truth, where.reshape(*truth.shape[:2], *where.shape[1:]))
        return parts

    @torch.no_grad()
    def evaluate(self, average: nn.Module) -> Evaluation:
        """Draw held-out windows: error on the lips and sharpness against the real picture; pictures for people."""
        assert isinstance(average, Painter)
        if not self._held_out:
            return Evaluation({})
        rng = np.random.default_rng(0)
        config, device = average.config, average.warp.full_2HW.device
        batch = draw_windows(self._held_out, 48, 1, config.sources, self._config.apart, rng)
        batch = {name: value.to(device) for name, value in batch.items()}
        drawing = average(batch["shapes"], batch["crops"], batch["source_shapes"])
        made, truth = average.mixture(drawing, batch["crops"]), region_of(batch["targets"], config)[:, 0]
        where = outline_weights(enlarge(average.warp.outline(batch["shapes"][:, 0])))
        sharp = (laplacian_energy(made, where) / laplacian_energy(truth, where).clamp(min=1e-8)).median()
        figures = {"lips L1": float(weighted_l1(made, truth, where)), "sharpness": float(sharp)}
        poses = region_of(batch["crops"][:, :1], config)[:, 0]
        rows = torch.cat([torch.cat([poses[i], made[i], truth[i]], -1)[None] for i in range(SHOWN)])
        return Evaluation(figures, {"pose, made, real": rgb(rows)})


def region_of(pictures: Tensor, config: LiteConfig) -> Tensor:
    """Cut the mouth region out of aligned crops (..., S, S)."""
    left, top, right, bottom = config.region
    return pictures[..., top:bottom, left:right]
