"""Measure a face by its landmarks (size, sharpness, turn, openings, looks), and smooth them over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.facemesh import POINTS
from models.generator import Image, Landmarks
from models.landmarks import LIPS_INNER, LIPS_OUTER, aligned_matrix, eye_distance, mouth_opening, yaw_degrees
from realtime.face.oneeuro import OneEuroFilter
from realtime.face.people import Descriptor

YAW_LIMIT: Final = 35.0
"""Degrees of turn beyond which a mouth is not synthesised."""

_MIN_EYES_PX: Final = 20.0
_UPPER_LID, _LOWER_LID = (159, 386), (145, 374)
_EYE_CORNERS = ((33, 133), (263, 362))


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """The face in one frame: where it is and what it is good for.

    Attributes:
        landmarks: (468, 2) px as found.
        smoothed: (468, 2) px, the head steady and the lips quick; what crops and masks are cut by.
        yaw: turn of the head in degrees, 0 is frontal.
        sharpness: variance of the Laplacian over the face, normalised by its contrast; compare within one video only.
        opening: gap of the inner lips over the eye distance.
        eyes: gap of the eyelids over the width of the eyes; a blink takes it near 0.
        frontal: the turn is within `YAW_LIMIT`.
        visible: the mouth and chin lie inside the image and the face is large enough to work on.
        box: x0, y0, x1, y1 of the landmarks, px, clipped to the image.
        sequence: changes whenever the face was lost or jumped: two frames with equal numbers show one unbroken motion.
        person: number of whose face it is, never given to somebody else; None where that is not known.
    """

    landmarks: Landmarks
    smoothed: Landmarks
    yaw: float
    sharpness: float
    opening: float
    eyes: float
    frontal: bool
    visible: bool
    box: tuple[int, int, int, int]
    sequence: int
    person: int | None = None


def eye_opening(landmarks: Landmarks) -> float:
    """Return the mean gap of the eyelids over the width of the eyes; about 0.3 open, under 0.15 in a blink."""
    gaps = np.linalg.norm(landmarks[list(_UPPER_LID)] - landmarks[list(_LOWER_LID)], axis=1)
    widths = [np.linalg.norm(landmarks[a] - landmarks[b]) for a, b in _EYE_CORNERS]
    return float(gaps.mean() / max(float(np.mean(widths)), 1e-6))


def face_box(landmarks: Landmarks, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of the landmarks in px, clipped to an image of `shape` (H, W, ...)."""
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(landmarks.min(0)), 0, limits).astype(int)
    high = np.clip(np.ceil(landmarks.max(0)), 0, limits).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def sharpness(image: Image, box: tuple[int, int, int, int]) -> float:
    """Return the variance of the Laplacian inside `box` over the variance of its grey values; 0 for an empty box."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 8 or y1 - y0 < 8:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(image[y0:y1, x0:x1]), cv2.COLOR_BGR2GRAY)
    contrast = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / contrast if contrast > 1.0 else 0.0


def describe(
    image: Image, landmarks: Landmarks, smoothed: Landmarks, sequence: int, person: int | None = None
) -> TrackedFace:
    """Measure a face that was found in `image`."""
    box = face_box(landmarks, image.shape)
    mouth = landmarks[[*LIPS_OUTER, 152]]
    inside = bool((mouth >= 0).all() and (mouth < (image.shape[1], image.shape[0])).all())
    yaw = yaw_degrees(landmarks)
    return TrackedFace(
        landmarks=landmarks,
        smoothed=smoothed,
        yaw=yaw,
        sharpness=sharpness(image, box),
        opening=mouth_opening(landmarks),
        eyes=eye_opening(landmarks),
        frontal=abs(yaw) <= YAW_LIMIT,
        visible=inside and eye_distance(landmarks) >= _MIN_EYES_PX,
        box=box,
        sequence=sequence,
        person=person,
    )


def face_looks(image: Image, landmarks: Landmarks) -> Descriptor:
    """Return how a face looks for `People`: (96,) float32, colours from nose to forehead on a grid of 8 by 4.

    Logarithms of blue, green and red less their mean, times 4: how bright the light is makes no difference, and a hand
    before the mouth little.
    """
    crop = cv2.warpAffine(image, aligned_matrix(landmarks, 48), (48, 24), borderMode=cv2.BORDER_REPLICATE)
    grid = np.log(cv2.resize(crop, (8, 4), interpolation=cv2.INTER_AREA).astype(np.float32) + 12.0)
    return np.asarray(4.0 * (grid - grid.mean()).ravel(), dtype=np.float32)


class LandmarkSmoother:
    """Smooth landmarks in units of the eye distance, so that one setting fits every face size."""

    def __init__(self) -> None:
        cutoff = np.full((POINTS, 1), 0.5)
        beta = np.full((POINTS, 1), 15.0)
        # Lips open and close within two frames: a lag there would show as a mouth that is late.
        lips = [*LIPS_OUTER, *LIPS_INNER]
        cutoff[lips], beta[lips] = 8.0, 60.0
        self._filter = OneEuroFilter(cutoff, beta)
        self._scale: float | None = None

    def reset(self) -> None:
        """Forget the past."""
        self._filter.reset()
        self._scale = None

    def __call__(self, landmarks: Landmarks, t_ms: float) -> Landmarks:
        """Return the smoothed landmarks, (468, 2) px."""
        if self._scale is None:
            self._scale = max(eye_distance(landmarks), 1.0)
        return (self._filter(landmarks / self._scale, t_ms) * self._scale).astype(np.float32)
