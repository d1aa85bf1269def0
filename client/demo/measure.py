"""What the viewer saw and heard, as figures. Pure arithmetic on times, pictures, landmarks and samples.

All times are ms of the call: 0 is when the caller's clip starts to play. Pictures count when they arrive at the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.landmarks import LIPS_INNER, LIPS_OUTER, STABLE
from realtime.picture.stats import Freezes, freezes

Floats = NDArray[np.float64]

STILL_LEVELS = 0.5
"""Mean luma difference below which a 16 x 16 px block counts as unchanged: less than any camera's noise."""

MIN_DIFFERENCE = 0.05
"""Mean squared luma difference under which two frames of the clip cannot be told apart."""

MIN_LEAD = 0.3
"""Share of that difference by which the best delay must fit better than those two frames off."""

DELAY_STEP_MS = 5.0
"""Spacing of the delays that are tried."""


@dataclass(frozen=True, slots=True)
class Span:
    """Name a stretch of the call: `start_ms` to `end_ms` in the state `name`."""

    name: str
    start_ms: float
    end_ms: float

    def holds(self, times_ms: Floats) -> NDArray[np.bool_]:
        """Return which of `times_ms` lie in the span, its end left out."""
        return (times_ms >= self.start_ms) & (times_ms < self.end_ms)


def spans(changes: Sequence[tuple[float, str]], end_ms: float) -> list[Span]:
    """Turn `(time, new state)` changes in order of time into spans up to `end_ms`; empty ones are left out."""
    ends = [time for time, _ in changes[1:]] + [end_ms]
    found = [Span(name, start, min(end, end_ms)) for (start, name), end in zip(changes, ends, strict=True)]
    return [span for span in found if span.end_ms > span.start_ms]


def changed(luma: NDArray[np.uint8], still: float = STILL_LEVELS) -> NDArray[np.bool_]:
    """Say for each picture of `luma` (n, H, W) whether it differs from the one before it; the first one does."""
    result = np.ones(len(luma), dtype=np.bool_)
    for index in range(1, len(luma)):
        result[index] = _block_difference(luma[index], luma[index - 1]) >= still
    return result


def seen_freezes(frame_ms: Floats, differs: NDArray[np.bool_], end_ms: float) -> tuple[Freezes, Freezes]:
    """Count freezes by W3C's definition: over all pictures that arrived, and over those that changed."""
    return freezes(frame_ms, end_ms), freezes(frame_ms[differs], end_ms)


def frame_rate(frame_ms: Floats, end_ms: float) -> float:
    """Return pictures per second from the first one to the end of watching; 0 without any."""
    if not len(frame_ms) or end_ms <= frame_ms[0]:
        return 0.0
    return float(len(frame_ms) / (end_ms - frame_ms[0]) * 1000.0)


def motion(points: NDArray[np.float32], which: Sequence[int]) -> Floats:
    """Return the mean way of points `which` from each picture to the next, over the eye distance.

    Args:
        points: (n, 468, 2) px, NaN where no face was found.
        which: indices such as `STABLE`.

    Returns:
        float64 (n,): element i is the step from picture i - 1 to i; NaN where either has no face, and at 0.
    """
    steps = np.full(len(points), np.nan)
    if len(points) > 1:
        chosen = points[:, list(which)].astype(np.float64)
        eyes = np.linalg.norm(points[:, 33] - points[:, 263], axis=1).astype(np.float64)
        way = np.linalg.norm(np.diff(chosen, axis=0), axis=2).mean(axis=1)
        steps[1:] = way / np.maximum(eyes[:-1], 1e-6)
    return steps


@dataclass(frozen=True, slots=True)
class Jump:
    """Compare the largest step at a switch with natural motion; all in eye distances per picture.

    Attributes:
        head: largest step of the points that speech hardly moves.
        head_limit: 99th percentile of the same in the clip.
        lips: largest step of the lip points.
        lips_limit: 99th percentile of the same in the clip.
    """

    head: float
    head_limit: float
    lips: float
    lips_limit: float

    @property
    def ratio(self) -> float:
        """Return head step over its limit; at most 1 is no visible jump."""
        return self.head / self.head_limit if self.head_limit > 0 else float("nan")


