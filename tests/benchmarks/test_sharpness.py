"""The sharpness benchmark tells a faithful drawing from a soft one."""

import cv2
import numpy as np
import pytest
from face_fakes import draw, face_at

from benchmarks import sharpness


def test_detail_falls_with_blur_and_ignores_what_is_far_from_the_lips() -> None:
    face = face_at(opening=0.2)
    image = draw(face)
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.uint8)
    elsewhere = image.copy()
    elsewhere[:40] = 255 - elsewhere[:40]
    assert sharpness.detail(blurred, face) < 0.6 * sharpness.detail(image, face)
    assert sharpness.detail(elsewhere, face) == sharpness.detail(image, face)


def test_heads_are_made_smaller_and_never_larger() -> None:
    face = face_at()
    image, points = draw(face), face[None]
    small, at = sharpness.reduced([image], points, sharpness.head_px(points) / 2.0)
    assert small[0].shape[0] == image.shape[0] // 2
    assert sharpness.head_px(at) == pytest.approx(sharpness.head_px(points) / 2.0, rel=0.02)
    same, _ = sharpness.reduced([image], points, 2.0 * sharpness.head_px(points))
    assert same[0] is image
