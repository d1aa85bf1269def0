"""Draw with past frames' own pixels, on the pixel grid of the frame that is changed, in one interpolation. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from models.landmarks import Matrix, invert
from models.lite.contract import LiteConfig

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 px, the last ones excluded."""

_UNUSED: Final = 0.01
"""A weight below this is not seen."""

_FINE: Final = 210.0
"""Px across the aligned crop, a face of about 180 px, from which detail is coarse enough for linear interpolation."""

_REACH: Final = 0.1  # of the aligned crop, around it: flow leads outside it now and then


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The pixels of a face in its frame.

    Attributes:
        image: (h, w, 3) uint8 BGR, a view into the frame around the aligned crop; reduced where the face is huge.
        matrix: (2, 3), px of the frame to px of `image`.
        crop: (2, 3), px of the aligned crop to px of `image`.
    """

    image: Image
    matrix: Matrix
    crop: Matrix

    @property
    def nbytes(self) -> int:
        """Bytes of its own: a view has none."""
        return self.image.nbytes if self.image.base is None else 0


def pixels_of(frame: Image, to_crop: Matrix, size: int, largest: float) -> Pixels:
    """Return the pixels around an aligned crop of `size` px, which `to_crop` maps px of `frame` to.

    They are as many as the frame has, but at most `largest` times `size` from side to side of the crop.
    """
    to_frame = invert(to_crop)
    edge = -_REACH * size, (1.0 + _REACH) * size
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = _bounds(to_frame, edge, edge)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    x1, y1 = min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height)
    image = frame[y0:y1, x0:x1]
    matrix = np.array([[1.0, 0.0, -float(x0)], [0.0, 1.0, -float(y0)]])
    shrink = largest * float(np.sqrt(abs(np.linalg.det(to_crop[:, :2]))))
    if shrink < 1.0:
        reduced = max(round((x1 - x0) * shrink), 1), max(round((y1 - y0) * shrink), 1)
        zoom = np.array([reduced[0] / (x1 - x0), reduced[1] / (y1 - y0)])
        image = np.asarray(cv2.resize(image, reduced, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        # Px are areas: their centres move by half of what they grow.
        matrix = matrix * zoom[:, None] + np.array([[0.0, 0.0, 0.5]] * 2) * (zoom[:, None] - 1.0)
    return Pixels(image, matrix, joined(matrix, to_frame))


def mix(
    config: LiteConfig, sources: Sequence[Pixels], flow: Floats, weights: Floats, residual: Floats
) -> tuple[Image, Matrix]:
    """Mix the sources' own pixels on the grid of the first one, the pose frame.

    Beyond the mouth region flow and residual are 0 and only the first source counts: there the picture equals it.

    Args:
        config: sizes.
        sources: the pose frame and the references.
        flow: (K, 2, h, w), where to take pixels from, relative, in shares of the aligned crop.
        weights: (K, h, w), sums of 1 over K.
        residual: (3, h, w), what is added, in units of full scale.

    Returns:
        The picture (height, width, 3) and the affine from px of the frame to its px.
    """
    left, top, right, bottom = config.region
    pose = sources[0]
    x0, y0, x1, y1 = _bounds(pose.crop, (left - 0.5, right - 0.5), (top - 0.5, bottom - 0.5))
    low, size = np.array([x0, y0]), (x1 - x0, y1 - y0)
    to_crop = shifted(invert(pose.crop), low)
    # The network speaks of every second px of the region.
    to_half = 0.5 * to_crop + np.array([[0.0, 0.0, -0.5 * left - 0.25], [0.0, 0.0, -0.5 * top - 0.25]])
    from_half = invert(to_half)
    # That of a reference, which stays the same while the pose goes on: a change of kernel would be seen.
    how = _kernel(sources[-1], config.size)
    total = _enlarged(residual.transpose(1, 2, 0) * np.float32(255.0), to_half, size)
    for source, moved, weight in zip(sources, flow, weights, strict=True):
        box = _used(weight, from_half, size)
        if box is None:
            continue
        corner, area = np.array(box[:2]), (box[2] - box[0], box[3] - box[1])
        half = shifted(to_half, corner)
        turn = (source.crop[:, :2] * config.size).astype(np.float32)
        places = _enlarged((turn @ moved.reshape(2, -1)).T.reshape(*weight.shape, 2), half, area)
        _add_base(places, joined(source.crop, shifted(to_crop, corner)))
        share = _enlarged(weight, half, area)
        # Multiplied by a picture of three channels: broadcasting over a last axis of three is slow in NumPy.
        taken = cv2.multiply(_taken(source.image, places, how), cv2.merge([share, share, share]), dtype=cv2.CV_32F)
        total[box[1] : box[3], box[0] : box[2]] += taken
    # Rounds and saturates.
    image = cv2.add(total, np.zeros_like(total), dtype=cv2.CV_8U)
    return np.asarray(image, np.uint8), shifted(pose.matrix, -low, after=True)


def _taken(image: Image, places: Floats, how: int) -> Image:
    # The stub does not know that a map of pairs needs no second one.
    taken = cv2.remap(image, places, None, how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(taken, dtype=np.uint8)


def _kernel(source: Pixels, size: int) -> int:
    """Return how px are interpolated: a small face's detail is as fine as its px, and would be lost to averages."""
    across = size * float(np.sqrt(abs(np.linalg.det(source.crop[:, :2]))))
    return cv2.INTER_CUBIC if across < _FINE else cv2.INTER_LINEAR


