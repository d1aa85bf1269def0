"""What the picture network is shown in training: targets and sources of one person, in other lights."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.landmarks import JAW, LIPS_INNER, LIPS_OUTER
from train.data.clips import Clip, balanced
from train.loop.task import Batch


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


def pick_sources(
    gaps: NDArray[np.float32], targets: NDArray[np.int64], count: int, apart: int, rng: np.random.Generator
) -> list[int]:
    """Return a pose frame and `count - 1` references from closed to open, none within `apart` frames of a target.

    `gaps` (T,) are the lip gaps of the clip.
    """
    away = np.abs(np.arange(len(gaps))[:, None] - targets[None]).min(1)
    allowed = np.flatnonzero(away >= apart)
    ordered = allowed[np.argsort(gaps[allowed])]
    picks = []
    # The extremes of each part: what history keeps as references at run time.
    for index, part in enumerate(np.array_split(ordered, count - 1)):
        extreme = part[-max(1, len(part) // 3) :] if index else part[: max(1, len(part) // 2)]
        picks.append(int(rng.choice(extreme)))
    return [int(rng.choice(allowed)), *picks]


def draw_windows(
    clips: Sequence[Clip], count: int, frames: int, sources: int, apart: int, rng: np.random.Generator
) -> Batch:
    """Draw windows of target frames in a row, with sources from elsewhere in the clip, augmented alike.

    Returns:
        "targets" (N, T, 3, S, S) and "shapes" (N, T, P, 2), "crops" (N, K, 3, S, S) and "source_shapes" (N, K, P, 2);
        "index" (N,) of the clip and "first" (N,) target frame, "mirrored" (N,) bool.
    """
    # A clip that is too short for sources far enough from the target is never drawn.
    chance = balanced(clips) * [len(clip) >= frames + 2 * apart + 3 * sources for clip in clips]
    mirror = mirrored_points()
    pictures, shapes, places = [], [], []
    for index in rng.choice(len(clips), count, p=chance / chance.sum()):
        clip = clips[index]
        gaps = clip.gaps[frames // 2 : len(clip) - (frames - 1 - frames // 2)] + 0.01
        first = int(rng.choice(len(gaps), p=gaps / gaps.sum()))
        targets = np.arange(first, first + frames)
        chosen = [*targets, *pick_sources(clip.gaps, targets, sources, apart, rng)]
        seen, points = clip.crops[chosen], clip.shapes[chosen]
        mirrored = bool(rng.random() < 0.5)
        if mirrored:
            seen = seen[:, :, ::-1]
            points = points[:, mirror] * np.array([-1.0, 1.0], dtype=np.float32)
        pictures.append(relit(seen, frames, rng))
        shapes.append(points)
        places.append((int(index), first, mirrored))
    shown = torch.from_numpy(np.stack(pictures)).permute(0, 1, 4, 2, 3).contiguous()
    points_NXP2 = torch.from_numpy(np.stack(shapes))
    indices, firsts, flipped = zip(*places, strict=True)
    return {
        "targets": shown[:, :frames],
        "shapes": points_NXP2[:, :frames],
        "crops": shown[:, frames:],
        "source_shapes": points_NXP2[:, frames:],
        "index": torch.tensor(indices),
        "first": torch.tensor(firsts),
        "mirrored": torch.tensor(flipped),
    }


def relit(pictures: NDArray[np.uint8], together: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the pictures of one sample another skin, light and camera; each its own slight exposure.

    The first `together` are frames in a row and keep one exposure. Returns 0..1.
    """
    gamma = rng.uniform(0.7, 1.4)
    gain = rng.uniform(0.75, 1.2, size=3) * rng.uniform(0.8, 1.15)
    order = rng.permutation(3) if rng.random() < 0.2 else np.arange(3)
    curve = (np.arange(256) / 255.0) ** gamma
    exposures = rng.uniform(0.98, 1.02, size=len(pictures))
    exposures[:together] = exposures[0]
    changed = np.empty(pictures.shape, dtype=np.float32)
    for picture, out, exposure in zip(pictures, changed, exposures, strict=True):
        # A table per channel: powers of single pixels would cost more than the network.
        table = np.clip(curve * exposure, 0.0, 1.0).astype(np.float32)
        for channel in range(3):
            out[..., channel] = np.minimum(table * np.float32(gain[channel]), 1.0)[picture[..., order[channel]]]
    return changed


def rgb(pictures_N3HW: Tensor) -> Tensor:
    """Return BGR pictures as RGB, for people."""
    return pictures_N3HW.flip(1).clamp(0.0, 1.0)
