"""How one picture becomes another: one head that moves, or two that dissolve where that cannot be."""

from typing import Final

import numpy as np

from models.generator import Image, Landmarks
from models.landmarks import eye_distance
from realtime.face.handback import dissolve, smoothstep
from realtime.face.morph import melt

_FRAMES: Final = 10
"""Frames of a crossing."""
_FAR: Final = 2.5
"""Distance of two heads, in eye distances, from which they dissolve: a melt would drag the wall between them along."""
_LARGER: Final = 2.0
"""Ratio of the sizes of two heads from which they dissolve."""

Shown = tuple[Image, Landmarks | None]
"""A frame without its badge, which must not move with a head, and the landmarks of its face."""


class Crossing:
    """Lead from one frame to what is drawn in its place. Not thread-safe.

    Attributes:
        frames: frames since `begin`.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._left: Shown | None = None

    def begin(self, left: Shown | None) -> None:
        """Begin a crossing from the frame `left`; None shows what is drawn at once."""
        self._left, self.frames = left, 0

    @property
    def under_way(self) -> bool:
        """Whether a crossing is still going on."""
        return self._left is not None

    def lead(self, shown: Shown) -> Shown | None:
        """Return the frame on the way to `shown`, `frames` after the beginning; None once the crossing is over."""
        if self._left is None:
            return None
        if self.frames > _FRAMES or self._left[0].shape != shown[0].shape:
            self._left = None
            return None
        return between(self._left, shown, smoothstep(self.frames / (_FRAMES + 1.0)))

    def part_of(self, shown: Shown, progress: float) -> Shown | None:
        """Return the frame `progress` (0..1) of the way to `shown`; None where there is no crossing."""
        if self._left is None or self._left[0].shape != shown[0].shape:
            return None
        return between(self._left, shown, smoothstep(progress))


def between(first: Shown, second: Shown, weight: float) -> Shown:
    """Return a frame `weight` (0..1) of the way: one head that moves, or two that dissolve where that cannot be."""
    (before, old), (after, new) = first, second
    if old is None or new is None or not _near(old, new):
        return dissolve(before, after, weight), new
    at = (old + np.float32(weight) * (new - old)).astype(np.float32)
    return melt(before, old, after, new, at, weight, quick=True), at


def _near(old: Landmarks, new: Landmarks) -> bool:
    eyes = sorted((max(eye_distance(old), 1.0), max(eye_distance(new), 1.0)))
    away = float(np.linalg.norm(old.mean(0) - new.mean(0)))
    return away <= _FAR * eyes[0] and eyes[1] <= _LARGER * eyes[0]
