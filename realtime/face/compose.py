"""Put a generated mouth into a frame: a mask that follows the lower face, feathered, matched in colour."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks, Patch
from models.landmarks import JAW, LIPS_OUTER, NOSE_BASE, eye_distance

Mask = NDArray[np.float32]

_FEATHER: Final = 0.07  # standard deviation of the mask's edge, in eye distances
_CHIN_ROOM: Final = 0.16  # how far below the chin the mask reaches, in eye distances
_SIDE: Final = 0.86  # how far towards the jaw line the mask reaches at the sides
_MASK_EYES: Final = 48.0  # px of eye distance at which masks are drawn: feathers are soft, so small is enough
_COLOUR_LIMIT: Final = 28.0  # levels: a larger difference is content, not colour
_UNSEEN: Final = 1.5  # levels: less is noise, when it is so in most places
_SAME: Final = 0.75
_BORDER: Final = 0.04  # of the patch: it fades out before its own edge


def lower_face(landmarks: Landmarks) -> NDArray[np.float64]:
    """Return the points (n, 2) px that span mouth and chin: nose base above, inside the cheeks, below the chin."""
    points = landmarks.astype(np.float64)
    eyes = eye_distance(landmarks)
    across = (points[263] - points[33]) / max(eyes, 1e-6)
    down = np.array([-across[1], across[0]])
    centre = points[list(LIPS_OUTER)].mean(0)
    out = points[list(JAW)] - centre
    side, below = out @ across, out @ down
    # Points that lie straight below the mouth move down the most: the chin's edge must lie well inside the mask.
    steep = np.clip(below / np.maximum(np.hypot(side, below), 1e-6), 0.0, 1.0) ** 2
    jaw = centre + (side * _SIDE)[:, None] * across + (below + _CHIN_ROOM * eyes * steep)[:, None] * down
    nose = points[list(NOSE_BASE)] + 0.02 * eyes * down
    lips = points[list(LIPS_OUTER)]
    return np.concatenate([jaw, nose, lips + 0.12 * (lips - centre) * (1.0, 0.6)])


class Compositor:
    """Paste patches into frames. One thread at a time."""

    def __init__(self) -> None:
        self._borders: dict[tuple[int, int], Image] = {}

    def paste(self, frame: Image, patch: Patch, landmarks: Landmarks) -> Image:
        """Return a copy of `frame` with the mouth of `patch`.

        Args:
            frame: (H, W, 3) uint8 BGR.
            patch: the mouth; its matrix maps px of `frame`.
            landmarks: (468, 2) px of the face in `frame`.
        """
        # Both jaws are covered: the new one, and the old one that would else show below it.
        old, new = lower_face(landmarks), lower_face(patch.landmarks)
        eyes = eye_distance(landmarks)
        at = _whole_px(patch.matrix)
        box = _box(np.concatenate([old, new]), 3.0 * _FEATHER * eyes, frame.shape)
        if at is not None:
            box = _common(box, at, patch.image.shape)
        x0, y0, x1, y1 = box
        out = frame.copy()
        if x1 - x0 < 4 or y1 - y0 < 4:
            return out
        place, border = self._place(patch, box) if at is None else self._cut(patch, box, at)
        mask = _mask((old, new), box, eyes) * border
        region = frame[y0:y1, x0:x1].astype(np.float32)
        shift = _colour_shift(region, place, mask)
        if shift is not None:
            place += shift
        # In place and without a last axis of three: both are slow in NumPy where pictures are large.
        place -= region
        place *= cv2.merge([mask, mask, mask])
        place += region
        place += np.float32(0.5)
        out[y0:y1, x0:x1] = np.clip(place, 0, 255, out=place)
        return out

    def _cut(
        self, patch: Patch, box: tuple[int, int, int, int], at: tuple[int, int]
    ) -> tuple[NDArray[np.float32], Mask]:
        """Return what `_place` does of a patch whose px are those of the frame from `at` on; `box` lies within it."""
        x0, y0, x1, y1 = box
        part = slice(y0 - at[1], y1 - at[1]), slice(x0 - at[0], x1 - at[0])
        border = self._border_of(patch.image.shape)[part]
        return patch.image[part].astype(np.float32), border.astype(np.float32) * np.float32(1.0 / 255.0)

    def _place(self, patch: Patch, box: tuple[int, int, int, int]) -> tuple[NDArray[np.float32], Mask]:
        """Return the patch resampled onto `box`, and how much of it may show near its own border."""
        x0, y0, x1, y1 = box
        matrix = patch.matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (x0, y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (x1 - x0, y1 - y0)
        image = cv2.warpAffine(patch.image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        border = cv2.warpAffine(self._border_of(patch.image.shape), matrix, size, flags=flags)
        return image.astype(np.float32), (border / np.float32(255.0)).astype(np.float32)

    def _border_of(self, shape: tuple[int, ...]) -> Image:
        height, width = shape[:2]
        if (height, width) not in self._borders:
            self._borders = {(height, width): _border(height, width)}
        return self._borders[height, width]


def _whole_px(matrix: NDArray[np.float64]) -> tuple[int, int] | None:
    """Return where in the frame a patch begins whose px are the frame's own; None for any other."""
    at = -np.round(matrix[:, 2])
    same = np.abs(matrix - np.array([[1.0, 0.0, -at[0]], [0.0, 1.0, -at[1]]])).max() < 1e-6
    return (int(at[0]), int(at[1])) if same else None


