"""How good the made pictures are: against the real frame, by themselves, and over time. Aligned crops, uint8 BGR."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from models.generator import Image, Landmarks
from models.landmarks import LIPS_INNER, LIPS_OUTER, eye_distance
from realtime.face.compose import lower_face

Floats = NDArray[np.float64]

MOUTH_REGION: Final = (0.375, 0.125, 1.0, 0.875)
"""Top, left, bottom, right of what is compared, in shares of the aligned crop: all that a generator here may change."""

_LIPS: Final = [*LIPS_OUTER, *LIPS_INNER]
_LIP_MARGIN: Final = 0.15  # of the lips' width


def mouth_region(crop: Image) -> Image:
    """Return the part of an aligned crop that is compared."""
    size = crop.shape[0]
    top, left, bottom, right = (round(share * size) for share in MOUTH_REGION)
    return crop[top:bottom, left:right]


def psnr(made: Image, real: Image) -> float:
    """Return the peak signal-to-noise ratio of the mouth region in dB; infinite for equal pictures."""
    a, b = mouth_region(made), mouth_region(real)
    if np.array_equal(a, b):
        return math.inf
    return float(peak_signal_noise_ratio(b, a, data_range=255))  # type: ignore[no-untyped-call]


def ssim(made: Image, real: Image) -> float:
    """Return the structural similarity of the mouth region, up to 1 (Z. Wang et al., IEEE TIP 13(4), 2004)."""
    a, b = mouth_region(made), mouth_region(real)
    return float(structural_similarity(a, b, channel_axis=2, data_range=255))  # type: ignore[no-untyped-call]


def lip_sharpness(crop: Image, landmarks: Landmarks) -> float:
    """Return the variance of the Laplacian over the box of the lips at `landmarks` (468, 2) px of the crop."""
    lips = landmarks[list(LIPS_OUTER)]
    low, high = lips.min(0), lips.max(0)
    margin = _LIP_MARGIN * float(high[0] - low[0])
    x0, y0 = np.clip(np.floor(low - margin), 0, crop.shape[0] - 3).astype(int)
    x1, y1 = np.clip(np.ceil(high + margin), 3, crop.shape[0]).astype(int)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F)[y0:y1, x0:x1].var())


def lip_distance(made: Landmarks, real: Landmarks) -> float:
    """Return the landmark distance (LMD) of two mouths: mean over 40 lip points, in hundredths of the eye distance.

    Both mouths are brought to one centre first, as L. Chen et al., "Lip movements generation at a glance", ECCV 2018,
    do; they divide by nothing, which makes figures depend on the size of the picture.
    """
    a, b = made[_LIPS], real[_LIPS]
    apart = np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean()
    return 100.0 * float(apart) / max(eye_distance(real), 1e-6)


def skin(crops: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the px (S, S) of the still skin around the mouth of a real clip.

    Those of the lower face, off the lips, that change no more from frame to frame than the median of them does.

    Args:
        crops: (T, S, S, 3) consecutive real frames.
        landmarks: (T, 468, 2) px.
    """
    typical = np.median(landmarks, axis=0)
    size = crops.shape[1]
    face, lips = (np.zeros((size, size), dtype=np.uint8) for _ in range(2))
    mouth = typical[list(LIPS_OUTER)]
    for mask, points in ((face, lower_face(typical)), (lips, mouth + 0.35 * (mouth - mouth.mean(0)))):
        cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), (1,))
    around = (face > 0) & (lips == 0)
    change = _bends(_grey(crops)).mean(0)
    return np.asarray(around & (change <= np.median(change[around]))) if around.any() else around


def flicker(crops: NDArray[np.uint8], where: NDArray[np.bool_], middles: NDArray[np.int64]) -> float:
    """Return the mean |second difference| over time of the px `where`, grey levels; NaN without any.

    Args:
        crops: (T, S, S, 3) frames.
        where: (S, S) px that should not change.
        middles: frames t for which t - 1, t, t + 1 are compared.
    """
    if not where.any() or not middles.size:
        return math.nan
    return float(_bends(_grey(crops))[middles - 1][:, where].mean())


def _grey(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray([cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in crops], dtype=np.float32)


def _bends(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.abs(grey[:-2] - 2.0 * grey[1:-1] + grey[2:]))
