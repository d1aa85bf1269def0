"""Move a face inside its frame, and melt one picture of it into another without double contours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import FACE_OVAL, LIPS_INNER, LIPS_OUTER, NOSE_BASE, STABLE, eye_distance, similarity

_CONTROL: Final = sorted({*FACE_OVAL[::2], *LIPS_INNER, *LIPS_OUTER, *NOSE_BASE, *STABLE, 70, 105, 107, 336, 334, 300})
_RIGID: Final = [_CONTROL.index(point) for point in STABLE]
_SAME: Final = np.eye(2, 3)  # of a head that stays, whatever its mouth does
_REACH: Final = 0.22  # eye distances over which a point pulls its surroundings along
_STIFF: Final = 0.02
_FIELD_EYES: Final = 7.0  # nodes of the displacement grid per eye distance
_STILL_PX: Final = 0.05
_SHARP_PX: Final = 250_000
"""More px than this are moved with linear interpolation: bicubic takes three times as long, too long for a frame."""
_WHOLE_PX: Final = 400_000
"""More than this, of pictures larger than 640x480, `quick` moves at half their size."""

Points = NDArray[np.float64]
Places = NDArray[np.float32]
"""(h, w, 2) where each pixel of a box is taken from, x and y in px of the picture."""


@dataclass(frozen=True, slots=True)
class _Moves:
    """The change of pictures in `box`: where each is taken from (None: as it is), and how it is interpolated.

    With `step` 2 places are those of every second pixel, in px of the picture at half its size.
    """

    box: tuple[slice, slice]
    places: list[Places | None]
    how: int
    step: int


def move_face(image: Image, source: Landmarks, target: Landmarks, *, quick: bool = False) -> Image:
    """Return `image` with its face moved from landmarks `source` to `target` (468, 2) px; far from the face it stays.

    A similarity carries the head, Gaussian radial basis functions the rest (mouth, brows, outline); the whole
    displacement fades to nothing around the head, over a distance that keeps the field from folding. `quick` takes
    less than half the time and is a little soft: for frames that nobody sees longer than a moment.
    """
    moves = _moves((source,), target, image.shape, quick)
    out = image.copy()
    if moves is not None:
        out[moves.box] = _taken(image, moves, 0)
    return out


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
    only one of them is looked at. `quick` is that of `move_face`; what it moves in large pictures is half as sharp.
    """
    if weight <= 0.0:
        return move_face(first, first_points, at, quick=quick)
    if weight >= 1.0:
        return move_face(second, second_points, at, quick=quick)
    moves = _moves((first_points, second_points), at, first.shape, quick, halve=quick)
    # Outside the box both stay where they are.
    out = _mixed(first, second, weight)
    if moves is not None:
        part = _mixed(_taken(first, moves, 0), _taken(second, moves, 1), weight)
        if moves.step != 1:
            height, width = out[moves.box].shape[:2]
            part = np.asarray(cv2.resize(part, (width, height)), dtype=np.uint8)
        out[moves.box] = part
    return out


def _mixed(first: Image, second: Image, weight: float) -> Image:
    return np.asarray(cv2.addWeighted(first, 1.0 - weight, second, weight, 0.0), dtype=np.uint8)


