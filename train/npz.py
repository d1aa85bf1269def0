"""Clips that a generator learns from, in memory: aligned crops, mouth shapes, mel; split by clip, never by frame."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.lite_contract import GAP, LiteConfig, shape_of
from models.mel import melspectrogram

FPS = 25.0


@dataclass(frozen=True, slots=True)
class Clip:
    """Hold one clip of one speaker at 25 fps.

    Attributes:
        speaker: who; splits and neutral shapes go by it.
        name: file stem.
        crops: (T, S, S, 3) uint8 BGR aligned crops.
        shapes: (T, 55, 2) float32 mouth shapes (models.lite_contract.shape_of).
        neutral: (55, 2) float32 shape with the mouth closed, in this clip.
        mel: (80, M) float32.
        speech: (T,) bool, frames inside the spoken part.
    """

    speaker: str
    name: str
    crops: NDArray[np.uint8]
    shapes: NDArray[np.float32]
    neutral: NDArray[np.float32]
    mel: NDArray[np.float32]
    speech: NDArray[np.bool_]

    @property
    def gaps(self) -> NDArray[np.float32]:
        """(T,) gap between the inner lips in eye distances."""
        return gaps_of(self.shapes)


def gaps_of(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gap (T,) between the inner lips of `shapes` (T, 55, 2), in eye distances."""
    upper, lower = GAP
    return np.asarray(np.linalg.norm(shapes[:, lower] - shapes[:, upper], axis=-1), dtype=np.float32)


def closed_shape(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of the tenth of `shapes` (T, 55, 2) whose mouth is most closed (at least 3)."""
    order = np.argsort(gaps_of(shapes))[: max(3, len(shapes) // 10)]
    return np.asarray(np.median(shapes[order], axis=0), dtype=np.float32)


def spoken(mel: NDArray[np.float32], frames: int) -> NDArray[np.bool_]:
    """Say which of `frames` lie between the first and the last sound of the clip, from its mel loudness."""
    loud = mel.mean(0)
    floor, peak = np.percentile(loud, 10), np.percentile(loud, 95)
    voiced = np.flatnonzero(loud > floor + 0.3 * (peak - floor))
    inside = np.zeros(frames, dtype=bool)
    if voiced.size:
        first, last = (int(round(column * 12.5 / 1000 * FPS)) for column in (voiced[0], voiced[-1]))
        inside[first : last + 1] = True
    return inside


def read_clip(path: Path, config: LiteConfig) -> Clip:
    """Read a clip that `train.prepare` wrote (`SPEAKER__NAME.npz`, no pickled content)."""
    with np.load(path, allow_pickle=False) as file:
        crops, landmarks, samples = file["crops"], file["landmarks"], file["speech"]
    speaker, _, name = path.stem.partition("__")
    shapes = shape_of(landmarks, config.size)
    mel = melspectrogram(samples.astype(np.float32) / 32768.0)
    return Clip(speaker, name, crops, shapes, closed_shape(shapes), mel, spoken(mel, len(crops)))


def held_out(name: str, share: float = 0.06) -> bool:
    """Say by the clip's name alone whether it is kept from training."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def load(folder: Path, config: LiteConfig, speakers: Iterable[str] | None = None) -> tuple[list[Clip], list[Clip]]:
    """Read every clip of `speakers` (all of them when None) and return (training, held out).

    Raises:
        FileNotFoundError: the folder holds no clip; says how to make some.
    """
    wanted = None if speakers is None else set(speakers)
    paths = [p for p in sorted(folder.glob("*__*.npz")) if wanted is None or p.stem.partition("__")[0] in wanted]
    if not paths:
        raise FileNotFoundError(
            f"no clips in {folder}: make them with `python -m train.prepare --out {folder} VIDEO...`"
        )
    clips = [read_clip(path, config) for path in paths]
    return [c for c in clips if not held_out(c.name)], [c for c in clips if held_out(c.name)]


def fit_basis(clips: Sequence[Clip], coefficients: int) -> NDArray[np.float32]:
    """Return the orthonormal basis (coefficients, 110) of mouth motion around each clip's neutral shape (PCA).

    Every speaker counts the same, however much there is of them.
    """
    second = np.zeros((110, 110))
    for speaker in sorted({clip.speaker for clip in clips}):
        moves = np.concatenate(
            [(c.shapes - c.neutral).reshape(len(c.shapes), -1) for c in clips if c.speaker == speaker]
        )
        second += moves.T @ moves / len(moves)
    _, vectors = np.linalg.eigh(second)
    return np.ascontiguousarray(vectors[:, ::-1][:, :coefficients].T, dtype=np.float32)
