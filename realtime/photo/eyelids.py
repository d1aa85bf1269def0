"""Close the eyes of a still picture: the skin above the eye comes down over it, the eye itself stays where it is."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks

# FaceMesh contours from one corner to the other, the viewer's left eye and the right one.
_UPPER: Final = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
_LOWER: Final = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
_BROW: Final = ((46, 53, 52, 65, 55), (285, 295, 282, 283, 276))
_REACH: Final = 1.25  # skin above the eye that gives way, in eye heights
_BROW_ROOM: Final = 0.12  # of the way to the brow that is left alone
_MEET: Final = 0.96  # how far down the lower lid is where the lids meet
_RISE: Final = 0.12  # of the lower lid, in eye heights; takes in what the contour leaves out of the eye
_CLEAR: Final = 0.14  # eye heights above the contour from which skin is taken: the eye must not be drawn down with it
_LASH_DARK: Final = 0.55
_SHADE: Final = 0.35
_HIDDEN: Final = 0.45  # lid darker than this share of the skin beside the nose: sunglasses or hair, not a lid

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Eye:
    """An eye: a box of the picture, and for its pixels where they lie, in px along and across the eye."""

    box: tuple[slice, slice]
    height: float
    width: float
    down: NDArray[np.float64]  # unit vector from the brow to the cheek
    x: Plane
    y: Plane
    v: Plane  # across, from the line between the corners
    anchor: Plane  # v above which the skin rests,
    upper: Plane  # of the upper lid's edge
    lower: Plane  # and of the lower one's, all per pixel
    along: Plane  # 0 and 1 at the corners


class Eyelids:
    """Draw the eyes of one picture as far closed as wanted. One thread."""

    def __init__(self, image: Image, landmarks: Landmarks) -> None:
        """Prepare for `image` (H, W, 3) with the face at `landmarks` (468, 2) px."""
        self._landmarks = landmarks
        self._eyes = [_measure(landmarks, side, image.shape) for side in (0, 1)]

    def usable(self, image: Image) -> bool:
        """Return whether lids can be drawn: the eyes are open, inside the picture, and what is above them is skin."""
        nose = _mean_at(image, self._landmarks[[6, 197, 195]])
        for side, eye in enumerate(self._eyes):
            if eye is None or eye.height < 0.12 * eye.width or eye.height < 2.0:
                return False
            middle = (self._landmarks[_UPPER[side][4]] + self._landmarks[_BROW[side][2]]) / 2.0
            if _mean_at(image, middle[None]) < _HIDDEN * nose:
                return False
        return True

    def draw(self, image: Image, closed: float) -> Image:
        """Return a copy of `image` with the lids `closed` (0 as they are .. 1 shut)."""
        out = image.copy()
        if closed <= 0.0:
            return out
        for eye in self._eyes:
            if eye is not None:
                out[eye.box] = _close(image, eye, min(closed, 1.0))
        return out

    def carry(self, landmarks: Landmarks, closed: float) -> Landmarks:
        """Return a copy of `landmarks`, those of the picture or with another mouth, with the lids `closed`."""
        out = landmarks.copy()
        for side in (0, 1):
            upper, lower = list(_UPPER[side])[1:-1], list(_LOWER[side])[1:-1]
            out[upper] += np.float32(_MEET * min(max(closed, 0.0), 1.0)) * (landmarks[lower] - landmarks[upper])
        return out


def _measure(landmarks: Landmarks, side: int, shape: tuple[int, ...]) -> _Eye | None:
    """Return what is known of an eye, None when it is not inside the picture."""
    points = landmarks.astype(np.float64)
    first, last = points[_UPPER[side][0]], points[_UPPER[side][-1]]
    width = float(np.linalg.norm(last - first))
    if width < 2.0:
        return None
    axis = (last - first) / width
    down = np.array([-axis[1], axis[0]])
    upper, lower = (
        _curve((points[list(line)] - first) @ np.stack([axis, down], 1), width) for line in (_UPPER[side], _LOWER[side])
    )
    middle = np.linspace(0.0, 1.0, 33)
    height = float(np.max(_at(lower, middle) - _at(upper, middle)))
    brow = (points[list(_BROW[side])] - first) @ np.stack([axis, down], 1)
    box = _box(first, last, 0.25 * width, 1.3 * width, shape)
    if box is None:
        return None
    y, x = np.mgrid[box].astype(np.float32)
    along = ((x - first[0]) * axis[0] + (y - first[1]) * axis[1]) / width
    v = (x - first[0]) * down[0] + (y - first[1]) * down[1]
    order = np.argsort(brow[:, 0])
    brow_v = np.interp(along * width, brow[order, 0], brow[order, 1])
    up = _at(upper, along)
    anchor = np.maximum(up - _REACH * height, brow_v + _BROW_ROOM * (up - brow_v))
    anchor = np.minimum(anchor, up - 0.25 * height)
    planes = [np.asarray(plane, dtype=np.float32) for plane in (v, anchor, up, _at(lower, along), along)]
    return _Eye(box, height, width, down, x, y, *planes)


def _curve(places: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return coefficients of v = u (1 - u) (a + b u + c u^2) through a lid's points (9, 2), u from 0 to 1."""
    u, v = places[1:-1, 0] / width, places[1:-1, 1]
    basis = (u * (1.0 - u))[:, None] * np.stack([np.ones_like(u), u, u * u], 1)
    return np.asarray(np.linalg.lstsq(basis, v, rcond=None)[0], dtype=np.float64)