def jump(
    seen: NDArray[np.float32], rows: NDArray[np.bool_], natural: NDArray[np.float32], cuts: Sequence[int] = ()
) -> Jump:
    """Measure the jump over the pictures `rows` of what was seen, against the natural motion of the source clip.

    Args:
        seen: (n, 468, 2) landmarks of the viewer's pictures.
        rows: (n,) the steps into these pictures belong to the switch.
        natural: (m, 468, 2) landmarks of the clip at the same frame rate.
        cuts: frames of the clip whose step is a cut, not a motion.
    """
    lips = (*LIPS_OUTER, *LIPS_INNER)
    values = []
    for which in (STABLE, lips):
        steps = motion(seen, which)[rows]
        ways = motion(natural, which)
        ways[list(cuts)] = np.nan
        values += [_largest(steps), _percentile(ways, 99.0)]
    return Jump(*values)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Say how well the seen mouth follows the true one.

    Attributes:
        r: Pearson correlation as seen.
        lag_ms: how late the seen mouth is by its best fit.
        best_r: correlation if it were shifted by that.
        spread: standard deviation of the seen opening over that of the true one.
        pictures: how many entered.
    """

    r: float
    lag_ms: float
    best_r: float
    spread: float
    pictures: int


def mouth_correlation(
    seen_ms: Floats, seen: Floats, source_ms: Floats, source: Floats, *, max_lag_ms: float = 200.0
) -> Correlation:
    """Correlate mouth openings seen at `seen_ms` with the clip's own at the same media time.

    Args:
        seen_ms: media time of the sound heard with each picture, rising.
        seen: mouth opening in each picture, NaN where no face was found.
        source_ms: time of each frame of the clip, rising.
        source: its mouth opening.
        max_lag_ms: largest shift tried for `best_r`, in steps of 10 ms.
    """
    good, known = np.isfinite(seen), np.isfinite(source)
    if good.sum() < 10 or known.sum() < 10:
        return Correlation(float("nan"), float("nan"), float("nan"), float("nan"), int(good.sum()))
    times, values = seen_ms[good], seen[good]

    def at(lag: float) -> tuple[float, Floats]:
        truth = np.interp(times - lag, source_ms[known], source[known])
        return _pearson(values, truth), truth

    lags = np.arange(-max_lag_ms, max_lag_ms + 1, 10.0)
    scores = np.array([at(float(lag))[0] for lag in lags])
    best = int(np.argmax(np.nan_to_num(scores, nan=-2.0)))
    r, truth = at(0.0)
    spread = float(np.std(values) / max(float(np.std(truth)), 1e-9))
    return Correlation(r, float(lags[best]), float(scores[best]), spread, len(values))


def picture_delay(
    seen_ms: Floats,
    seen: NDArray[np.uint8],
    source_ms: Floats,
    source: NDArray[np.uint8],
    max_delay_ms: float = 1500.0,
    window: int = 13,
) -> Floats:
    """Return how late the pictures around each one are, by finding the frames of the clip that they show.

    A single picture of a calm head fits several frames; a window of them fits one delay. Where that is not clear, where
    much less moves than usual in the clip, or where pictures are missing, the result is NaN.

    Args:
        seen_ms: arrival of each picture, rising.
        seen: (n, h, w) uint8 small luma.
        source_ms: time of each frame of the clip, evenly spaced.
        source: (m, h, w) uint8 small luma, same size.
        max_delay_ms: no picture is looked for further back than this.
        window: pictures that are taken together, odd.
    """
    result = np.full(len(seen_ms), np.nan)
    interval = float(source_ms[1] - source_ms[0])
    errors, apart = _distances(seen, source), _distances(source, source)
    # Where hardly anything moves, an encoder leaves blocks as they were and the picture does show an older frame.
    enough = max(MIN_DIFFERENCE, float(np.percentile(np.diagonal(apart, 2), 30)))
    delays = np.arange(0.0, max_delay_ms + 1.0, DELAY_STEP_MS)
    reach = round(2 * interval / DELAY_STEP_MS)
    for middle in range(window // 2, len(seen_ms) - window // 2):
        rows = np.arange(middle - window // 2, middle + window // 2 + 1)
        if seen_ms[rows[-1]] - seen_ms[rows[0]] > 1.5 * window * interval:
            continue
        frames = np.rint((seen_ms[rows, None] - delays[None, :] - source_ms[0]) / interval).astype(int)
        valid = (frames >= 0).all(axis=0) & (frames < len(source) - 2).all(axis=0)
        if not valid.any():
            continue
        curve = errors[rows[:, None], np.clip(frames, 0, len(source) - 1)].mean(axis=0)
        curve[~valid] = np.inf
        best = float(curve.min())
        # One frame fits for as long as it lasts: the middle of the best stretch.
        place = int(np.median(np.flatnonzero(curve <= best * 1.0001)))
        motion = float(apart[frames[:, place], frames[:, place] + 2].mean())
        lead = min(curve[max(0, place - reach)], curve[min(len(curve) - 1, place + reach)]) - best
        if motion >= enough and lead > MIN_LEAD * motion:
            result[middle] = delays[place]
    return result


def _distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Floats:
    """Return (n, m): mean squared differences of all pictures of `a` and `b`."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    left, right = (pictures.reshape(len(pictures), -1).astype(np.float64) for pictures in (a, b))
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :] - 2.0 * left @ right.T
    distances: Floats = squares / left.shape[1]
    return distances


def percentile(values: Floats, share: float) -> float:
    """Return the percentile `share` (0..100) of the finite `values`; NaN when there are none."""
    return _percentile(values, share)


def _percentile(values: Floats, share: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, share)) if len(finite) else float("nan")


def _largest(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else float("nan")


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b / scale) if scale > 1e-12 else float("nan")


def _block_difference(a: NDArray[np.uint8], b: NDArray[np.uint8], block: int = 16) -> float:
    height, width = a.shape[0] // block * block, a.shape[1] // block * block
    difference = np.abs(a[:height, :width].astype(np.int16) - b[:height, :width])
    return float(difference.reshape(height // block, block, width // block, block).mean(axis=(1, 3)).max())
