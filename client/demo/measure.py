"""What the viewer saw and heard, as figures. Pure arithmetic on times, pictures, landmarks and samples.

All times are ms of the call: 0 is when the caller's clip starts to play. Pictures count when they arrive at the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.rig.timeline import Floats
from models.landmarks import LIPS_INNER, LIPS_OUTER, STABLE
from realtime.picture.stats import Freezes, freezes


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
        head_limit: 99th percentile of the steps of those points in the clip.
        lips: largest step of the lip points.
        lips_limit: 99th percentile of the steps of those points in the clip.
    """

    head: float
    head_limit: float
    lips: float
    lips_limit: float

    @property
    def ratio(self) -> float:
        """Head step over its limit; at most 1 is no visible jump."""
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
        values += [_largest(steps), percentile(ways, 99.0)]
    return Jump(*values)


@dataclass(frozen=True, slots=True)
class Correlation:
    """How well the seen mouth follows the true one.

    Attributes:
        r: Pearson correlation as seen.
        lag_ms: delay of the seen mouth at the best fit, in ms; positive when it is late.
        best_r: correlation after a shift by `lag_ms`.
        spread: standard deviation of the seen opening over that of the true one.
        pictures: count of the pictures that were compared.
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


def percentile(values: Floats, share: float) -> float:
    """Return the percentile `share` (0..100) of the finite `values`; NaN when there are none."""
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, share)) if len(finite) else float("nan")


def _largest(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else float("nan")


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b / scale) if scale > 1e-12 else float("nan")
