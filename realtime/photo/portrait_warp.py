"""Move head and shoulders of a still picture softly, the wall behind them not at all. Landmarks move alike."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import eye_distance
from realtime.photo.idle import IdlePose

_NODE_EYES: Final = 0.11  # distance of two nodes of the displacement grid, in eye distances
# The head as an ellipse in eye distances: centre below the eyes, half axes; hair and ears included.
_HEAD_DOWN: Final = 0.12
_HEAD_HALF: Final = (1.02, 1.42)
_FADE: Final = 0.85  # over which what is behind the head comes to rest, as a share of the ellipse
_NECK_DOWN: Final = 2.1  # pivot of a roll, below the eyes
_CHIN_DOWN: Final = 1.25
_SHOULDERS_DOWN: Final = 2.6
_SHOULDERS: Final = 0.3  # share of the head's motion that the shoulders follow
_BREATH: Final = 0.022  # rise of the shoulders
_BREATH_HEAD: Final = 0.4  # of it that lifts the head
_DEPTH: Final = 0.62  # of the face before its rim, and of the nose before the face
_NOSE: Final = 0.22
_NOSE_TIP: Final = 4
_SHARP_PX: Final = 160_000  # a head of more px is moved with linear interpolation, which takes a third of the time
_BORDER: Final = 0.6  # eye distances from the picture's edge within which all comes to rest

Field = NDArray[np.float32]
Box = tuple[slice, slice]
"""Rows and columns of a picture."""


class PortraitWarp:
    """Move one still picture. All that does not change from frame to frame is computed once. One thread."""

    def __init__(self, landmarks: Landmarks, shape: tuple[int, ...]) -> None:
        """Prepare for pictures of `shape` (H, W, ...) with the face at `landmarks` (468, 2) px."""
        self._size = height, width = shape[0], shape[1]
        self._eyes = eyes = max(eye_distance(landmarks), 4.0)
        self._nodes = tuple(int(np.clip(np.ceil(side / (_NODE_EYES * eyes)), 8, 160)) for side in (height, width))
        rows, columns = self._nodes
        ys = (np.arange(rows, dtype=np.float32) + 0.5) * height / rows - 0.5
        xs = (np.arange(columns, dtype=np.float32) + 0.5) * width / columns - 0.5
        grid = np.stack(np.meshgrid(xs, ys), axis=-1)
        between = (landmarks[33].astype(np.float64) + landmarks[263]) / 2.0
        across = (landmarks[263].astype(np.float64) - landmarks[33]) / eyes
        self._turn = np.array([across, (-across[1], across[0])])  # picture to head axes
        u, v = np.moveaxis(((grid - between) @ self._turn.T) / eyes, -1, 0)
        nose = ((landmarks[_NOSE_TIP] - between) @ self._turn.T) / eyes
        self._weigh(u, v, nose, self._rest(grid))
        self._from_pivot = (grid - (between + _NECK_DOWN * eyes * self._turn[1])).astype(np.float32)
        self._base = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        # Where each pixel is taken from. Kept, because touching 7 MB of fresh memory takes as long as filling it.
        self._places = np.empty((2, height, width), np.float32)

    def apply(self, image: Image, landmarks: Landmarks, pose: IdlePose) -> tuple[Image, Landmarks]:
        """Return picture and landmarks as `pose` has them; `image` (H, W, 3) of the shape prepared for."""
        field = self._field(pose)
        height, width = self._size
        for i, (base, places) in enumerate(zip(self._base, self._places, strict=True)):
            cv2.resize(np.ascontiguousarray(field[..., i]), (width, height), dst=places)
            cv2.subtract(base, places, dst=places)
        map_x, map_y = self._places
        out = image.copy()
        for box, how in self._parts:
            out[box] = cv2.remap(image, map_x[box], map_y[box], how, borderMode=cv2.BORDER_REPLICATE)
        return out, self._carry(field, landmarks)

    def _weigh(self, u: Field, v: Field, nose: NDArray[np.float64], rest: Field) -> None:
        """Fill the fields, (rows, columns) each: how much head, shoulders and depth a place has."""
        radius = np.hypot(u / _HEAD_HALF[0], (v - _HEAD_DOWN) / _HEAD_HALF[1])
        head = 1.0 - _step(1.0, 1.0 + _FADE, radius)
        # Neck and shoulders: wider and less willing the further down.
        down = _step(_CHIN_DOWN - 0.5, _SHOULDERS_DOWN, v)
        wide = 0.6 + 2.0 * down
        trunk = (1.0 - _step(wide, wide + 0.7, np.abs(u))) * _step(_CHIN_DOWN - 1.1, _CHIN_DOWN - 0.2, v)
        follow = trunk * (1.0 - (1.0 - _SHOULDERS) * down)
        self._head = (rest * np.maximum(head, follow)).astype(np.float32)[..., None]
        lifted = np.maximum(_BREATH_HEAD * head, trunk * (_BREATH_HEAD + (1.0 - _BREATH_HEAD) * down))
        self._chest = (rest * lifted).astype(np.float32)
        inner = np.clip(np.hypot(u / _HEAD_HALF[0], (v - _HEAD_DOWN) / _HEAD_HALF[1]), 0.0, 1.0)
        bulge = _DEPTH * 0.5 * (1.0 + np.cos(np.pi * inner))
        tip = _NOSE * np.exp(-((u - nose[0]) ** 2 + (v - nose[1]) ** 2) / (2.0 * 0.2**2))
        self._depth = (rest * (bulge + tip)).astype(np.float32)
        self._parts = _parts(self._box(np.maximum(np.maximum(head, follow), lifted) > 0.01), self._box(radius < 1.1))

    def _box(self, nodes: NDArray[np.bool_]) -> Box:
        """Return the box of the picture that holds all `nodes` (rows, columns) that are True."""
        found = (np.flatnonzero(nodes.any(axis)) for axis in (1, 0))
        sides = zip(found, self._size, self._nodes, strict=True)
        low_high = (
            (max(int(at[0]) - 1, 0) * side // count, min((int(at[-1]) + 2) * side // count, side))
            for at, side, count in sides
        )
        rows, columns = (slice(low, high) for low, high in low_high)
        return rows, columns

    def _rest(self, grid: NDArray[np.floating[Any]]) -> Field:
        """Return 1 inside the picture, falling to 0 at its edge: nothing is ever taken from beyond it."""
        height, width = self._size
        x, y = grid[..., 0], grid[..., 1]
        near = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
        return _step(0.0, _BORDER * self._eyes, near - 1.0)

    def _field(self, pose: IdlePose) -> Field:
        """Return how far each node moves, (rows, columns, 2) px."""
        angle = np.radians(pose.roll)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * pose.scale
        shift = self._eyes * np.array([pose.x, pose.y]) @ self._turn
        linear = (turned - np.eye(2)).T.astype(np.float32)
        field = self._head * (self._from_pivot @ linear + shift.astype(np.float32))
        # Turned a little, the front of the face runs ahead of its rim; the outline stays where it is.
        ahead = np.sin(np.radians([pose.yaw, pose.pitch])) * self._eyes @ self._turn
        lift = -_BREATH * self._eyes * pose.breath * self._turn[1]
        field += self._depth[..., None] * ahead.astype(np.float32)
        field += self._chest[..., None] * lift.astype(np.float32)
        return np.asarray(field, dtype=np.float32)

    def _carry(self, field: Field, landmarks: Landmarks) -> Landmarks:
        """Return where the landmarks go: p with p - field(p) the old place, found by iteration."""
        rows, columns = self._nodes
        height, width = self._size
        at = landmarks
        for _ in range(3):
            xs = ((at[:, 0] + 0.5) * columns / width - 0.5).astype(np.float32)
            ys = ((at[:, 1] + 0.5) * rows / height - 0.5).astype(np.float32)
            moved = cv2.remap(field, xs[:, None], ys[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            at = (landmarks + moved[:, 0]).astype(np.float32)
        return at


def _parts(moving: Box, sharp: Box) -> list[tuple[Box, int]]:
    """Return boxes that share out `moving`, and how each is interpolated.

    Bicubic in `sharp`, the head: with linear interpolation hair turns soft and sharp again as it creeps over pixels.
    """
    (rows, columns), (inner_rows, inner_columns) = moving, sharp
    if (inner_rows.stop - inner_rows.start) * (inner_columns.stop - inner_columns.start) > _SHARP_PX:
        return [(moving, cv2.INTER_LINEAR)]
    around = [
        (slice(rows.start, inner_rows.start), columns),
        (slice(inner_rows.stop, rows.stop), columns),
        (inner_rows, slice(columns.start, inner_columns.start)),
        (inner_rows, slice(inner_columns.stop, columns.stop)),
    ]
    kept = [(r, c) for r, c in around if r.stop > r.start and c.stop > c.start]
    return [(sharp, cv2.INTER_CUBIC), *((box, cv2.INTER_LINEAR) for box in kept)]


def _step(low: float | Field, high: float | Field, x: NDArray[np.floating[Any]]) -> Field:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    share = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), dtype=np.float32)
