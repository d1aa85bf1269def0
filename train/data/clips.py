"""Clips that are trained on: what a shard holds, decoded, with mel and mouth shapes; and who is kept from training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS
from models.lite.contract import GAP, shape_of
from models.mel import melspectrogram
from train.data.shards import Sample

FPS: Final = 25.0

Role = Literal["train", "judge", "test"]


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip of one speaker at 25 fps; what is derived is computed when first asked for.

    Attributes:
        key: unique in the corpus.
        speaker: who; splits, balance and neutral shapes go by it.
        source: stem of the video it was cut from.
        crops: (T, S, S, 3) uint8 BGR aligned crops.
        landmarks: (T, 468, 2) float32 px of the crop.
        samples: (n,) int16 mono at 16 kHz.
        mesh: which landmarks they are (train.data.shards.SampleInfo).
    """

    key: str
    speaker: str
    source: str
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    samples: NDArray[np.int16]
    mesh: int = field(default=1, kw_only=True)

    @classmethod
    def of(cls, sample: Sample) -> "Clip":
        """Take a sample out of a shard."""
        info = sample.info
        return cls(sample.key, info.speaker, info.source, sample.crops, sample.landmarks, sample.speech, mesh=info.mesh)

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded clip."""
        return self.crops.nbytes + self.landmarks.nbytes + self.samples.nbytes

    @cached_property
    def mel(self) -> NDArray[np.float32]:
        """(80, M) mel of the clip's sound."""
        return melspectrogram(self.samples.astype(np.float32) / 32768.0)

    @cached_property
    def shapes(self) -> NDArray[np.float32]:
        """(T, 55, 2) mouth shapes (models.lite.contract.shape_of)."""
        return shape_of(self.landmarks, self.crops.shape[1], mesh=self.mesh)

    @cached_property
    def neutral(self) -> NDArray[np.float32]:
        """(55, 2) shape with the mouth closed, in this clip."""
        return closed_shape(self.shapes)

    @cached_property
    def gaps(self) -> NDArray[np.float32]:
        """(T,) gap between the inner lips in eye distances."""
        return gaps_of(self.shapes)

    @cached_property
    def speech(self) -> NDArray[np.bool_]:
        """(T,) frames between the first and the last sound of the clip."""
        return spoken(self.mel, len(self))


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
        first, last = (int(round(column * COLUMN_MS / 1000 * FPS)) for column in (voiced[0], voiced[-1]))
        inside[first : last + 1] = True
    return inside


@dataclass(frozen=True, slots=True)
class Split:
    """Who is kept from training, by a hash of names alone, so that it never changes.

    Attributes:
        by: "speaker" keeps whole speakers apart; "clip" (all that was cut from one video stays together) is for a
            corpus of few speakers, and its figures hold for seen speakers.
        test: share that nothing is trained on.
        judge: share that only the sync expert is trained on, so that it judges generators by what they never saw.
    """

    by: Literal["speaker", "clip"] = "speaker"
    test: float = 0.06
    judge: float = 0.0

    def role(self, speaker: str, source: str) -> Role:
        """Return what the clips of this speaker, cut from this video, are for."""
        digest = hashlib.sha256((speaker if self.by == "speaker" else source).encode()).digest()
        place = int.from_bytes(digest[:4], "big") / 2**32
        if place < self.test:
            return "test"
        return "judge" if place < self.test + self.judge else "train"


def balanced(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return the chance of each clip: a speaker's grows as the square root of their frames, a clip's with its own."""
    frames = np.array([len(clip) for clip in clips], dtype=np.float64)
    _, index = np.unique([clip.speaker for clip in clips], return_inverse=True)
    chance = frames / np.sqrt(np.bincount(index, weights=frames))[index]
    return np.asarray(chance / chance.sum())
