"""Pictures that say which one they are, and the badge of synthetic ones: what the guest must know, with numpy alone."""

from pathlib import Path

import numpy as np

from realtime.devices.api import Pixels

SPEECH = "speech.npy"
BIT, BITS = 8, 8
_LEAST = 0.8


def film_name(size: tuple[int, int]) -> str:
    """Return the file of a film of this size."""
    return f"film-{size[0]}x{size[1]}.npy"


def badge_name(size: tuple[int, int]) -> str:
    """Return the file that says what the badge looks like in this size."""
    return f"badge-{size[0]}x{size[1]}.npz"


def number_of(i420: Pixels) -> int:
    """Return which picture of the film this says it is, by the eight squares in its lower left."""
    height = i420.shape[0] * 2 // 3
    row = i420[height - BIT // 2, BIT // 2 : BITS * BIT : BIT]
    return sum(1 << bit for bit in range(BITS) if row[bit] > 125)


class BadgeFinder:
    """Know the badge when it is in a picture."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as kept:
            self._box = [int(side) for side in kept["box"]]
            self._luma = kept["luma"].astype(np.float32).ravel()

    def on(self, i420: Pixels) -> bool:
        """Say whether the picture (H * 3 // 2, W) uint8 carries it."""
        x0, y0, x1, y1 = self._box
        there = i420[y0:y1, x0:x1].astype(np.float32).ravel()
        return bool(there.std() > 1.0 and np.corrcoef(there, self._luma)[0, 1] > _LEAST)
