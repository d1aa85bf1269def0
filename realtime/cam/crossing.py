"""How one picture becomes another: one head that moves, or two that dissolve where that cannot be."""

from typing import Final

import numpy as np

from models.generator import Image, Landmarks
from models.landmarks import eye_distance
from realtime.face.handback import dissolve, smoothstep
from realtime.face.morph import melt

_FRAMES: Final = 10
"""Frames in which one thing becomes another."""
_FAR: Final = 2.5
"""Eye distances: heads further apart dissolve, as a melt would tear the wall between them along."""
_LARGER: Final = 2.0
"""Times: of heads more unlike in size the same is true."""

Shown = tuple[Image, Landmarks | None]
"""A frame without badge, which must not move with a head, and where its face is."""


class Crossing:
    """Lead from the frame that was left to what is drawn instead. Not thread-safe.

    Attributes:
        frames: frames since `begin`.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._left: Shown | None = None

    def begin(self, left: Shown | None) -> None:
        """Leave the frame `left`; None begins with what is drawn, without a way to it."""
        self._left, self.frames = left, 0

    @property
    def under_way(self) -> bool:
        """Return whether a frame that was left still shows."""
        return self._left is not None

    def lead(self, shown: Shown) -> Shown | None:
        """Return the frame on the way to `shown`, `frames` after the beginning; None once it is there."""
        if self._left is None:
            return None
        if self.frames > _FRAMES or self._left[0].shape != shown[0].shape:
            self._left = None
            return None
        return between(self._left, shown, smoothstep(self.frames / (_FRAMES + 1.0)))

    def part_of(self, shown: Shown, progress: float) -> Shown | None:
        """Return the frame `progress` (0..1) of the way to `shown`; None where nothing was left to come from."""
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
