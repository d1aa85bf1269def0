"""Picture figures on pictures whose quality is known."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from train.evaluate.cpbd import cpbd
from train.evaluate.frechet import frechet_distance
from train.evaluate.picture import MOUTH_REGION, flicker, lip_distance, lip_sharpness, mouth_region, psnr, skin, ssim


def scene(seed: int = 1, size: int = 128) -> NDArray[np.uint8]:
    """Return a picture with sharp shapes and a little noise."""
    random = np.random.default_rng(seed)
    image = np.full((size, size, 3), 120, dtype=np.uint8)
    for _ in range(40):
        centre = tuple(int(v) for v in random.integers(0, size, 2))
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        cv2.circle(image, centre, int(random.integers(3, 14)), colour, -1)
    return np.clip(image + random.normal(0, 1.0, image.shape), 0, 255).astype(np.uint8)


def blurred(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def landmarks(size: int = 128) -> NDArray[np.float32]:
    """Return points of a frontal face in an aligned crop: eyes, an oval of lips, a jaw below."""
    from models.landmarks import JAW, LIPS_INNER, LIPS_OUTER, NOSE_BASE

    points = np.full((468, 2), size / 2.0, dtype=np.float32)
    points[33], points[263] = (size * 0.27, size * 0.24), (size * 0.73, size * 0.24)
    for lips, wide in ((LIPS_OUTER, 0.16), (LIPS_INNER, 0.1)):
        angles = np.linspace(np.pi, -np.pi, len(lips), endpoint=False)
        points[list(lips)] = np.stack((np.cos(angles) * wide, np.sin(angles) * wide / 2), 1) * size
        points[list(lips)] += (size * 0.5, size * 0.66)
    angles = np.linspace(np.pi, 0.0, len(JAW))
    points[list(JAW)] = np.stack((0.5 + np.cos(angles) * 0.35, 0.55 + np.sin(angles) * 0.4), 1) * size
    points[list(NOSE_BASE)] = np.stack((np.linspace(0.42, 0.58, 5), np.full(5, 0.5)), 1) * size
    return points


def test_psnr_and_ssim_see_the_mouth_region_alone() -> None:
    real = scene()
    above, inside = real.copy(), real.copy()
    above[: int(MOUTH_REGION[0] * 128)] = 0
    region = mouth_region(inside)
    region += np.uint8(1)
    assert psnr(above, real) == math.inf
    assert ssim(above, real) == pytest.approx(1.0)
    error = float(((mouth_region(inside).astype(float) - mouth_region(real).astype(float)) ** 2).mean())
    assert psnr(inside, real) == pytest.approx(10 * math.log10(255**2 / error))
    assert ssim(blurred(real, 2.0), real) < 0.9


def test_blur_lowers_sharpness_and_cpbd_and_more_blur_lowers_them_further() -> None:
    real, points = scene(), landmarks()
    softer = [blurred(real, sigma) for sigma in (1.0, 2.5)]
    sharp = [lip_sharpness(image, points) for image in (real, *softer)]
    assert sharp[0] > 2 * sharp[1] > 4 * sharp[2]
    clear = [cpbd(image) for image in (real, blurred(real, 0.55), softer[1])]
    assert clear[0] > clear[1] > clear[2]
    assert 0.0 <= clear[2] < 0.2


def test_cpbd_of_known_edges() -> None:
    step = np.zeros((64, 64), dtype=np.uint8)
    step[:, 32:] = 200
    assert cpbd(step) == 1.0, "an edge one px wide is never noticed as blurred"
    ramp = np.tile(np.clip((np.arange(64) - 24) * 12.5, 0, 200), (64, 1)).astype(np.uint8)
    assert cpbd(ramp) == 0.0, "one of 16 px always is"
    assert math.isnan(cpbd(np.full((64, 64), 90, dtype=np.uint8)))
    with pytest.raises(ValueError, match="blocks of 64"):
        cpbd(step[:40])


def test_lip_distance_measures_shape_not_place() -> None:
    points = landmarks()
    assert lip_distance(points + np.float32(3.0), points) == pytest.approx(0.0, abs=1e-3)
    wider = points.copy()
    wider[:, 0] = (points[:, 0] - 64.0) * 1.2 + 64.0
    wider[[33, 263]] = points[[33, 263]]
    twice = lip_distance(wider * np.float32(2), points * np.float32(2))
    assert lip_distance(wider, points) == pytest.approx(twice, rel=1e-4), "the size of the picture must not count"
    assert twice > 1.0


def test_flicker_is_seen_on_skin_and_not_where_the_mouth_moves() -> None:
    random = np.random.default_rng(3)
    still = scene()
    clip = np.stack([still] * 12)
    noisy = np.clip(clip + random.normal(0, 2.0, clip.shape), 0, 255).astype(np.uint8)
    noisy[:, 78:92, 50:78] = random.integers(0, 256, (12, 14, 28, 3))
    where = skin(noisy, np.stack([landmarks()] * 12))
    assert where.sum() > 200
    assert not where[80:90, 55:73].any(), "lips are not skin"
    middles = np.arange(1, 11)
    assert flicker(clip, where, middles) == 0.0
    quiet = flicker(noisy, where, middles)
    bright = noisy.astype(int)
    bright[::2] += 12
    flashing = flicker(np.clip(bright, 0, 255).astype(np.uint8), where, middles)
    assert 1.0 < quiet < flashing / 3
    assert math.isnan(flicker(clip, np.zeros((128, 128), bool), middles))


def test_frechet_distance_of_known_gaussians() -> None:
    random = np.random.default_rng(4)
    base = random.normal(size=(4000, 4)).astype(np.float32)
    assert frechet_distance(base, base) == pytest.approx(0.0, abs=1e-6)
    # Equal covariances: the squared distance of the means. Spread 1 against 3 in 4 directions: 4 (3 - 1)^2.
    assert frechet_distance(base + 2.0, base) == pytest.approx(16.0, rel=0.01)
    assert frechet_distance(base * 3.0, base) == pytest.approx(16.0, rel=0.06)
    assert math.isnan(frechet_distance(base[:7], base))
