"""Speech with other sounds under it, and where nobody speaks."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.voice.sounds import RATE, Sound

STEP: Final = 200
"""Samples between two looks: 12.5 ms."""

EDGE: Final = 7
"""Looks on either side of speech that are neither: two frames, in which the mouth may shut and open."""

SHORTEST: Final = 24
"""Looks of a pause that counts as a stretch without speech: 300 ms."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Clean speech.

    Attributes:
        name: who speaks.
        samples: (n,) float32 mono at 16 kHz.
        speech: (n // 200,) whether there is speech, every 12.5 ms.
    """

    name: str
    samples: Sound
    speech: NDArray[np.bool_]

    @property
    def free(self) -> NDArray[np.bool_]:
        """Mask of the looks in stretches without speech, edges left out."""
        out = np.zeros_like(self.speech)
        for begin, end in runs(~self.speech):
            if end - begin >= SHORTEST:
                out[begin + (EDGE if begin else 0) : end - (EDGE if end < len(out) else 0)] = True
        return out

    @property
    def ends(self) -> list[int]:
        """Looks at which speech ends before a stretch without."""
        return [begin for begin, end in runs(~self.speech) if begin and end - begin >= SHORTEST]


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return [begin, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def joined(speech: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return `speech` without pauses below 200 ms."""
    out = speech.copy()
    for begin, end in runs(~speech):
        if begin and end < len(out) and end - begin < 16:
            out[begin:end] = True
    return out


def mixed(talk: Talk, noise: Sound | None, snr_db: float) -> Sound:
    """Return the speech with `noise` (at least as long, RMS 1) `snr_db` below the RMS of its speech; never clipped."""
    if noise is None:
        return talk.samples
    inside = np.repeat(talk.speech, STEP)
    rms = float(np.sqrt(np.mean(np.square(talk.samples[: inside.size][inside[: talk.samples.size]]))))
    out = talk.samples + noise[: talk.samples.size] * np.float32(rms * 10.0 ** (-snr_db / 20.0))
    return np.asarray(out / max(1.0, float(np.abs(out).max())), np.float32)


def lead(samples: Sound, seconds: float) -> Sound:
    """Return `samples` after `seconds` of silence, in which a mix has noise alone."""
    return np.concatenate((np.zeros(round(seconds * RATE), np.float32), samples))
