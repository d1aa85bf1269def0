"""The contract between a mouth generator and the rooms that use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.hearing import Columns, Hearing

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

Landmarks = NDArray[np.float32]
"""(468, 2) float32, MediaPipe FaceMesh order, in px of the image they were found in."""


@dataclass(frozen=True, slots=True)
class FaceImage:
    """One frame with the face found in it; `image` (H, W, 3) BGR, `landmarks` (468, 2) px."""

    image: Image
    landmarks: Landmarks


@dataclass(frozen=True, slots=True)
class Patch:
    """A generated mouth region.

    Attributes:
        image: (h, w, 3) uint8 BGR, the region with the new mouth.
        matrix: (2, 3) float64 affine from px of the pose frame to px of `image`.
        landmarks: (468, 2) px of the pose frame, the pose's landmarks with lips and jaw where the new mouth has them
            (the pose's own landmarks where the generator does not know).
    """

    image: Image
    matrix: NDArray[np.float64]
    landmarks: Landmarks


class Generator(Protocol):
    """Make the mouth of a frame from speech. Not thread-safe: one thread calls one instance."""

    name: str
    references_wanted: int
    """How many reference frames `generate` can use (at least 1)."""

    @property
    def hearing(self) -> Hearing:
        """How it hears: what `generate` wants to know of the sound."""

    def prepare(self, face: FaceImage) -> Any:
        """Compute what can be computed once for a past frame; the result is opaque and handed back to `generate`."""

    def generate(self, window: Columns, pose: Any, references: Sequence[Any]) -> Patch:
        """Return the mouth for `window` (rows, columns) on the prepared `pose`, with teeth and lips from `references`.

        `references` holds 1 to `references_wanted` prepared past frames with different mouth openings, closed first.
        """
