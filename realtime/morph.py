"""Move a face inside its frame, and melt one picture of it into another without double contours."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import FACE_OVAL, LIPS_INNER, LIPS_OUTER, NOSE_BASE, STABLE, eye_distance, similarity

_CONTROL: Final = sorted({*FACE_OVAL[::2], *LIPS_INNER, *LIPS_OUTER, *NOSE_BASE, *STABLE, 70, 105, 107, 336, 334, 300})
_REACH: Final = 0.22  # eye distances over which a point pulls its surroundings along
_STIFF: Final = 0.02
_FIELD_EYES: Final = 7.0  # nodes of the displacement grid per eye distance
_STILL_PX: Final = 0.05


def move_face(image: Image, source: Landmarks, target: Landmarks, *, quick: bool = False) -> Image:
    """Return `image` with its face moved from landmarks `source` to `target` (468, 2) px; far from the face it stays.

    A similarity carries the head, Gaussian radial basis functions the rest (mouth, brows, outline); the whole
    displacement fades to nothing around the head, over a distance that keeps the field from folding. `quick` takes
    less than half the time and is a little soft: for frames that nobody sees longer than a moment.
    """
    old, new = source[_CONTROL].astype(np.float64), target[_CONTROL].astype(np.float64)
    largest = float(np.linalg.norm(new - old, axis=1).max())
    if largest < _STILL_PX:
        return image.copy()
    eyes = max(eye_distance(source), 4.0)
    fade = max(0.8 * eyes, 4.0 * largest)
    height, width = image.shape[:2]
    centre, half = _head(new)
    low = np.clip(np.floor(centre - half - fade), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(centre + half + fade), 1, (width, height)).astype(int)
    size = np.maximum(high - low, 1)
    nodes = np.clip(np.ceil(size / eyes * _FIELD_EYES * (0.5 if quick else 1.0)), 4, 32 if quick else 64).astype(int)
    xs = low[0] + (np.arange(nodes[0]) + 0.5) * size[0] / nodes[0]
    ys = low[1] + (np.arange(nodes[1]) + 0.5) * size[1] / nodes[1]
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    field = _displacement(grid, old, new, eyes, fade).reshape(nodes[1], nodes[0], 2).astype(np.float32)
    how = cv2.INTER_LINEAR if quick else cv2.INTER_CUBIC
    dense = cv2.resize(field, (int(size[0]), int(size[1])), interpolation=how)
    map_x = dense[..., 0] + np.arange(low[0], high[0], dtype=np.float32)[None, :]
    map_y = dense[..., 1] + np.arange(low[1], high[1], dtype=np.float32)[:, None]
    out = image.copy()
    out[low[1] : high[1], low[0] : high[0]] = cv2.remap(image, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE)
    return out


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Return exp(-|a - b|^2 / reach) for all pairs, (len(a), len(b))."""
    # Relative to a common centre float32 is exact enough.
    centre = b.mean(0)
    p, q = (a - centre).astype(np.float32), (b - centre).astype(np.float32)
    x, y = p[:, :1] - q[:, 0], p[:, 1:] - q[:, 1]
    return np.asarray(np.exp((x * x + y * y) * np.float32(-1.0 / reach)), dtype=np.float64)


def _head(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centre and half axes of the ellipse that holds the head, hair and ears included."""
    low, high = points.min(0), points.max(0)
    half = (high - low) / 2.0
    return (low + high) / 2.0 - (0.0, 0.2 * half[1]), half * (1.3, 1.35)


def _displacement(
    grid: NDArray[np.float64], old: NDArray[np.float64], new: NDArray[np.float64], eyes: float, fade: float
) -> NDArray[np.float64]:
    """Return for points of the output (n, 2) how far away in the input their pixel lies."""
    back = similarity(new, old)
    rest = old - (new @ back[:, :2].T + back[:, 2])
    reach = 2.0 * (_REACH * eyes) ** 2
    # OpenCV's solver and einsum keep to this thread: BLAS would wake all cores for a matrix of this size and wait for
    # them, 6 ms instead of 0.3 on a busy machine.
    _, pull = cv2.solve(_kernel(new, new, reach) + _STIFF * np.eye(len(new)), rest, flags=cv2.DECOMP_CHOLESKY)
    field = grid @ back[:, :2].T + back[:, 2] - grid + np.einsum("gp,pc->gc", _kernel(grid, new, reach), pull)
    centre, half = _head(new)
    # Distance beyond the ellipse around the head, in px.
    radius = np.linalg.norm((grid - centre) / half, axis=1)
    beyond = np.maximum(0.0, 1.0 - 1.0 / np.maximum(radius, 1e-6)) * np.linalg.norm(grid - centre, axis=1)
    stay = np.clip(1.0 - beyond / fade, 0.0, 1.0)
    return np.asarray(field * (stay * stay * (3.0 - 2.0 * stay))[:, None])


def melt(
    first: Image,
    first_points: Landmarks,
    second: Image,
    second_points: Landmarks,
    at: Landmarks,
    weight: float,
    *,
    quick: bool = False,
) -> Image:
    """Return a frame with the face at `at`, its pixels `weight` (0..1) of the way from `first` to `second`.

    Both pictures are moved to the same landmarks before they are mixed, so no contour shows twice. At weight 0 or 1
    only one of them is looked at. `quick` is that of `move_face`.
    """
    if weight <= 0.0:
        return move_face(first, first_points, at, quick=quick)
    if weight >= 1.0:
        return move_face(second, second_points, at, quick=quick)
    a, b = move_face(first, first_points, at, quick=quick), move_face(second, second_points, at, quick=quick)
    return np.asarray(cv2.addWeighted(a, 1.0 - weight, b, weight, 0.0), dtype=np.uint8)