def _taken(image: Image, moves: _Moves, index: int) -> Image:
    """Return what picture `index` becomes in the box."""
    rows, columns = moves.box
    if moves.step != 1:
        size = image.shape[1] // moves.step, image.shape[0] // moves.step
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        rows, columns = (slice(side.start // moves.step, side.stop // moves.step) for side in (rows, columns))
    places = moves.places[index]
    if places is None:
        return image[rows, columns]
    # The stub does not know that a map of pairs needs no second one.
    taken = cv2.remap(image, places, None, moves.how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(taken, dtype=np.uint8)


def _moves(
    sources: Sequence[Landmarks], target: Landmarks, shape: tuple[int, ...], quick: bool, *, halve: bool = False
) -> _Moves | None:
    """Return how pictures of `shape` change as faces move from `sources` to `target`; None when all are there."""
    olds, new = [source[_CONTROL].astype(np.float64) for source in sources], target[_CONTROL].astype(np.float64)
    ways = [float(np.linalg.norm(new - old, axis=1).max()) for old in olds]
    if max(ways) < _STILL_PX:
        return None
    eyes = max(eye_distance(target), 4.0)
    fade = max(0.8 * eyes, 4.0 * max(ways))
    low, size = _around(new, fade, shape)
    count = np.clip(np.ceil(size / eyes * _FIELD_EYES * (0.5 if quick else 1.0)), 4, 32 if quick else 64).astype(int)
    grid = np.stack(
        np.meshgrid(*(low[i] - 0.5 + (np.arange(count[i]) + 0.5) * size[i] / count[i] for i in (0, 1))), axis=-1
    )
    fields = _displacements(grid.reshape(-1, 2), olds, new, eyes, fade).reshape(*grid.shape[:2], -1, 2)
    moving = np.abs(fields).max(axis=(2, 3)) > _STILL_PX
    if not moving.any():
        return None
    area = float(moving.sum() * np.prod(size / count))
    step = 2 if halve and area > _WHOLE_PX else 1
    how = cv2.INTER_LINEAR if quick or area > _SHARP_PX else cv2.INTER_CUBIC
    rows, columns = _part(moving.any(axis=1), size[1] // step), _part(moving.any(axis=0), size[0] // step)
    spread = cv2.INTER_LINEAR if quick else cv2.INTER_CUBIC
    places = [
        _places(field / step, low // step, size // step, spread, (rows, columns)) if way >= _STILL_PX else None
        for field, way in zip(np.moveaxis(fields, 2, 0), ways, strict=True)
    ]
    x, y = (int(at) for at in low)
    down = slice(y + rows.start * step, y + rows.stop * step)
    across = slice(x + columns.start * step, x + columns.stop * step)
    return _Moves((down, across), places, how, step)


def _around(points: Points, fade: float, shape: tuple[int, ...]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return corner and size (x, y) px, even where the picture's are, of the box around a head that moves."""
    height, width = shape[:2]
    centre, half = _head(points)
    low = np.clip(np.floor(centre - half - fade), 0, (max(width - 2, 0), max(height - 2, 0))).astype(int) // 2 * 2
    high = np.clip(np.ceil(centre + half + fade), low + 1, (width, height)).astype(int)
    size = np.maximum(high - low, 1)
    return low, np.where(low + size + size % 2 <= (width, height), size + size % 2, size)


def _part(moving: NDArray[np.bool_], length: int) -> slice:
    """Return which of `length` px move, where some of the nodes spread over them do."""
    found, count = np.flatnonzero(moving), len(moving)
    return slice(max(int(found[0]) - 1, 0) * length // count, min(int(found[-1]) + 2, count) * length // count)


def _places(
    field: Points, low: NDArray[np.int_], size: NDArray[np.int_], how: int, part: tuple[slice, slice]
) -> Places:
    """Return where pixels of `part` of the box at `low` of `size` (x, y) come from; field (rows, columns, 2) px."""
    small = np.ascontiguousarray(field, dtype=np.float32)
    whole = cv2.resize(small, (int(size[0]), int(size[1])), interpolation=how)
    places: Places = np.asarray(whole, dtype=np.float32)[part]
    rows, columns = part
    places[..., 0] += np.arange(low[0] + columns.start, low[0] + columns.stop, dtype=np.float32)
    places[..., 1] += np.arange(low[1] + rows.start, low[1] + rows.stop, dtype=np.float32)[:, None]
    return places


def _kernel(a: Points, b: Points, reach: float) -> Points:
    """Return exp(-|a - b|^2 / reach) for all pairs, (len(a), len(b))."""
    # Relative to a common centre float32 is exact enough.
    centre = b.mean(0)
    p, q = (a - centre).astype(np.float32), (b - centre).astype(np.float32)
    x, y = p[:, :1] - q[:, 0], p[:, 1:] - q[:, 1]
    return np.asarray(np.exp((x * x + y * y) * np.float32(-1.0 / reach)), dtype=np.float64)


def _head(points: Points) -> tuple[Points, Points]:
    """Return centre and half axes of the ellipse that holds the head, hair and ears included."""
    low, high = points.min(0), points.max(0)
    half = (high - low) / 2.0
    return (low + high) / 2.0 - (0.0, 0.2 * half[1]), half * (1.3, 1.35)


def _displacements(grid: Points, olds: Sequence[Points], new: Points, eyes: float, fade: float) -> Points:
    """Return for points of the output (n, 2) how far away in each input their pixel lies, (n, inputs * 2)."""
    backs = [similarity(new, old) if np.abs(new - old)[_RIGID].max() > _STILL_PX else _SAME for old in olds]
    rests = [old - (new @ back[:, :2].T + back[:, 2]) for back, old in zip(backs, olds, strict=True)]
    reach = 2.0 * (_REACH * eyes) ** 2
    # OpenCV's solver and einsum keep to this thread: BLAS would wake all cores for a matrix of this size and wait for
    # them, 6 ms instead of 0.3 on a busy machine.
    stiff = _kernel(new, new, reach) + _STIFF * np.eye(len(new))
    _, pull = cv2.solve(stiff, np.hstack(rests), flags=cv2.DECOMP_CHOLESKY)
    heads = [grid @ back[:, :2].T + back[:, 2] - grid for back in backs]
    field = np.hstack(heads) + np.einsum("gp,pc->gc", _kernel(grid, new, reach), pull)
    centre, half = _head(new)
    # Distance beyond the ellipse around the head, in px.
    radius = np.linalg.norm((grid - centre) / half, axis=1)
    beyond = np.maximum(0.0, 1.0 - 1.0 / np.maximum(radius, 1e-6)) * np.linalg.norm(grid - centre, axis=1)
    stay = np.clip(1.0 - beyond / fade, 0.0, 1.0)
    return np.asarray(field * (stay * stay * (3.0 - 2.0 * stay))[:, None])
