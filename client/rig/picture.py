"""What a received picture shows: whether it differs from the one before it, and which frame of the clip it is.

Pure arithmetic on brightness: (H, W) uint8 luma of 16 to 235, as an encoder sees it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from client.rig.timeline import Floats
from models.generator import Image

SMALL = (48, 36)
"""Size in px (width, height) of the pictures by which frames of the clip are recognised."""

STILL_LEVELS = 0.5
"""Mean luma difference below which a 16 x 16 px block counts as unchanged: less than any camera's noise."""

MIN_DIFFERENCE = 0.05
"""Mean squared luma difference under which two frames of the clip cannot be told apart."""

MIN_LEAD = 0.3
"""Share of that difference by which the best delay must fit better than those two frames off."""

DELAY_STEP_MS = 5.0
"""Spacing of the delays that are tried."""

WINDOW = 13
"""Pictures that are taken together, odd."""


def planar(image: Image) -> NDArray[np.uint8]:
    """Return a BGR image (H, W, 3) as YUV 4:2:0 planes (H * 3 / 2, W)."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)


def brightness(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma (..., H, W) of YUV 4:2:0 planes (..., H * 3 / 2, W): a view."""
    return planes[..., : planes.shape[-2] * 2 // 3, :]


def shrunk(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return luma as the small picture (36, 48) by which frames are recognised."""
    return np.asarray(cv2.resize(luma, SMALL, interpolation=cv2.INTER_AREA), np.uint8)


def changed(luma: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return whether each picture of `luma` (n, H, W) differs from the one before it; the first one does."""
    result = np.ones(len(luma), dtype=np.bool_)
    for index in range(1, len(luma)):
        result[index] = _block_difference(luma[index], luma[index - 1]) >= STILL_LEVELS
    return result


def picture_delay(
    seen_ms: Floats,
    seen: NDArray[np.uint8],
    source_ms: Floats,
    source: NDArray[np.uint8],
    max_delay_ms: float = 1500.0,
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
    """
    result = np.full(len(seen_ms), np.nan)
    interval = float(source_ms[1] - source_ms[0])
    errors, apart = _distances(seen, source), _distances(source, source)
    # Where hardly anything moves, an encoder leaves blocks as they were and the picture does show an older frame.
    enough = max(MIN_DIFFERENCE, float(np.percentile(np.diagonal(apart, 2), 30)))
    delays = np.arange(0.0, max_delay_ms + 1.0, DELAY_STEP_MS)
    reach = round(2 * interval / DELAY_STEP_MS)
    for middle in range(WINDOW // 2, len(seen_ms) - WINDOW // 2):
        rows = np.arange(middle - WINDOW // 2, middle + WINDOW // 2 + 1)
        if seen_ms[rows[-1]] - seen_ms[rows[0]] > 1.5 * WINDOW * interval:
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


def _block_difference(a: NDArray[np.uint8], b: NDArray[np.uint8], block: int = 16) -> float:
    height, width = a.shape[0] // block * block, a.shape[1] // block * block
    difference = np.abs(a[:height, :width].astype(np.int16) - b[:height, :width])
    return float(difference.reshape(height // block, block, width // block, block).mean(axis=(1, 3)).max())
