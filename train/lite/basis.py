"""The basis of mouth motion that lite speaks in: principal components of shapes around the closed mouth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.lite.contract import POINTS, gap, gap_of_basis
from train.data.clips import Clip

__all__ = ["coefficients_of", "fit_basis", "gap_of_basis", "usual_opening"]


def fit_basis(clips: Sequence[Clip], coefficients: int) -> NDArray[np.float32]:
    """Return the orthonormal basis (coefficients, 110) of mouth motion around each clip's neutral shape (PCA).

    Every speaker counts the same, however much there is of them.
    """
    second = np.zeros((2 * len(POINTS), 2 * len(POINTS)))
    for speaker in sorted({clip.speaker for clip in clips}):
        moves = np.concatenate([_moves(clip) for clip in clips if clip.speaker == speaker])
        second += moves.T @ moves / len(moves)
    _, vectors = np.linalg.eigh(second)
    return np.ascontiguousarray(vectors[:, ::-1][:, :coefficients].T, dtype=np.float32)


def coefficients_of(clip: Clip, basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the clip's mouth motion (T, B) in a basis (B, 110)."""
    return _moves(clip) @ basis.T


def usual_opening(clips: Sequence[Clip]) -> float:
    """Return how much farther the widest frame of a clip is open than its closed mouth, in eye distances.

    It is the mean over clips (models.lite.contract.LiteConfig.opening), every speaker counting the same.
    """
    speakers = sorted({clip.speaker for clip in clips})
    return float(np.mean([np.mean([_opening(clip) for clip in clips if clip.speaker == who]) for who in speakers]))


def _opening(clip: Clip) -> float:
    widest = clip.shapes[int(np.argmax(clip.gaps))]
    return float(gap(widest) - gap(clip.neutral))


def _moves(clip: Clip) -> NDArray[np.float32]:
    return (clip.shapes - clip.neutral).reshape(len(clip), -1)
