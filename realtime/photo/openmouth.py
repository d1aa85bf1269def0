"""Open the mouth of a still picture, so that a generator has teeth and a dark inside to take from."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import eye_distance

# Inner lips from the left corner to the right one.
_UPPER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_EYE_RINGS: Final = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
_CHEEKS: Final = (205, 50, 425, 280)
_LIFT: Final = 0.18  # share of the gap by which the upper lip goes up; the lower one takes the rest
_JAW: Final = 0.55  # of the lower lip's way that the chin goes
_TEETH: Final = 0.10  # height of the upper teeth, eye distances
_TOOTH: Final = 0.072  # width of one
_TOUCHING: Final = 0.02  # gap that FaceMesh sees between closed lips
_SHOWN: Final = 0.03  # a mouth that is open by more shows its own teeth
_NARROW: Final = 0.93  # the corners of an open mouth lie a little closer

Plane = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """The mouth's own axes: origin midway between the corners, unit the eye distance, x along, y down."""

    origin: NDArray[np.float64]
    turn: NDArray[np.float64]
    eyes: float
    half: float  # of the mouth's width
    upper: NDArray[np.float64]  # (11, 2) inner edge of the upper lip, corner to corner,
    lower: NDArray[np.float64]  # and of the lower one

    def inward(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Turn px (n, 2) into these axes."""
        return np.asarray(((points - self.origin) @ self.turn.T) / self.eyes)

    def outward(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Turn these axes into px."""
        return np.asarray(points * self.eyes @ self.turn + self.origin)

    def edges(self, x: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the heights y of the lips' inner edges in the picture; the same where they touch."""
        upper, lower = (np.interp(x, line[:, 0], line[:, 1]) for line in (self.upper, self.lower))
        middle, half = (upper + lower) / 2.0, np.maximum(lower - upper - _TOUCHING, 0.0) / 2.0
        return np.asarray(middle - half), np.asarray(middle + half)

    def arch(self, x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return how far the lips part along the mouth, 1 in the middle, 0 at the corners."""
        return np.asarray(np.clip(1.0 - (np.abs(x) / (self.half * _NARROW)) ** 2.4, 0.0, 1.0) ** 0.75)


def open_mouth(image: Image, landmarks: Landmarks, gap: float) -> tuple[Image, Landmarks]:
    """Return picture and landmarks with the lips parted `gap` eye distances further (up to about 0.3).

    Closed lips part over painted teeth; a mouth that is open keeps its own.

    Args:
        image: (H, W, 3) uint8 BGR.
        landmarks: (468, 2) px.
        gap: between the inner lips in the middle, beyond what there is.
    """
    axes = _axes(landmarks)
    points = axes.inward(landmarks)
    low, high = _reach(axes, image.shape)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    shape = y.shape
    at = axes.inward(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64))
    along, down = at[:, 0].reshape(shape), at[:, 1].reshape(shape)
    was_upper, was_lower = axes.edges(along)
    part = gap * axes.arch(along)
    upper, lower = was_upper - _LIFT * part, was_lower + (1.0 - _LIFT) * part
    # What an open mouth shows hangs on the upper lip.
    source = down + _raised(along, np.minimum(down - upper, 0.0), gap, axes)
    source = np.where(down > lower, down - _dropped(along, down - lower, gap, axes), source)
    back = (source - down).astype(np.float32) * np.float32(axes.eyes)
    taken = cv2.remap(
        image,
        x + back * np.float32(axes.turn[1, 0]),
        y + back * np.float32(axes.turn[1, 1]),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    own = was_lower - was_upper
    shows = float(own.max()) > _SHOWN
    begins = upper + own if shows else upper
    inside = np.clip(np.minimum(down - begins, lower - down) * axes.eyes + 0.5, 0.0, 1.0) * (part > 0.004)
    cavity = _cavity(along, down, upper, lower, axes.eyes, _white(image, landmarks), 0.0 if shows else _TEETH)
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), max(0.5, 0.008 * axes.eyes))[..., None]
    out = image.copy()
    mixed = taken + soft * (cavity - taken)
    out[low[1] : high[1], low[0] : high[0]] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return out, axes.outward(_moved(points, gap, axes)).astype(np.float32)


def _axes(landmarks: Landmarks) -> _Axes:
    points = landmarks.astype(np.float64)
    eyes = max(eye_distance(landmarks), 4.0)
    across = points[308] - points[78]
    width = max(float(np.linalg.norm(across)), 1.0)
    across /= width
    turn = np.stack([across, [-across[1], across[0]]])
    origin = (points[78] + points[308]) / 2.0
    lines = [(points[list(indices)] - origin) @ turn.T / eyes for indices in (_UPPER, _LOWER)]
    upper, lower = (line[np.argsort(line[:, 0])] for line in lines)
    return _Axes(origin, turn, eyes, width / 2.0 / eyes, upper, lower)


def _reach(axes: _Axes, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the corners of the box that changes, px."""
    corners = axes.outward(np.array([(x, y) for x in (-1.0, 1.0) for y in (-0.5, 1.2)]))
    limits = (shape[1], shape[0])
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
    return np.clip(low, 0, limits).astype(np.int64), np.clip(high, 0, limits).astype(np.int64)


def _raised(
    x: NDArray[np.floating[Any]], above: NDArray[np.floating[Any]], gap: float, axes: _Axes
) -> NDArray[np.float64]:
    """Return how far up the skin at `above` (< 0) the parted upper lip has moved; positive."""
    return np.asarray(_LIFT * gap * axes.arch(x) * np.clip(1.0 + above / 0.3, 0.0, 1.0) ** 2)


def _dropped(
    x: NDArray[np.floating[Any]], below: NDArray[np.floating[Any]], gap: float, axes: _Axes
) -> NDArray[np.float64]:
    """Return how far down the skin at `below` (> 0) the parted lower lip has moved; positive.

    The lip arches, the jaw moves as a whole; both fade under the chin, more slowly than they move, so nothing folds.
    """
    lip = axes.arch(x) * np.clip(1.0 - below / 0.28, 0.0, 1.0)
    jaw = np.clip(1.0 - (np.abs(x) / 0.75) ** 2, 0.0, 1.0) ** 2 * np.clip((1.15 - below) / 0.6, 0.0, 1.0)
    jaw = jaw * np.clip(below / 0.28, 0.0, 1.0)
    return np.asarray((1.0 - _LIFT) * gap * (lip + _JAW * jaw))


def _moved(points: NDArray[np.float64], gap: float, axes: _Axes) -> NDArray[np.float64]:
    """Return where the landmarks (468, 2), in the mouth's axes, go."""
    out = points.copy()
    x = points[:, 0]
    above, below = axes.edges(x)
    upper = (points[:, 1] < above) & (points[:, 1] > above - 0.3)
    out[upper, 1] -= _raised(x, np.minimum(points[:, 1] - above, 0.0), gap, axes)[upper]
    # Where below the lip a point comes to lie decides how far it moves: found by iteration.
    beyond = points[:, 1] - below
    lower = beyond > 0.0
    moved = np.zeros(len(points))
    part = (1.0 - _LIFT) * gap * axes.arch(x)
    for _ in range(4):
        moved = _dropped(x, np.maximum(beyond + moved - part, 0.0), gap, axes)
    out[lower, 1] += moved[lower]
    parted = gap * axes.arch(x)
    for index in _UPPER[1:-1]:
        out[index, 1] = above[index] - _LIFT * parted[index]
    for index in _LOWER[1:-1]:
        out[index, 1] = below[index] + (1.0 - _LIFT) * parted[index]
    return out


def _white(image: Image, landmarks: Landmarks) -> NDArray[np.float64]:
    """Return the colour (3,) of white in this light, 0..255: that of the eyes, unless they lie in shadow."""
    seen = []
    for ring in _EYE_RINGS:
        x0, y0 = np.floor(landmarks[list(ring)].min(0)).astype(int)
        x1, y1 = np.ceil(landmarks[list(ring)].max(0)).astype(int) + 1
        part = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)].reshape(-1, 3)
        if len(part):
            seen.append(np.percentile(part, 85, axis=0))
    colour = np.max(seen, axis=0) if seen else np.full(3, 160.0)
    x, y = np.clip(landmarks[list(_CHEEKS)].astype(int), 2, np.array(image.shape[1::-1]) - 3).T
    cheek = float(image[y, x].mean())
    light = float(np.clip(max(colour.mean(), 0.95 * cheek), 70.0, 225.0))
    return np.asarray(np.clip(light + 0.6 * (colour - colour.mean()), 40.0, 235.0), dtype=np.float64)


def _cavity(
    x: Plane, y: Plane, upper: Plane, lower: Plane, eyes: float, white: NDArray[np.float64], teeth_high: float
) -> NDArray[np.float64]:
    """Paint the inside of a mouth, (h, w, 3): teeth under the upper lip, dark behind them, the tongue low and soft.

    With `teeth_high` 0 (eye distances) no teeth: the picture's own are there.
    """
    light = white / 215.0
    depth = np.clip((y - upper) / np.maximum(lower - upper, 1e-3), 0.0, 1.0)
    # Dim at the sides and under the upper lip, as light comes from before and above.
    side = 1.0 - 0.55 * np.clip(np.abs(x) / 0.3, 0.0, 1.0) ** 2
    dark = np.array([38.0, 32.0, 62.0]) * light
    tongue = np.array([88.0, 84.0, 158.0]) * light
    lift = 0.85 * np.clip((depth - 0.55) / 0.4, 0.0, 1.0) ** 1.5 * np.clip(1.0 - (np.abs(x) / 0.22) ** 2, 0.0, 1.0)
    inside = dark + lift[..., None] * (tongue - dark)
    if teeth_high <= 0.0:
        return np.asarray(inside * side[..., None])
    tall = np.minimum(teeth_high, 0.62 * (lower - upper))
    # Teeth hang on the upper jaw, not on the lip: their edge runs nearly straight.
    edge = np.clip((upper + tall * (1.0 - 0.5 * (np.abs(x) / 0.3) ** 2) - y) * eyes / 1.6 + 0.5, 0.0, 1.0)
    phase = (x / _TOOTH) % 1.0
    gaps = 0.07 * np.exp(-((np.minimum(phase, 1.0 - phase) / 0.10) ** 2))
    shade = side * (0.72 + 0.28 * np.clip((y - upper) / (0.5 * teeth_high), 0.0, 1.0)) * (1.0 - gaps)
    teeth = np.array([0.84, 0.90, 0.93]) * white * shade[..., None]
    return np.asarray(inside * side[..., None] + edge[..., None] * (teeth - inside * side[..., None]))
