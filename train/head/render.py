"""Draw one frame of a person: layers painted once (stage.py), mouth and eyes painted per frame, all moved by the head.

The head turns by moving each px sideways in proportion to its depth, which is exact enough for the few degrees that
people turn in a call.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from train.head.appearance import Appearance
from train.head.lips import lips_of, true_opening
from train.head.pose import HeadPose, MouthAndPose, MouthShape
from train.head.stage import PIVOT_Y, HeadStage, Layer
from train.head.surface import Array, Canvas

__all__ = ["render", "stage_of", "true_opening"]

Picture = NDArray[np.uint8]


@lru_cache(maxsize=8)
def stage_of(face: Appearance, size: tuple[int, int]) -> HeadStage:
    """Return the painted layers of `face` at `size` (width, height); kept for the last eight asked for."""
    return HeadStage(face, size)


def render(face: Appearance, pose: MouthAndPose, size: tuple[int, int] = (640, 480)) -> Picture:
    """Draw a frame.

    Args:
        face: who.
        pose: mouth, head and camera noise of this frame.
        size: (width, height) in px, at least 96 each.

    Returns:
        (height, width, 3) uint8 BGR; the same arguments give the same bytes.

    Raises:
        ValueError: the size is too small to show a face.
    """
    if min(size) < 96:
        raise ValueError(f"size {size[0]}x{size[1]} is too small for a face: ask for at least 96x96")
    stage = stage_of(face, size)
    frame = stage.room.copy()
    matrix = _head_matrix(stage, pose.head)
    if stage.back is not None:
        _lay(frame, *_moved(stage.back, matrix, size, shift=-0.25 * _turn(pose.head)))
    _lay(frame, *_moved(stage.body, _body_matrix(stage, pose.head), size))
    texture = _with_mouth(stage, pose.mouth)
    if abs(pose.head.brow) > 0.02:
        y = stage.brow_y + (0.055 * pose.head.brow * stage.canvas.scale) * stage.brow_field
        texture[stage.brow_place] = cv2.remap(stage.head.pixels, stage.brow_x, y, cv2.INTER_LINEAR)
    stage.eyes.paint(texture, pose.head)
    if stage.glasses is not None:
        _lay(texture, stage.glasses.pixels, (0, 0))
    _lay(frame, *_turned(stage, texture, matrix, pose.head))
    return _camera(stage, frame, pose.grain)


def _turn(head: HeadPose) -> Array:
    """Return how far a point one unit before the neck moves, (2,) in units."""
    return np.asarray((np.sin(np.radians(head.yaw)), np.sin(np.radians(head.pitch))))


def _head_matrix(stage: HeadStage, head: HeadPose) -> Array:
    """Return (2, 3): face units to px of the frame."""
    angle = np.radians(head.roll)
    turn = stage.unit * head.scale * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    pivot = np.array((0.0, PIVOT_Y))
    at = np.array(stage.centre) + stage.unit * (pivot + np.array((head.x, head.y + 0.012 * head.breath)))
    return np.column_stack([turn, at - turn @ pivot])


def _body_matrix(stage: HeadStage, head: HeadPose) -> Array:
    shift = np.array((0.35 * head.x, 0.35 * head.y + 0.02 * head.breath))
    return np.column_stack([stage.unit * np.eye(2), np.array(stage.centre) + stage.unit * shift])


def _canvas_matrix(matrix: Array, canvas: Canvas) -> Array:
    """Return (2, 3): px of the canvas to px of the frame."""
    linear = matrix[:, :2] / canvas.scale
    return np.column_stack([linear, matrix[:, 2] + matrix[:, :2] @ (canvas.left, canvas.top)])


def _box(matrix: Array, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the part of the frame that a layer of `shape` covers: left, top, right, bottom in px."""
    corners = np.array(((0, 0, 1), (shape[1], 0, 1), (0, shape[0], 1), (shape[1], shape[0], 1))) @ matrix.T
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), size[0]), min(int(high[1]), size[1])