def _add_base(places: Floats, own: Matrix) -> None:
    """Add to `places` (h, w, 2) where each px itself lies in the source, by the affine `own`."""
    height, width = places.shape[:2]
    xs, ys = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    (a, b, c), (d, e, f) = own.astype(np.float32)
    places[..., 0] += a * xs + (b * ys + c)
    places[..., 1] += d * xs + (e * ys + f)


def _enlarged(small: Floats, to_half: Matrix, size: tuple[int, int]) -> Floats:
    """Return a map at half the crop's resolution, (h, w) or (h, w, c), at `size` (width, height) px."""
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    small = np.ascontiguousarray(small)
    return np.asarray(cv2.warpAffine(small, to_half, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _used(weight: Floats, from_half: Matrix, size: tuple[int, int]) -> Box | None:
    """Return x0, y0, x1, y1 px where a source weighs anything; None when it nowhere does.

    Most references are wanted for the mouth alone, a quarter of the region.
    """
    counts = weight > _UNUSED
    rows, columns = np.flatnonzero(counts.any(1)), np.flatnonzero(counts.any(0))
    if not rows.size:
        return None
    x0, y0, x1, y1 = _bounds(from_half, _span(columns, weight.shape[1]), _span(rows, weight.shape[0]))
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, size[0]), min(y1, size[1])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _span(used: NDArray[np.intp], count: int) -> tuple[float, float]:
    """Return from where to where a map of `count` px counts; at the edge of the region a source goes on."""
    first, last = int(used[0]), int(used[-1])
    return (first - 1.0 if first > 0 else -1e3, last + 1.0 if last < count - 1 else 1e3)


def _bounds(matrix: Matrix, xs: tuple[float, float], ys: tuple[float, float]) -> Box:
    """Return the whole px x0, y0, x1, y1 around what an affine makes of a rectangle."""
    (a, b, c), (d, e, f) = matrix.tolist()
    across = [a * x + b * y + c for x in xs for y in ys]
    down = [d * x + e * y + f for x in xs for y in ys]
    return floor(min(across)), floor(min(down)), ceil(max(across)) + 1, ceil(max(down)) + 1


def joined(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the affine that does `inner`, then `outer`."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.hstack([linear, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]])


def shifted(matrix: Matrix, by: NDArray[np.int_], *, after: bool = False) -> Matrix:
    """Return `matrix` for points that lie `by` px further, or (`after`) with its result moved by that much."""
    moved: Matrix = matrix.copy()
    moved[:, 2] += by if after else matrix[:, :2] @ by
    return moved
