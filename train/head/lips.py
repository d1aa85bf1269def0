"""Where the lips are for a mouth shape: four curves over the mouth's width, and what the jaw does."""

from dataclasses import dataclass

import numpy as np

from train.head.appearance import Appearance
from train.head.pose import MouthShape
from train.head.surface import Array

WIDEST_GAP = 0.42
"""Gap between the lips at `opening` 1, in face units."""


@dataclass(frozen=True, slots=True)
class Lips:
    """The curves at the asked x, in face units: edges of the upper lip, then of the lower.

    `across` is -1..1 between the corners, `gap` the opening at the midline, `jaw` the drop of the chin,
    `half` half the mouth's width, `rest` half the width at rest, `upper`, `lower` thickness at the midline.
    """

    outer_upper: Array
    inner_upper: Array
    inner_lower: Array
    outer_lower: Array
    across: Array
    gap: float
    down: float
    jaw: float
    half: float
    rest: float


def gap_of(shape: MouthShape) -> float:
    """Return the gap between the lips at the midline in face units."""
    return WIDEST_GAP * max(shape.opening, 0.0) + 0.042 * shape.lift * (1 - shape.press)


def true_opening(face: Appearance, shape: MouthShape) -> float:
    """Return the gap of the inner lips over that of the outer eye corners, as models.landmarks.mouth_opening."""
    return gap_of(shape) / face.eye_distance


def lips_of(face: Appearance, shape: MouthShape, x: Array) -> Lips:
    """Return the lips' curves at `x` (n,) in face units."""
    rest = 0.335 * face.mouth_width
    half = rest * (1 + 0.17 * shape.spread - 0.31 * shape.rounding - 0.05 * shape.opening + 0.12 * shape.smile)
    gap = gap_of(shape)
    up = 0.23 * gap + 0.024 * shape.lift
    down = gap - up
    s = x / half
    a = np.clip(np.abs(s), 0, 1)
    inner = np.clip(np.abs(s) / 0.93, 0, 1)
    bulge = 0.62 + 0.18 * (1 - shape.rounding)
    profile = (1 - inner**2.2) ** bulge
    hang = (1 - inner**2.8) ** bulge
    corner = face.mouth_y + 0.30 * down * a**2 - (0.095 * shape.smile + 0.042) * a**1.6 + 0.012
    tubercle = 0.013 * np.exp(-((s / 0.22) ** 2)) - 0.012 * np.exp(-(((a - 0.45) / 0.25) ** 2))
    seam = corner - 0.012 + tubercle - 0.02 * shape.tuck * profile
    thin = (1 - 0.45 * shape.press) * (1 - 0.20 * shape.opening) * (1 + 0.22 * shape.rounding - 0.08 * shape.spread)
    upper = 0.108 * face.lip_full * thin * (1 - 0.25 * shape.press)
    lower = 0.132 * face.lip_full * thin * (1 - 0.45 * shape.tuck)
    bow = 0.86 + 0.16 * np.exp(-(((a - 0.28) / 0.16) ** 2)) - 0.11 * np.exp(-((a / 0.13) ** 2))
    inner_upper = seam - up * profile
    inner_lower = seam + down * hang
    return Lips(
        outer_upper=inner_upper - upper * bow * (1 - a**1.7) ** 0.85,
        inner_upper=inner_upper,
        inner_lower=inner_lower,
        outer_lower=inner_lower - 0.6 * tubercle + lower * (1 - a**2.7) ** 0.70,
        across=s,
        gap=gap,
        down=down,
        jaw=0.95 * WIDEST_GAP * 0.77 * shape.jaw - 0.015 * shape.tuck,
        half=half,
        rest=rest,
    )
