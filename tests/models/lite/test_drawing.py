"""Drawing with past frames' own pixels: untouched where nothing moves, in place where it does, bounded where huge."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.generator import Image
from models.landmarks import invert, transform
from models.lite.contract import LiteConfig
from models.lite.drawing import Pixels, mix, pixels_of

CONFIG = LiteConfig(sources=2)
HALF = tuple(side // 2 for side in CONFIG.region_hw)


def picture(seed: int = 0) -> Image:
    """Return noise (480, 640, 3) as fine as its px: whatever is interpolated loses some of it."""
    return np.random.default_rng(seed).integers(0, 256, (480, 640, 3)).astype(np.uint8)


def to_crop(scale: float = 0.5, roll_degrees: float = 9.0) -> NDArray[np.float64]:
    """Return an affine from frame to crop that maps (320, 240) to the middle of the crop."""
    turn = np.radians(roll_degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.hstack([linear, (np.array([64.0, 64.0]) - linear @ (320.0, 240.0))[:, None]])


def still(of_first: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return a drawing in which nothing moves and nothing is added."""
    weights = np.stack([np.full(HALF, of_first), np.full(HALF, 1.0 - of_first)]).astype(np.float32)
    return np.zeros((2, 2, *HALF), np.float32), weights, np.zeros((3, *HALF), np.float32)


@pytest.mark.parametrize("scale", [0.32, 0.5, 1.4])
def test_a_mouth_that_does_not_move_is_the_frame_byte_for_byte(scale: float) -> None:
    frame = picture()
    pixels = pixels_of(frame, to_crop(scale), CONFIG.size, 5.0)
    image, matrix = mix(CONFIG, [pixels, pixels], *still())
    assert np.array_equal(matrix[:, :2], np.eye(2))
    x, y = (-matrix[:, 2]).astype(int)
    assert np.array_equal(image, frame[y : y + image.shape[0], x : x + image.shape[1]])


def test_the_pixels_are_a_view_of_the_frame() -> None:
    frame = picture()
    pixels = pixels_of(frame, to_crop(), CONFIG.size, 5.0)
    assert np.shares_memory(pixels.image, frame) and pixels.nbytes == 0
    assert pixels.image.shape[0] < frame.shape[0]


def test_a_face_that_is_huge_is_drawn_reduced() -> None:
    frame = picture()
    pixels = pixels_of(frame, to_crop(0.25, 0.0), CONFIG.size, 2.0)
    assert pixels.nbytes == pixels.image.nbytes
    image, matrix = mix(CONFIG, [pixels, pixels], *still())
    assert image.shape[0] == pytest.approx(80 * 2.0, abs=4)
    small = cv2.warpAffine(frame, matrix, image.shape[1::-1], flags=cv2.INTER_AREA)
    assert np.abs(cv2.blur(image, (9, 9)).astype(int) - cv2.blur(small, (9, 9))).mean() < 12


def test_pixels_come_from_where_the_flow_points() -> None:
    smooth = np.asarray(cv2.GaussianBlur(picture(), (0, 0), 6.0), np.uint8)
    matrix = to_crop()
    pixels = pixels_of(smooth, matrix, CONFIG.size, 5.0)
    flow, weights, residual = still(of_first=0.0)
    flow[1, 0] = 4.0 / CONFIG.size
    image, to_patch = mix(CONFIG, [pixels, pixels], flow, weights, residual)
    middle = np.array([[64.0, 90.0]], np.float32)
    shown, taken = (transform(invert(matrix), middle + np.array(by, np.float32))[0] for by in ((0.0, 0.0), (4.0, 0.0)))
    x, y = np.round(transform(to_patch, shown[None])[0]).astype(int)
    column, row = np.round(taken).astype(int)
    assert np.abs(image[y, x].astype(int) - smooth[row, column]).max() <= 6


def test_another_frame_shows_only_where_it_weighs() -> None:
    matrix = to_crop(roll_degrees=0.0)
    first, second = (pixels_of(picture(seed), matrix, CONFIG.size, 5.0) for seed in (0, 1))
    flow, weights, residual = still()
    weights[:, 15:25, 20:28] = np.array([0.0, 1.0], np.float32)[:, None, None]
    image, to_patch = mix(CONFIG, [first, second], flow, weights, residual)
    x, y = (-to_patch[:, 2]).astype(int)
    height, width = image.shape[:2]
    one, other = (picture(seed)[y : y + height, x : x + width] for seed in (0, 1))
    assert np.array_equal(image[:50], one[:50])
    # Half px 20 of the region lies 40 px of the crop, 80 px of the frame, below its top.
    assert np.array_equal(image[72:88, 88:104], other[72:88, 88:104])


def test_a_face_at_the_edge_of_its_frame_is_drawn_whole() -> None:
    matrix = to_crop()
    matrix[:, 2] += matrix[:, :2] @ (-250.0, -180.0)
    pixels: Pixels = pixels_of(picture(), matrix, CONFIG.size, 5.0)
    image, _ = mix(CONFIG, [pixels, pixels], *still())
    assert min(image.shape[:2]) > 150
