"""CPBD, a measure of sharpness that needs no reference.

Written from the paper: N. D. Narvekar and L. J. Karam, "A No-Reference Image Blur Metric Based on the Cumulative
Probability of Blur Detection (CPBD)", IEEE Transactions on Image Processing 20(9), 2011. The package `cpbd` on PyPI has
a proprietary licence and calls functions that SciPy dropped years ago.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 64
_EDGES: Final = 0.002  # share of edge px from which a block counts
_BETA: Final = 3.6
_JUST_NOTICEABLE: Final = 0.63  # probability of detecting blur at the just noticeable width
_LOW_CONTRAST: Final = 50.0


def cpbd(image: NDArray[np.uint8]) -> float:
    """Return the share of edges whose blur is not noticed, 0 (blurred) to 1 (sharp); NaN without an edge.

    Args:
        image: (H, W, 3) uint8 BGR or (H, W) grey, at least 64 px either way.

    Raises:
        ValueError: the image is smaller than one block.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    height, width = grey.shape
    if height < BLOCK or width < BLOCK:
        raise ValueError(f"CPBD works on blocks of {BLOCK} px, the image has {width}x{height}")
    levels = grey.astype(np.float64)
    edges = _vertical_edges(levels)
    widths = _edge_widths(levels)
    noticed = total = 0
    for top in range(0, height - BLOCK + 1, BLOCK):
        for left in range(0, width - BLOCK + 1, BLOCK):
            block = (slice(top, top + BLOCK), slice(left, left + BLOCK))
            found = widths[block][edges[block]]
            if len(found) <= _EDGES * BLOCK * BLOCK:
                continue
            just = 5.0 if float(np.ptp(levels[block])) <= _LOW_CONTRAST else 3.0
            probability = 1.0 - np.exp(-((found / just) ** _BETA))
            noticed += int((probability > _JUST_NOTICEABLE).sum())
            total += len(found)
    return 1.0 - noticed / total if total else math.nan


def _vertical_edges(levels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return Sobel's vertical edges, thinned along the rows; the threshold is four times the mean square, as in MATLAB.

    The paper measures widths along rows, so that only these edges matter.
    """
    slope = cv2.Sobel(levels, cv2.CV_64F, 1, 0) / 8.0
    other = cv2.Sobel(levels, cv2.CV_64F, 0, 1) / 8.0
    strength = slope * slope
    steep = (strength > 4.0 * float((strength + other * other).mean())) & (strength >= other * other)
    ridge = np.zeros_like(steep)
    ridge[:, 1:-1] = (strength[:, 1:-1] > strength[:, :-2]) & (strength[:, 1:-1] >= strength[:, 2:])
    return np.asarray(steep & ridge)


def _edge_widths(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each px the length of the monotone run through it along its row, in px.

    Source: P. Marziliano et al., "A no-reference perceptual blur metric", ICIP 2002: an edge reaches from the local
    minimum on one side to the local maximum on the other.
    """
    step = np.diff(levels, axis=1)
    rising = np.maximum(_run(step > 0), 0)
    falling = np.maximum(_run(step < 0), 0)
    slope = np.zeros_like(levels)
    slope[:, 1:-1] = levels[:, 2:] - levels[:, :-2]
    return np.where(slope > 0, rising, falling).astype(np.float64)


def _run(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each of the W px how many of the W - 1 steps around it `holds` without a break."""
    height, steps = holds.shape
    place = np.arange(steps + 1)
    broken = np.zeros((2, height, steps + 1), dtype=np.int64)
    # The px at which a run from the left begins, and the one at which it ends.
    broken[0, :, 1:] = np.where(holds, 0, place[1:])
    broken[1] = steps
    broken[1, :, :-1] = np.where(holds, steps, place[:-1])
    begin = np.maximum.accumulate(broken[0], axis=1)
    end = np.minimum.accumulate(broken[1][:, ::-1], axis=1)[:, ::-1]
    return np.asarray(end - begin)
