"""Compare how far two mouths open over time: correlation, lag, spread, closing. Pure arithmetic.

Openings are in eye distances, one value per frame at 25 fps, NaN where no face was found.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REACH: Final = 5
"""Frames by which the made mouth is shifted either way to find its lag: 200 ms."""

FRAME_MS: Final = 40.0
_COUNT, _MADE, _REAL, _BOTH, _MADE_MEAN, _REAL_MEAN = range(6)


def moments(made: Floats, real: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Return what correlations need of one clip, for every shift of -REACH to REACH frames.

    Args:
        made: (T,) openings of the made video.
        real: (T,) openings of the real video of the same speech.
        inside: (T,) real frames that count.

    Returns:
        float64 (2 REACH + 1, 6): frames; sums of squares of made and real and of their product, each about the means of
        these frames; the means. Row REACH + k compares real frame t with made frame t + k: a late mouth has k > 0.
    """
    rows = np.zeros((2 * REACH + 1, 6))
    for row, shift in enumerate(range(-REACH, REACH + 1)):
        at = np.flatnonzero(inside)
        at = at[(at + shift >= 0) & (at + shift < len(made))]
        x, y = made[at + shift], real[at]
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            continue
        x, y = x[known], y[known]
        a, b = x - x.mean(), y - y.mean()
        rows[row] = len(x), a @ a, b @ b, a @ b, x.mean(), y.mean()
    return rows


def pooled(clips: Floats, *, centred: bool = True) -> Floats:
    """Return the moments of clips (..., n, 2 REACH + 1, 6) taken together, (..., 2 REACH + 1, 6).

    With `centred` each clip's mean is taken out first: how far a mouth is open at rest is identity, not speech.
    """
    total: Floats = clips.sum(axis=-3)
    count = np.maximum(total[..., _COUNT], 1.0)
    share = clips[..., _COUNT]
    means = [(share * clips[..., column]).sum(-2) / count for column in (_MADE_MEAN, _REAL_MEAN)]
    total[..., _MADE_MEAN], total[..., _REAL_MEAN] = means
    if not centred:
        off = [clips[..., column] - mean[..., None, :] for column, mean in zip((4, 5), means, strict=True)]
        for column, product in ((_MADE, off[0] ** 2), (_REAL, off[1] ** 2), (_BOTH, off[0] * off[1])):
            total[..., column] += (share * product).sum(-2)
    return total


def correlation(total: Floats) -> Floats:
    """Return the Pearson correlation per shift (..., 2 REACH + 1); NaN where a mouth does not move."""
    scale = np.sqrt(total[..., _MADE] * total[..., _REAL])
    return np.where(scale > 1e-9, total[..., _BOTH] / np.maximum(scale, 1e-12), np.nan)


def spread(total: Floats) -> Floats:
    """Return the standard deviation of the made opening over the real one's, unshifted."""
    made, real = total[..., REACH, _MADE], total[..., REACH, _REAL]
    return np.where(real > 1e-12, np.sqrt(made / np.maximum(real, 1e-12)), np.nan)


def lag_ms(curve: Floats) -> float:
    """Return how late the made mouth is by the peak of `correlation`'s curve (2 REACH + 1,), in ms; NaN without one.

    A parabola through the peak and its neighbours gives the part of a frame; a peak at either end stays there.
    """
    if not np.isfinite(curve).all():
        return math.nan
    peak = int(np.argmax(curve))
    part = 0.0
    if 0 < peak < len(curve) - 1:
        before, at, after = curve[peak - 1 : peak + 2]
        bend = before - 2.0 * at + after
        part = 0.5 * float(before - after) / float(bend) if bend < -1e-12 else 0.0
    return (peak - REACH + part) * FRAME_MS


def by_speaker(clips: Floats, speakers: Sequence[str]) -> tuple[Floats, Floats]:
    """Return (correlation per shift, spread), the mean over speakers of each one's clips pooled and centred."""
    names = np.array(speakers)
    totals = np.stack([pooled(clips[names == name]) for name in sorted(set(speakers))])
    return _mean(correlation(totals)), _mean(spread(totals))


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def resampled(count: int, rounds: int = 1000, seed: int = 1) -> NDArray[np.int64]:
    """Return `rounds` draws with replacement of `count` clips, (rounds, count)."""
    return np.random.default_rng(seed).integers(count, size=(rounds, count))


def interval(values: Floats) -> tuple[float, float]:
    """Return the middle 95 % of bootstrap `values`; (NaN, NaN) when fewer than half are known.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1), 1979 (percentiles).
    """
    known = values[np.isfinite(values)]
    if len(known) * 2 < len(values) or not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def closed_below(real: Floats, inside: NDArray[np.bool_]) -> float:
    """Return the opening up to which a person's mouth counts as closed.

    A quarter of the way from rest (median of the most closed tenth of the real frames) to wide (90th percentile in
    speech), at least 0.02 eye distances above rest, which is what the detector's noise needs.
    """
    known = np.sort(real[np.isfinite(real)])
    spoken = real[inside & np.isfinite(real)]
    if not known.size or not spoken.size:
        return math.nan
    rest = float(np.median(known[: max(3, len(known) // 10)]))
    return rest + max(0.02, 0.25 * (float(np.percentile(spoken, 90)) - rest))


def frames_until_closed(opening: Floats, end: int, limit: float) -> float:
    """Return after how many frames behind frame `end`, the last with speech, the mouth is closed first.

    0: it is closed at `end` already. NaN: the video ends before that, or fewer than 3 frames of silence follow.
    """
    after = opening[end:]
    closed = np.flatnonzero(after <= limit)
    if len(after) < 4 or not closed.size:
        return math.nan if len(after) < 4 or math.isnan(limit) else float(len(after))
    return float(closed[0])