def _at(curve: NDArray[np.float64], u: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    inside = np.clip(u, 0.0, 1.0)
    return np.asarray(inside * (1.0 - inside) * (curve[0] + curve[1] * inside + curve[2] * inside * inside))


def _box(
    first: NDArray[np.float64], last: NDArray[np.float64], aside: float, tall: float, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    low, high = np.minimum(first, last), np.maximum(first, last)
    x0, x1 = int(low[0] - aside), int(high[0] + aside) + 2
    y0, y1 = int(low[1] - tall), int(high[1] + 0.6 * tall) + 2
    if x0 < 0 or y0 < 0 or x1 > shape[1] or y1 > shape[0]:
        return None
    return slice(y0, y1), slice(x0, x1)


def _close(image: Image, eye: _Eye, closed: float) -> Image:
    """Return the eye's box with the lid down."""
    gap = np.maximum(eye.lower - eye.upper, 0.0)
    edge = eye.upper + np.float32(_MEET * closed) * gap
    # What was between anchor and lid now reaches down to the edge.
    room, stretched = (
        np.maximum(eye.upper - _CLEAR * closed * gap - eye.anchor, 0.5),
        np.maximum(edge - eye.anchor, 0.5),
    )
    share = np.clip((eye.v - eye.anchor) / stretched, 0.0, 1.0)
    skin = _shifted(image, eye, np.where(eye.v < eye.anchor, eye.v, eye.anchor + share * room))
    below = eye.v - edge
    ball = _raise(image, eye, edge, closed)
    inside = ((eye.along > 0.0) & (eye.along < 1.0) & (below < gap)).astype(np.float32)
    ball *= (1.0 - _SHADE * closed * inside * np.exp(-np.maximum(below, 0.0) / (0.18 * eye.height)))[..., None]
    cover = np.clip(0.5 - below, 0.0, 1.0)[..., None]
    out = ball + cover * (skin - ball)
    # The lashes go down with the edge that they grow on.
    tapered = np.clip(4.0 * eye.along, 0.0, 1.0) * np.clip(4.0 * (1.0 - eye.along), 0.0, 1.0)
    thick = max(0.03 * eye.width, 0.7)
    lashes = _LASH_DARK * closed * tapered * np.exp(-((below / thick) ** 2))
    return np.asarray(np.clip(out * (1.0 - lashes)[..., None] + 0.5, 0, 255), dtype=np.uint8)


def _raise(image: Image, eye: _Eye, edge: Plane, closed: float) -> Plane:
    """Return the eye's box with the lower lid a little raised, the ball untouched; float32."""
    corners = np.clip((np.minimum(eye.along, 1.0 - eye.along) + 0.16) / 0.26, 0.0, 1.0)
    rise = _RISE * closed * eye.height * corners * corners * (3.0 - 2.0 * corners)
    rim = np.maximum(eye.lower - rise, edge)
    fade = np.clip(1.0 - (eye.v - rim) / (0.9 * eye.height), 0.0, 1.0)
    skin = _shifted(image, eye, eye.v + 2.0 * rise * fade)
    ball = image[eye.box].astype(np.float32)
    return np.asarray(ball + np.clip(eye.v - rim + 0.5, 0.0, 1.0)[..., None] * (skin - ball), dtype=np.float32)


def _shifted(image: Image, eye: _Eye, source: Plane) -> Plane:
    """Return the eye's box with each pixel taken from where v is `source`, float32."""
    back = source - eye.v
    taken = cv2.remap(
        image,
        (eye.x + back * np.float32(eye.down[0])).astype(np.float32),
        (eye.y + back * np.float32(eye.down[1])).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(taken, dtype=np.float32)


def _mean_at(image: Image, places: NDArray[np.floating[Any]]) -> float:
    """Return the mean brightness of 5 x 5 px around each of `places` (n, 2)."""
    height, width = image.shape[:2]
    total = []
    for x, y in np.round(places).astype(int):
        part = image[max(y - 2, 0) : min(y + 3, height), max(x - 2, 0) : min(x + 3, width)]
        total.append(float(part.mean()) if part.size else 0.0)
    return float(np.mean(total))
