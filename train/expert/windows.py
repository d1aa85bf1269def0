"""Windows of a clip as the expert's trainer sees them: cut, varied, with what the mouth measures."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.expert.contract import FACE_HW, ExpertConfig
from models.lite.contract import CHIN, GAP, OUTER
from train.data.clips import Clip
from train.expert.config import AugmentConfig

MEASURES: Final = 3
"""Numbers of one frame that `measures` returns."""

# Typical spread of the measures, in eye distances (GRID, speaker 1).
_SPREAD: Final = np.array([0.06, 0.03, 0.04], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class WindowView:
    """How one window is seen.

    Attributes:
        matrix: (2, 3) affine from the crop to the picture of 48x96 px.
        table: (256, 3) uint8, new grey level of each channel.
    """

    matrix: NDArray[np.float64]
    table: NDArray[np.uint8]


def draw_view(expert: ExpertConfig, config: AugmentConfig, size: int, rng: np.random.Generator) -> WindowView:
    """Draw a view of crops of `size` px."""
    left, top, right, bottom = expert.region
    height, width = FACE_HW
    zoom = np.exp(rng.normal() * config.scale)
    across, down = zoom * width / ((right - left) * size), zoom * height / ((bottom - top) * size)
    if rng.random() < config.mirror:
        across = -across
    angle = np.radians(rng.normal() * config.turn)
    linear = np.array([[across], [down]]) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array([(left + right) / 2, (top + bottom) / 2]) + rng.normal(size=2) * config.shift) * size - 0.5
    offset = np.array([width / 2, height / 2]) - 0.5 - linear @ middle
    return WindowView(np.hstack([linear, offset[:, None]]), _draw_table(config.light, rng))


def _draw_table(strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    gamma = np.exp(strength * rng.uniform(-0.35, 0.35))
    gain = np.exp(strength * (rng.uniform(-0.25, 0.2) + rng.uniform(-0.2, 0.2, size=3)))
    curve = (np.arange(256) / 255.0) ** gamma
    return np.asarray(np.clip(curve[:, None] * gain * 255.0 + 0.5, 0, 255), dtype=np.uint8)


def look(crops: NDArray[np.uint8], view: WindowView) -> NDArray[np.uint8]:
    """Return crops (T, S, S, 3) as the view shows them: (3 T, 48, 96), the frames' channels stacked in time."""
    height, width = FACE_HW
    faces = [
        cv2.warpAffine(crop, view.matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for crop in crops
    ]
    lit = cv2.LUT(np.concatenate(faces), view.table[None]).reshape(len(crops), height, width, 3)
    return np.asarray(np.ascontiguousarray(lit.transpose(0, 3, 1, 2)).reshape(-1, height, width), dtype=np.uint8)


def measures(clip: Clip) -> NDArray[np.float32]:
    """Return how far each frame's mouth is from closed: (T, 3) gap, width and drop of the chin, about 1 in size."""
    return np.asarray((_measure(clip.shapes) - _measure(clip.neutral[None])) / _SPREAD, dtype=np.float32)


def _measure(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    upper, lower = GAP
    gap = np.linalg.norm(shapes[:, lower] - shapes[:, upper], axis=-1)
    outer = shapes[:, OUTER, 0]
    return np.stack([gap, outer.max(1) - outer.min(1), shapes[:, CHIN, 1].max(1)], axis=1)
