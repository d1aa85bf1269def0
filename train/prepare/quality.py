"""How usable a mouth is: sharp, turned to the camera, inside the picture and not covered. Pure functions."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import LIPS_INNER, LIPS_OUTER, eye_distance

_MEASURED: Final = 128  # px of the crop in which sharpness is measured, so that figures compare between sizes
_MARGIN: Final = 0.15  # of the lips' width, around the lips

_SMALL: Final = 32
# Rows and columns of the aligned crop, 32 px: from below the nose to the chin; and the cheeks, which tell of the light.
_LOWER_FACE: Final = (slice(18, 27), slice(10, 22))
_CHEEKS: Final = (slice(9, 16), slice(8, 24))
_ACROSS: Final = 0.5  # least energy of lines across over that of lines down
_OWN_COLOUR: Final = 2.5  # least distance of lips and skin in Lab
_UNLIKE: Final = 18.0  # distance in Lab at which a spot does not look like itself
_COVERED: Final = 0.5  # share of such spots


def mouth_box(lips: Landmarks, size: int) -> tuple[slice, slice]:
    """Return rows and columns around the lips (n, 2) of a crop of `size` px."""
    margin = _MARGIN * float(np.ptp(lips[:, 0]))
    low = np.clip(np.floor(lips.min(0) - margin), 0, size - 1).astype(int)
    high = np.clip(np.ceil(lips.max(0) + margin), low + 1, size).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def sharpness(crop: Image, landmarks: Landmarks) -> float:
    """Return the variance of the Laplacian of grey over the mouth of an aligned crop; 0 is flat.

    The crop is taken at 128 px. A face that is smaller in the video was enlarged to it, and counts as that much softer.

    Source: J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    scale = _MEASURED / crop.shape[0]
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    if scale != 1.0:
        grey = cv2.resize(grey, (_MEASURED, _MEASURED), interpolation=cv2.INTER_AREA)
    rows, columns = mouth_box(landmarks[list(LIPS_OUTER)] * np.float32(scale), _MEASURED)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[rows, columns].var())


def inside(landmarks: Landmarks, shape: Sequence[int]) -> bool:
    """Say whether lips and chin lie in an image of `shape` (H, W, ...), 1/20 of the eye distance from its edge."""
    margin = 0.05 * eye_distance(landmarks)
    points = landmarks[[*LIPS_OUTER, 152]]
    return bool((points >= margin).all() and (points < np.array([shape[1], shape[0]]) - margin).all())


def looks_like_a_mouth(crop: Image, landmarks: Landmarks) -> bool:
    """Say whether there are lips where the landmarks put them, in an aligned crop.

    Lips are lines across with a colour of their own: fingers, a microphone's stand and the smears of a damaged MPEG
    stream are lines down, and a mask or a palm is of one colour. Limits lie under half of what was least on real faces.
    """
    size = crop.shape[0]
    lips = landmarks[list(LIPS_OUTER)]
    box = mouth_box(lips, size)
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (0, 0), size / 128).astype(np.float32)
    across, down = (float((cv2.Sobel(grey, cv2.CV_32F, *axis)[box] ** 2).mean()) for axis in ((0, 1), (1, 0)))
    if across < _ACROSS * down:
        return False
    filled, mouth = (_filled(landmarks[list(points)], size) for points in (LIPS_OUTER, LIPS_INNER))
    near, far = (cv2.dilate(filled, np.ones((width, width), np.uint8)) for width in (size // 25, size // 10))
    lab = _lab(crop)
    skin, red = lab[(far > 0) & (near == 0)], lab[(filled > 0) & (mouth == 0)]
    return bool(len(skin) and len(red) and np.linalg.norm(skin.mean(0) - red.mean(0)) > _OWN_COLOUR)


def _filled(outline: Landmarks, size: int) -> NDArray[np.uint8]:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], (1,))
    return mask


def _lab(crop: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(crop.astype(np.float32) / np.float32(255.0), cv2.COLOR_BGR2LAB), dtype=np.float32)


def small(crop: Image) -> NDArray[np.float32]:
    """Return the crop in 32 px as Lab, (32, 32, 3) float32; what `covered` and `cut_between` look at."""
    return _lab(np.asarray(cv2.resize(crop, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA), dtype=np.uint8))


def unlike(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share (T,) of the lower face that does not look as it mostly does in `pictures` (T, 32, 32, 3) Lab.

    Each spot is compared with its median over time, after the median change of the cheeks is taken off as a change of
    the light.
    """
    change = pictures - np.median(pictures, axis=0)
    light = np.median(change[:, *_CHEEKS].reshape(len(change), -1, 3), axis=1)
    apart = np.linalg.norm(change[:, *_LOWER_FACE] - light[:, None, None], axis=-1)
    return np.asarray((apart > _UNLIKE).mean((1, 2)), dtype=np.float32)


def covered(pictures: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say in which frames something passes in front of the mouth: half of the lower face looks unlike itself.

    What covers it most of the time is the median then and is not seen; `looks_like_a_mouth` may see that.
    """
    return np.asarray(unlike(pictures) > _COVERED, dtype=bool)


def cut_between(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Say whether the film was cut between two small pictures of what was taken for one face."""
    return float(np.abs(after[..., 0] - before[..., 0]).mean()) > 12.0
