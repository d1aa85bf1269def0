"""Make speech a little shorter or longer without changing its pitch, one pitch period at a time.

Pure functions on float32 samples at 48 kHz. One period is cut out or repeated with a cross-fade over its whole length,
at the lag where the sound is most like itself (Verhelst and Roelands, "An overlap-add technique based on waveform
similarity", ICASSP 1993). In silence and noise any lag will do.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

MIN_LAG: Final = 120
"""2.5 ms: a voice of 400 Hz."""
MAX_LAG: Final = 600
"""12.5 ms: a voice of 80 Hz."""
NEEDED: Final = 2 * MAX_LAG
"""Samples that `find_lag` and the changes use."""

_COARSE: Final = 3
_QUIET: Final = 100.0
"""RMS in int16 steps (-50 dBFS) below which nobody hears a seam."""
_PREFER: Final = 0.95
_AT_EDGE: Final = 0.99
"""Share of the best likeness that is enough at the longest lag: a hill whose top lies beyond it is left out."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Distance by which sound may be moved onto itself: samples, and how alike the two are (-1..1; 1 in silence)."""

    samples: int
    likeness: float


def find_lag(samples: Samples, most: int = MAX_LAG) -> Lag | None:
    """Find the lag at which the next `NEEDED` samples fit onto themselves best, the longest of equals.

    Args:
        samples: (n,) float32 in int16 steps; only the first `NEEDED` are used.
        most: longest lag wanted, in samples.

    Returns:
        A lag of `MIN_LAG` to `most` samples; None when there are too few samples or `most` is too small.
    """
    if samples.size < NEEDED or most < MIN_LAG:
        return None
    most = min(most, MAX_LAG)
    head = samples[:NEEDED]
    if float(np.sqrt(np.mean(np.square(head)))) < _QUIET:
        return Lag(most, 1.0)
    coarse = head[: NEEDED // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    likeness = _likeness(coarse, MIN_LAG // _COARSE, most // _COARSE, MAX_LAG // _COARSE)
    best = float(likeness.max())
    good = np.flatnonzero(likeness >= (_PREFER * best if best > 0.0 else best))
    # The last hill of good lags, at its top: more is gained with one seam.
    hill = _last_hill(good)
    if hill[np.argmax(likeness[hill])] == likeness.size - 1 and likeness[-1] < _AT_EDGE * best and hill[0] > good[0]:
        hill = _last_hill(good[good < hill[0]])
    near = MIN_LAG + int(hill[np.argmax(likeness[hill])]) * _COARSE
    least = max(MIN_LAG, near - _COARSE)
    exact = _likeness(head, least, min(most, near + _COARSE), MAX_LAG)
    return Lag(least + int(exact.argmax()), float(exact.max()))


def _last_hill(good: NDArray[np.intp]) -> NDArray[np.intp]:
    last: NDArray[np.intp] = good[good > good[-1] - MIN_LAG // (2 * _COARSE)]
    return last


def shorten(samples: Samples, lag: int) -> Samples:
    """Return what the first 2 `lag` samples become when one period is left out: `lag` samples."""
    return _fade(samples[:lag], samples[lag : 2 * lag])


def lengthen(samples: Samples, lag: int) -> Samples:
    """Return what the first 2 `lag` samples become when one period is played twice: 3 `lag` samples."""
    first, second = samples[:lag], samples[lag : 2 * lag]
    return np.concatenate((first, _fade(second, first), second))


def _fade(out: Samples, into: Samples) -> Samples:
    """Go from `out` to `into` over their length: equal gain, for they are alike."""
    rise: Samples = ((np.arange(out.size) + 0.5) / out.size).astype(np.float32)
    faded: Samples = out * (1.0 - rise) + into * rise
    return faded


def _likeness(samples: Samples, least: int, most: int, length: int) -> NDArray[np.float64]:
    """Return the normalised correlation of the first `length` samples with those `least` to `most` later."""
    first = samples[:length].astype(np.float64)
    later = samples[least : most + length].astype(np.float64)
    power = np.concatenate(([0.0], np.cumsum(np.square(later))))
    power = np.maximum(power[length:] - power[:-length], 1e-9) * float(first @ first)
    found: NDArray[np.float64] = np.correlate(later, first, "valid") / np.sqrt(np.maximum(power, 1e-9))
    return found