def _common(box: tuple[int, int, int, int], at: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the part of `box` that a patch of `shape`, which begins at `at`, covers."""
    x0, y0, x1, y1 = box
    return max(x0, at[0]), max(y0, at[1]), min(x1, at[0] + shape[1]), min(y1, at[1] + shape[0])


def _box(points: NDArray[np.float64], margin: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    low = np.clip(np.floor(points.min(0) - margin), 0, (shape[1], shape[0])).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin), 0, (shape[1], shape[0])).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _border(height: int, width: int) -> Image:
    """Return 255 in the middle of a patch, falling smoothly to 0 at its edge."""
    rows = np.minimum(np.arange(height), np.arange(height)[::-1]) / (_BORDER * height)
    columns = np.minimum(np.arange(width), np.arange(width)[::-1]) / (_BORDER * width)
    near = np.clip(np.minimum(rows[:, None], columns[None, :]), 0.0, 1.0)
    return np.asarray(near * near * (3.0 - 2.0 * near) * 255.0, dtype=np.uint8)


def _mask(shapes: Sequence[NDArray[np.float64]], box: tuple[int, int, int, int], eyes: float) -> Mask:
    """Return the feathered hulls of `shapes` over `box`, (h, w) float32 in 0..1."""
    x0, y0, x1, y1 = box
    scale = min(1.0, _MASK_EYES / max(eyes, 1e-6))
    size = max(2, round((x1 - x0) * scale)), max(2, round((y1 - y0) * scale))
    zoom = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)])
    small = np.zeros((size[1], size[0]), dtype=np.uint8)
    for points in shapes:
        hull = cv2.convexHull(((points - (x0, y0)) * zoom * 16.0).astype(np.int32))
        cv2.fillConvexPoly(small, hull, (255,), lineType=cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(small, (0, 0), max(0.6, _FEATHER * eyes * scale)).astype(np.float32)
    full = cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full * np.float32(1.0 / 255.0), dtype=np.float32)


def _colour_shift(region: NDArray[np.float32], place: NDArray[np.float32], mask: Mask) -> NDArray[np.float32] | None:
    """Return the low-frequency difference in colour between frame and patch, (h, w, 3); None when it is not seen.

    A plane per channel, fitted to the ring just inside the mask's edge, where both show the same skin. The fit is
    reweighted so that beards, shadows and a jaw that has moved do not count.
    """
    height, width = mask.shape
    ring = np.flatnonzero((mask > 0.1) & (mask < 0.7))
    if len(ring) < 32:
        return None
    ring = ring[:: max(1, len(ring) // 700)]
    rows, columns = np.divmod(ring, width)
    wanted = (region.reshape(-1, 3)[ring] - place.reshape(-1, 3)[ring]).T.astype(np.float64)
    if np.count_nonzero(np.abs(wanted) < _UNSEEN) > _SAME * wanted.size:
        return None
    planes = _planes(columns / width - 0.5, rows / height - 0.5, wanted)
    ys, xs = np.arange(height) / height - 0.5, np.arange(width) / width - 0.5
    down = (planes[:, 0] + ys[:, None] * planes[:, 2]).astype(np.float32)
    across = (xs[:, None] * planes[:, 1]).astype(np.float32)
    # Each column's three values side by side: broadcasting over a last axis of three is slow.
    shift = np.tile(down, (1, width))
    shift += across.ravel()
    np.clip(shift, -_COLOUR_LIMIT, _COLOUR_LIMIT, out=shift)
    return shift.reshape(height, width, 3)


def _planes(x: NDArray[np.float64], y: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return planes a + b x + c y through `wanted` (3, n) over points (n,), (3, 3) with a row per channel."""
    basis = np.stack([np.ones(len(x)), x, y])
    products = (basis[:, None] * basis[None]).reshape(9, -1)
    # A little pull towards a constant: a ring says little about slopes when half of it is left out.
    ridge = np.diag([1e-6, 0.02, 0.02]) * len(x)
    planes = np.zeros((3, 3))
    planes[:, 0] = _median(wanted)
    for _ in range(3):
        error = wanted - planes @ basis
        spread = np.maximum(2.0, 1.5 * _median(np.abs(error)))
        weight = 1.0 / (1.0 + (error / spread[:, None]) ** 2)
        normal = (weight @ products.T).reshape(3, 3, 3) + ridge
        planes = np.linalg.solve(normal, ((weight * wanted) @ basis.T)[..., None])[..., 0]
    return planes


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper median of each row; `np.median` takes five times as long for so few."""
    middle = values.shape[1] // 2
    return np.asarray(np.partition(values, middle, axis=1)[:, middle])
