"""What a face looks like at its landmarks, for comparison with itself: colours, roughness, and what light did. Pure."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import ALIGNED_EYES, ALIGNED_ORIGIN, LIPS_INNER
from realtime.face.compose import lower_face

SIZE: Final = 96
"""Pixels of the aligned crop that a face is looked at in."""

FLOOR: Final = np.array([0.14, 0.05, 0.07, 0.4], dtype=np.float32)
"""Standard deviation that faces have at least, of each of the four measures."""

_EYES: Final = ALIGNED_EYES * SIZE
_MOST_LIGHT: Final = (0.7, 0.7, 0.7, 1.5)

Sample = NDArray[np.float32]
"""(n, 4): brightness, red over green, blue over green, roughness, all as logarithms, at n points."""


def lower_points(points: Landmarks) -> NDArray[np.intp]:
    """Return the landmarks inside what the compositor paints; the inner lips are left out, as they come and go."""
    hull = cv2.convexHull(lower_face(points).astype(np.float32))
    depth = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in points]
    inside = np.array(depth) > 0.02 * _EYES
    inside[list(LIPS_INNER)] = False
    return np.flatnonzero(inside)


def upper_points(points: Landmarks) -> NDArray[np.intp]:
    """Return the landmarks of forehead, nose bridge and upper cheeks, without the eyes."""
    x, y = np.abs(_place(points)[:, 0]), _place(points)[:, 1]
    eyes = (y > -0.22) & (y < 0.18) & (x > 0.12)
    return np.flatnonzero((y > -0.55) & (y < 0.4) & (x < 0.6) & ~eyes)


def _place(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points of the crop in eye distances, origin between the eyes."""
    return np.asarray((points / SIZE - (0.5, ALIGNED_ORIGIN[1])) / ALIGNED_EYES, dtype=np.float32)


def look_at(crop: Image, points: NDArray[np.float32]) -> Sample:
    """Return log brightness, log red over green, log blue over green and log roughness at `points`, (n, 4)."""
    x, y = np.clip(np.round(points).astype(int), 0, SIZE - 1).T
    logs = np.log(cv2.blur(crop, (3, 3))[y, x].astype(np.float32) + 12.0)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
    mean = cv2.blur(grey, (7, 7))[y, x]
    spread = np.sqrt(np.maximum(cv2.blur(grey * grey, (7, 7))[y, x] - mean * mean, 0.0))
    rough = np.log(spread / (mean + 12.0) + 0.02)
    channels = [logs.mean(1), logs[:, 2] - logs[:, 1], logs[:, 0] - logs[:, 1], rough]
    return np.asarray(np.stack(channels, axis=1), dtype=np.float32)


def light_between(
    before: Sample, now: Sample, at: NDArray[np.float32], wanted: NDArray[np.float32]
) -> tuple[Sample, NDArray[np.float32]]:
    """Return what a change of light from `before` to `now` at the points `at` does to those at `wanted`, (n, 4).

    An offset and a slope from side to side for each, fitted so that lashes and fingers do not count. The second is
    what the fit leaves at a third of the points, (4,): a starved encoder smears the whole face, not the mouth alone.
    """
    basis = np.stack([np.ones(len(at)), _place(at)[:, 0]], axis=1)
    there = np.stack([np.ones(len(wanted)), _place(wanted)[:, 0]], axis=1)
    change = np.zeros((len(wanted), 4), np.float32)
    rest = np.zeros(4, np.float32)
    ridge = np.diag([1e-6, 0.02]) * max(len(at), 1)
    for channel in range(4):
        moved = (now[:, channel] - before[:, channel]).astype(np.float64)
        weight = np.ones(len(at))
        for _ in range(3):
            weighted = basis * weight[:, None]
            plane = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ moved)
            weight = 1.0 / (1.0 + ((moved - basis @ plane) / (0.36 * FLOOR[channel])) ** 2)
        change[:, channel] = np.clip(there @ plane, -_MOST_LIGHT[channel], _MOST_LIGHT[channel])
        rest[channel] = 2.2 * np.quantile(np.abs(moved - basis @ plane), 0.35)
    return change, rest
