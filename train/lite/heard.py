"""What the ears hear of clips: as they were said, and spoilt on the way; heard when first asked for."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.ears.onnx import Ears, EarsHearing
from models.hearing import Columns
from models.lite.contract import LiteConfig
from models.mel import SAMPLE_RATE, Samples
from train.data.clips import FPS, Clip
from train.data.sounds import Sound
from train.ears.config import SpoiltConfig
from train.ears.spoil import revoiced, spoilt

_CAPACITY: Final = 1 << 30
"""Bytes of what was heard that are kept; three hours, about."""

_MOST_OTHERS: Final = 100  # voices that are heard beside a clip's own
_SHIFT_MS: Final = 20.0  # a spoilt clip begins up to one frame later, so that pictures fall between frames too


class Rendition(NamedTuple):
    """One hearing of a clip.

    Attributes:
        frames: (rows, k) float16; a window that is cut from it is float32.
        late_ms: by how much its sound was moved, in ms.
        tempo: how many times as fast it was said, which is how many times higher the voice is.
    """

    frames: NDArray[Any]
    late_ms: float
    tempo: float


class WholeHearing(Protocol):
    """What is asked of a models.hearing.Hearing that hears recordings alone."""

    @property
    def silence(self) -> Columns:
        """A column (rows, 1) of digital silence."""

    def hear(self, samples: Samples) -> Columns:
        """Return the columns (rows, k) of a whole recording (n,), mono at 16 kHz."""

    def cut(self, heard: Columns, media_ms: float) -> Columns:
        """Cut the window (rows, columns) of a picture at `media_ms` out of what was heard."""


class ClipHearing:
    """Hear clips. Not thread-safe.

    Attributes:
        hearing: how the voice hears.
    """

    def __init__(self, hearing: WholeHearing, spoil: SpoiltConfig | None = None, seed: int = 1) -> None:
        """Hear with `hearing`; `spoil` says what happens to clips that are heard for training."""
        self.hearing = hearing
        self._spoil, self._seed = spoil or SpoiltConfig(), seed
        self._kept: OrderedDict[tuple[str, int], Rendition] = OrderedDict()
        self._bytes = 0
        self._others: list[Sound] = []

    @classmethod
    def of(cls, ears: Ears, config: LiteConfig, spoil: SpoiltConfig | None = None, seed: int = 1) -> "ClipHearing":
        """Hear as a lite of `config` does."""
        return cls(EarsHearing(ears, config.columns, config.lookahead_ms), spoil, seed)

    @property
    def renditions(self) -> int:
        """How many there are of each clip: as it was said, and spoilt."""
        return self._spoil.renditions + 1

    def windows(self, clip: Clip, frames: NDArray[np.int64], rendition: int = 0) -> NDArray[np.float32]:
        """Return the windows (n, rows, columns) of some pictures of a clip; rendition 0 is as it was said."""
        return self.windows_at(clip.key, clip.samples, np.asarray(frames * (1000.0 / FPS), np.float64), rendition)

    def windows_at(
        self, key: str, samples: NDArray[np.int16], times_ms: NDArray[np.float64], rendition: int = 0
    ) -> NDArray[np.float32]:
        """Return the windows (n, rows, columns) for some moments of a recording, int16 at 16 kHz, known by `key`."""
        heard = self._heard(key, samples, rendition)
        times = times_ms / heard.tempo + heard.late_ms
        return np.stack([self.hearing.cut(heard.frames, float(ms)) for ms in times])

    def spread(self, clips: Sequence[Clip]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and standard deviation (rows,) of what is heard in `clips`."""
        heard = np.concatenate([self._heard(clip.key, clip.samples, 0).frames.astype(np.float32) for clip in clips], 1)
        return heard.mean(1), np.maximum(heard.std(1), 1e-3)

    def _heard(self, key: str, samples: NDArray[np.int16], rendition: int) -> Rendition:
        known = self._kept.get((key, rendition))
        if known is not None:
            self._kept.move_to_end((key, rendition))
            return known
        made = self._hear(key, samples.astype(np.float32) / np.float32(32768.0), rendition)
        self._kept[key, rendition] = made
        self._bytes += made.frames.nbytes
        while self._bytes > _CAPACITY:
            self._bytes -= self._kept.popitem(last=False)[1].frames.nbytes
        return made

    def _hear(self, key: str, samples: Sound, rendition: int) -> Rendition:
        if not rendition:
            if len(self._others) < _MOST_OTHERS:
                self._others.append(samples)
            return Rendition(self.hearing.hear(samples).astype(np.float16), 0.0, 1.0)
        rng = np.random.default_rng((self._seed, rendition, *key.encode()))
        late = int(rng.integers(round(_SHIFT_MS * SAMPLE_RATE / 1000.0)))
        tempo = float(self._spoil.voice ** rng.uniform(-1.0, 1.0))
        said = np.pad(revoiced(samples, tempo), (late, 0))
        heard = self.hearing.hear(spoilt(said, self._others, self._spoil, rng)).astype(np.float16)
        return Rendition(heard, late * 1000.0 / SAMPLE_RATE, len(samples) / (len(said) - late))
