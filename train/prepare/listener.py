"""Who says how well a mouth and a sound belong together: a generator that hears, or a sync expert."""

from functools import cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.catalog import open_generator
from models.errors import ModelError
from models.expert.onnx import Expert
from models.lite.contract import shape_of
from models.lite.onnx import LiteGenerator
from models.mel import melspectrogram
from models.onnx.contract import KIND_KEY, SYNCNET
from models.runtime import open_session
from train.data.clips import FPS, gaps_of
from train.data.shards import Sample
from train.prepare.offset import Vectors

_WINDOW: Final = 15
"""Pictures that are compared at a time, 0.6 s: a few syllables."""

_STILL: Final = 1e-3
"""Spread of an opening, in eye distances, below which a mouth does not move."""


class Listener(Protocol):
    """Embed lips and sound of a clip so that what belongs together is near.

    Attributes:
        least_confidence: of an offset (train.prepare.offset.Curve.confidence), below which they do not go together.
    """

    least_confidence: float

    def embed(self, sample: Sample) -> tuple[Vectors, Vectors]:
        """Return unit vectors (W, E) of every window's picture and sound; zeros where nothing moves."""


class ExpertListener:
    """Listen with a sync expert (models.expert.onnx), which knows the faces it was trained on."""

    least_confidence = 0.15

    def __init__(self, expert: Expert) -> None:
        self._expert = expert

    def embed(self, sample: Sample) -> tuple[Vectors, Vectors]:
        """Return its embeddings of the clip's windows."""
        return self._expert.embed(sample.crops, melspectrogram(_sound(sample)))


class MouthListener:
    """Compare the opening that a generator would give to the sound with the one that is seen.

    The generator's ears know every voice, and a landmark knows every face: this needs nobody like those who trained it.
    """

    # Of 30 clips of GRID's speaker 4, 3 s each, the least is 0.51; with another clip's sound the median is 0.34.
    least_confidence = 0.45

    def __init__(self, generator: LiteGenerator) -> None:
        self._generator = generator

    def embed(self, sample: Sample) -> tuple[Vectors, Vectors]:
        """Return windows of both openings, each without its mean and of length 1."""
        seen = gaps_of(shape_of(sample.landmarks, sample.crops.shape[1]))
        hearing = self._generator.hearing
        heard = hearing.hear(_sound(sample))
        _, told = self._generator.hear(np.stack([hearing.cut(heard, at * 1000.0 / FPS) for at in range(len(seen))]))
        return _windows(seen), _windows(told @ self._generator.opens)


@cache
def open_listener(path: Path) -> Listener:
    """Open a generator of `lipline train lite` or a sync expert as a listener, once in a process.

    Raises:
        ModelError: the file is neither.
    """
    kind = open_session(path, threads=1).get_modelmeta().custom_metadata_map.get(KIND_KEY)
    if kind == SYNCNET.kind:
        return ExpertListener(Expert.open(path))
    generator = open_generator(path, threads=1)
    if not isinstance(generator, LiteGenerator):
        raise ModelError(f"{path.name} does not listen: give a lite generator or a sync expert")
    return MouthListener(generator)


def _windows(opening: NDArray[np.float32]) -> Vectors:
    windows = np.lib.stride_tricks.sliding_window_view(opening, min(_WINDOW, len(opening)))
    moved = windows - windows.mean(1, keepdims=True)
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    still = length < _STILL * np.sqrt(windows.shape[1])
    return np.where(still, 0.0, moved / np.maximum(length, 1e-9)).astype(np.float32)


def _sound(sample: Sample) -> NDArray[np.float32]:
    return np.asarray(sample.speech.astype(np.float32) / np.float32(32768.0))
