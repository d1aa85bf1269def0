"""One past frame of the caller, and how far the head moved between two. Pure."""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from models.generator import Image, Landmarks
from models.landmarks import STABLE


@dataclass(slots=True, eq=False)
class PastFrame:
    """A past frame of the caller.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        landmarks: landmarks of the face, (468, 2) px.
        media_ms: media time of capture, in ms.
        opening: mouth opening in eye distances.
        sharpness: as measured by the tracker.
        yaw: turn of the head, in degrees.
        eyes: eye opening; near 0 in a blink.
        section: number of its section; frames of one section follow each other without a gap.
        moved: head motion since the frame before it, px, as found (not smoothed); None when there is none before it.
        features: what a generator computed for this frame, None until it is asked to.
    """

    image: Image
    landmarks: Landmarks
    media_ms: float
    opening: float
    sharpness: float = 1.0
    yaw: float = 0.0
    eyes: float = 0.3
    section: int = 0
    moved: float | None = None
    features: Any = None
    _counted: tuple[Any, int] = field(default=(None, 0), init=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of pixels, landmarks and features."""
        # Whoever bounds memory asks hundreds of frames for every one that is kept.
        if self._counted[0] is not self.features:
            self._counted = self.features, count_bytes(self.features)
        return self.image.nbytes + self.landmarks.nbytes + self._counted[1]


def count_bytes(value: Any) -> int:
    """Return the bytes of all arrays in nested tuples, lists, dicts and dataclasses."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(count_bytes(item) for item in value.values())
    if isinstance(value, (tuple, list)):
        return sum(count_bytes(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return sum(count_bytes(getattr(value, one.name)) for one in fields(value))
    return 0


def motion(before: Landmarks, after: Landmarks) -> float:
    """Return the mean displacement in px of the points that speech hardly moves."""
    stable = list(STABLE)
    return float(np.linalg.norm(after[stable] - before[stable], axis=1).mean())
