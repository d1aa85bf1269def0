"""Second stage of lite: pictures of a mouth shape from a speaker's own pixels.

The network is told the true shape of the target frame, so that it never learns to average over what it cannot know.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.landmarks import JAW, LIPS_INNER, LIPS_OUTER
from models.lite import Lite, LiteOutput, mixture, sample
from models.lite_contract import LiteConfig
from train.npz import Clip
from train.oldloop import LoopConfig, train

APART = 4
"""Frames between the target and any source: nearer ones would hold the answer."""

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Weights:
    """Weigh the terms of the picture loss.

    "edges" keeps it sharp, "choice" keeps sources from being averaged, "stay" keeps skin away from the lips the pose
    frame's own, so that it does not flicker from one reference to another.
    """

    edges: float = 1.0
    smooth: float = 0.01
    paint: float = 0.05
    choice: float = 0.01
    stay: float = 0.03


def mirrored_points() -> NDArray[np.int64]:
    """Return where each point of a shape comes from when the face is mirrored."""
    lips = len(LIPS_OUTER)

    def ring(start: int, first: int, second: int, count: int) -> list[int]:
        # A ring from one corner to the other and back, mirrored, runs the other way round from the other corner.
        return [start + (first + second - i) % count for i in range(count)]

    outer = ring(0, 0, 10, lips)
    inner = ring(lips, 0, 10, len(LIPS_INNER))
    jaw = [2 * lips + len(JAW) - 1 - i for i in range(len(JAW))]
    return np.array(outer + inner + jaw)


def pick_sources(clip: Clip, target: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return a pose frame and `count - 1` references from closed to open, none within APART frames of `target`."""
    allowed = np.flatnonzero(np.abs(np.arange(len(clip.shapes)) - target) >= APART)
    ordered = allowed[np.argsort(clip.gaps[allowed])]
    thirds = np.array_split(ordered, count - 1)
    # The extremes of each part: what history keeps as references at run time.
    picks = [int(rng.choice(part[-max(1, len(part) // 3) :] if i else part[: max(1, len(part) // 2)])) for i, part in
             enumerate(thirds)]  # fmt: skip
    return [int(rng.choice(allowed)), *picks]


def draw_batch(
    clips: Sequence[Clip], chance: NDArray[np.float64], size: int, sources: int, rng: np.random.Generator
) -> Batch:
    """Return target pictures (N, 3, S, S), target shapes, source crops (N, K, 3, S, S) and their shapes, augmented."""
    mirror = mirrored_points()
    targets, shapes, crops, source_shapes = [], [], [], []
    for index in rng.choice(len(clips), size, p=chance):
        clip = clips[index]
        gaps = clip.gaps + 0.01
        target = int(rng.choice(len(gaps), p=gaps / gaps.sum()))
        frames = [target, *pick_sources(clip, target, sources, rng)]
        pictures, points = clip.crops[frames], clip.shapes[frames]
        if rng.random() < 0.5:
            pictures = pictures[:, :, ::-1]
            points = points[:, mirror] * np.array([-1.0, 1.0], dtype=np.float32)
        pictures = _photometric(pictures, rng)
        targets.append(pictures[0])
        shapes.append(points[0])
        crops.append(pictures[1:])
        source_shapes.append(points[1:])
    picture = torch.from_numpy(np.stack(targets)).permute(0, 3, 1, 2).contiguous()
    crop = torch.from_numpy(np.stack(crops)).permute(0, 1, 4, 2, 3).contiguous()
    return picture, torch.from_numpy(np.stack(shapes)), crop, torch.from_numpy(np.stack(source_shapes))


def _photometric(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Give all pictures of one sample another skin, light and camera; each its own slight exposure."""
    gamma = rng.uniform(0.7, 1.4)
    gain = rng.uniform(0.75, 1.2, size=3) * rng.uniform(0.8, 1.15)
    order = rng.permutation(3) if rng.random() < 0.2 else np.arange(3)
    curve = (np.arange(256) / 255.0) ** gamma
    changed = np.empty(pictures.shape, dtype=np.float32)
    for picture, out in zip(pictures, changed, strict=True):
        # A table per channel: powers of single pixels would cost more than the network.
        table = np.clip(curve * rng.uniform(0.98, 1.02), 0.0, 1.0).astype(np.float32)
        for channel in range(3):
            out[..., channel] = np.minimum(table * np.float32(gain[channel]), 1.0)[picture[..., order[channel]]]
    return changed


def batches(clips: Sequence[Clip], size: int, sources: int, seed: int) -> Iterator[Batch]:
    """Draw batches for ever; every speaker is drawn with a chance that grows as the square root of their frames."""
    rng = np.random.default_rng(seed)
    speakers, index = np.unique([clip.speaker for clip in clips], return_inverse=True)
    amount = np.zeros(len(speakers))
    np.add.at(amount, index, [len(clip.shapes) for clip in clips])
    chance = np.array([len(clip.shapes) for clip in clips]) / np.sqrt(amount)[index]
    chance /= chance.sum()
    while True:
        yield draw_batch(clips, chance, size, sources, rng)


def picture_loss(
    output: LiteOutput, made: Tensor, truth: Tensor, outline: Tensor, weights: Weights
) -> dict[str, Tensor]:
    """Return the named terms of the loss over the mouth region: made and truth (N, 3, H, W), outline (N, 4, H, W)."""
    where = 0.25 + outline.mul(outline.new_tensor([1.0, 1.0, 0.5, 1.5])[None, :, None, None]).sum(1, keepdim=True)
    where = where / where.mean(dim=(2, 3), keepdim=True)
    picture = (where * (made - truth).abs()).mean()
    across = (where[..., 1:] * (made.diff(dim=-1) - truth.diff(dim=-1)).abs()).mean()
    down = (where[:, :, 1:] * (made.diff(dim=-2) - truth.diff(dim=-2)).abs()).mean()
    maps = output.maps_NK2HW
    smooth = maps.diff(n=2, dim=-1).abs().mean() + maps.diff(n=2, dim=-2).abs().mean()
    paint = output.residual_N3HW.abs().mean()
    choice = -(output.weights_NKHW * (output.weights_NKHW + 1e-6).log()).sum(1).mean()
    edges = across + down
    far = 1.0 - outline[:, [0, 1, 3]].amax(1)
    stay = (far * (1.0 - output.weights_NKHW[:, 0])).mean()
    total = (
        picture
        + weights.edges * edges
        + weights.smooth * smooth
        + weights.paint * paint
        + weights.choice * choice
        + weights.stay * stay
    )
    return {"loss": total, "picture": picture, "edges": edges, "smooth": smooth, "paint": paint, "stay": stay}


def region_of(pictures: Tensor, config: LiteConfig) -> Tensor:
    """Cut the mouth region out of aligned crops (..., S, S)."""
    left, top, right, bottom = config.region
    return pictures[..., top:bottom, left:right]


def train_picture(
    lite: Lite,
    clips: Sequence[Clip],
    checkpoint: Path,
    config: LoopConfig,
    seed: int,
    size: int = 16,
    bf16: bool = False,
) -> None:
    """Train `lite.picture` on `clips`; its weights become the averaged ones.

    `bf16` runs the network in bfloat16, a third faster on CPUs with avx512_bf16.
    """

    def loss_of(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        picture, shape, crops, shapes = batch
        noisy = shape + 0.003 * torch.randn_like(shape)
        maps = lite.warp(noisy, shapes)
        outline = lite.warp.outline(noisy)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            flow, weights, residual = network(sample(crops, maps), outline)
        output = LiteOutput(noisy, maps + flow.float(), weights.float(), residual.float())
        return picture_loss(output, mixture(output, crops), region_of(picture, lite.config), outline, Weights())

    trained = train(lite.picture, batches(clips, size, lite.config.sources, seed), loss_of, checkpoint, config)
    lite.picture.load_state_dict(trained.state_dict())
    lite.picture.eval()
