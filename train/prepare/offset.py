"""How far sound and picture are apart. Pure functions over what a listener (train.prepare.listener) embeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.expert.onnx import REACH

Vectors = NDArray[np.float32]
"""(W, E) float32, of length 1 each: what was seen or heard in each window of a clip."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How far lips and sound are apart at each offset.

    Attributes:
        sums: (2 * REACH + 1,) distances, summed; entry REACH + k is for a picture k frames after its
            sound (the sign of models.expert.onnx.LipSync).
        counts: (2 * REACH + 1,) how many windows were compared; 0 where the clip is too short.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def distances(self) -> NDArray[np.float64]:
        """(2 * REACH + 1,) mean distances; infinite where nothing was compared."""
        return np.where(self.counts > 0, self.sums / np.maximum(self.counts, 1), np.inf)

    @property
    def offset(self) -> int:
        """Frames by which the picture comes after its sound, by the least distance; negative when it comes before."""
        return int(self.distances.argmin()) - REACH

    def confidence(self, offset: int, tolerance: int = 0) -> float:
        """Return by how much the best within `tolerance` of `offset` is nearer than the median offset (LSE-C)."""
        near = self.distances[max(offset + REACH - tolerance, 0) : offset + REACH + tolerance + 1]
        compared = self.distances[self.counts > 0]
        return float(np.median(compared) - near.min()) if compared.size else -np.inf

    def to_json(self) -> dict[str, list[Any]]:
        """Return JSON-ready values."""
        return {"sums": self.sums.tolist(), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, said: dict[str, list[Any]]) -> "Curve":
        """Undo `to_json`."""
        return cls(np.array(said["sums"], dtype=np.float64), np.array(said["counts"], dtype=np.int64))


def curve(video: Vectors, audio: Vectors) -> Curve:
    """Compare every window's picture with the sound up to `REACH` frames before and after; (W, E) each.

    Distance and confidence are those of models.expert.onnx.lse; sums can be joined over the clips of a video.
    """
    count = min(len(video), len(audio))
    sums, counts = np.zeros(2 * REACH + 1), np.zeros(2 * REACH + 1, dtype=np.int64)
    for place, offset in enumerate(range(-REACH, REACH + 1)):
        first, end = max(0, offset), min(count, count + offset)
        if end > first:
            apart = np.linalg.norm(video[first:end] - audio[first - offset : end - offset], axis=1)
            sums[place], counts[place] = float(apart.sum()), end - first
    return Curve(sums, counts)


def joined(curves: Sequence[Curve]) -> Curve:
    """Return the curve of several clips of one video, each with the weight of its length."""
    return Curve(np.sum([one.sums for one in curves], axis=0), np.sum([one.counts for one in curves], axis=0))