def _moved(
    layer: Layer, matrix: Array, size: tuple[int, int], shift: Array | None = None
) -> tuple[Picture, tuple[int, int]]:
    placed = _canvas_matrix(matrix, layer.canvas)
    if shift is not None:
        placed[:, 2] += matrix[:, :2] @ shift
    left, top, right, bottom = _box(placed, layer.pixels.shape, size)
    placed[:, 2] -= (left, top)
    drawn = cv2.warpAffine(layer.pixels, placed, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    return np.asarray(drawn, np.uint8), (left, top)


def _turned(stage: HeadStage, texture: Picture, matrix: Array, head: HeadPose) -> tuple[Picture, tuple[int, int]]:
    coarse, depth = stage.coarse, stage.depth
    turn = _turn(head)
    spread = (1 / max(float(np.cos(np.radians(head.yaw))), 0.5), 1 / max(float(np.cos(np.radians(head.pitch))), 0.5))
    places = np.indices(depth.shape, dtype=np.float32)
    rows, columns = np.asarray(places[0]), np.asarray(places[1])
    x, y = columns, rows
    for _ in range(2):
        here = cv2.remap(depth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * coarse.scale
        x = ((columns + coarse.left * coarse.scale - here * turn[0]) * spread[0] - coarse.left * coarse.scale).astype(
            np.float32
        )
        y = ((rows + coarse.top * coarse.scale - here * turn[1]) * spread[1] - coarse.top * coarse.scale).astype(
            np.float32
        )
    ratio = stage.canvas.scale / coarse.scale
    source = cv2.merge([x * ratio, y * ratio])
    placed = _canvas_matrix(matrix, coarse)
    left, top, right, bottom = _box(placed, depth.shape, stage.size)
    placed[:, 2] -= (left, top)
    lookup = cv2.warpAffine(
        source, placed, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    drawn = cv2.remap(texture, lookup, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(drawn, np.uint8), (left, top)


def _with_mouth(stage: HeadStage, shape: MouthShape) -> Picture:
    """Return the head's texture with the jaw moved and the mouth painted."""
    texture = stage.head.pixels.copy()
    lips = lips_of(stage.face, shape, np.zeros(1, np.float32))
    scale = stage.canvas.scale
    if abs(lips.jaw) > 1e-4 or abs(lips.half - lips.rest) > 1e-4:
        x = stage.lower_x - (0.8 * (lips.half - lips.rest) * scale) * stage.corner_field
        y = stage.lower_y - (lips.jaw * scale) * stage.jaw_field
        texture[stage.lower_place] = cv2.remap(
            stage.head.pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
    stage.mouth.paint(texture, shape)
    return texture


def _lay(below: Picture, layer: Picture, at: tuple[int, int]) -> None:
    """Lay a premultiplied BGRA picture over `below` (3 or 4 channels) in place, its corner `at` (x, y)."""
    left, top = at
    channels = below.shape[2]
    part = below[top : top + layer.shape[0], left : left + layer.shape[1]]
    clear = cv2.cvtColor(255 - layer[..., 3], cv2.COLOR_GRAY2BGR if channels == 3 else cv2.COLOR_GRAY2BGRA)
    colour = layer if channels == 4 else cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR)
    if channels == 3:
        kept = cv2.multiply(part, clear, scale=1 / 255)
        cv2.add(kept, colour, dst=kept)
        part[:] = kept
    else:
        kept = cv2.multiply(part, clear, scale=1 / 255)
        part[..., :3] = cv2.add(kept, colour)[..., :3]


def _camera(stage: HeadStage, frame: Picture, grain: int) -> Picture:
    """Add what a webcam adds: a little softness and noise."""
    soft = cv2.GaussianBlur(frame, (3, 3), 0.55)
    dx, dy = (grain * 37) % 64, (grain * 53 + grain // 64 * 7) % 64
    rows, columns = slice(dy, dy + soft.shape[0]), slice(dx, dx + soft.shape[1])
    cv2.add(soft, stage.grain_up[rows, columns], dst=soft)
    cv2.subtract(soft, stage.grain_down[rows, columns], dst=soft)
    return np.asarray(soft, np.uint8)
