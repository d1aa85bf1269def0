"""Follow one face through a video: landmarks, pose, and whether they can be relied on."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.facemesh import POINTS, FaceMesh
from models.generator import Image, Landmarks
from models.landmarks import (
    HEAD_JUMP,
    LIPS_INNER,
    LIPS_OUTER,
    aligned_matrix,
    eye_distance,
    face_distance,
    mouth_opening,
    yaw_degrees,
)
from realtime.face.oneeuro import OneEuroFilter
from realtime.face.people import MOST_FACES, Descriptor, FaceMark, People, Person, SeenFace, moved

YAW_LIMIT: Final = 35.0
"""Degrees of turn beyond which a mouth is not synthesised."""

_MIN_EYES_PX: Final = 20.0
_ALONE_MS: Final = 2000.0  # between two looks for other faces while there is one,
_SEVERAL_MS: Final = 400.0  # while there are several,
_NEAR_MS: Final = 120.0  # and while they may cross or the followed one is hidden
_NEAR_WIDTHS: Final = 2.0
_UPPER_LID, _LOWER_LID = (159, 386), (145, 374)
_EYE_CORNERS = ((33, 133), (263, 362))


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """Hold what is known about the face in one frame.

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


class FaceTracker(Protocol):
    """Follow one face from frame to frame. One thread calls one instance."""

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the face in `image` (H, W, 3) BGR taken at `t_ms`, or None when it is not seen."""

    def close(self) -> None:
        """Free what the tracker holds."""


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


def describe(image: Image, landmarks: Landmarks, smoothed: Landmarks, sequence: int) -> TrackedFace:
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
        cutoff = np.full((POINTS, 1), 2.0)
        beta = np.full((POINTS, 1), 30.0)
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


class MediaPipeTracker:
    """Follow one face with MediaPipe FaceMesh: the largest, or who was chosen. One thread only.

    While one face is in view, others are looked for every 2 s; while there are several, more often. `choose` and
    `follow_next` may be called from any thread.
    """

    def __init__(self, lost_after: int = 5) -> None:
        """Load the models; the face counts as lost, and all faces are looked for anew, after `lost_after` misses."""
        self._mesh, self._finder = FaceMesh(), FaceMesh(static=True, faces=MOST_FACES)
        self._lost_after = lost_after
        self._smooth = LandmarkSmoother()
        self._people = People()
        self._wishes: deque[Callable[[], Person | None]] = deque(maxlen=8)
        self.marks: tuple[FaceMark, ...] = ()
        """All faces as seen when they were looked for last, the followed one as it is now; any thread may read it."""
        self._looked_ms: float | None = None
        self._hidden = False
        self._last: Landmarks | None = None
        self._misses = 0
        self._sequence = 0

    def choose(self, x: float, y: float) -> None:
        """Follow the face at the point (px of the image) from the next frame on; does nothing where there is none."""
        self._wishes.append(lambda: self._people.choose(x, y))

    def follow_next(self) -> None:
        """Follow the next face from left to right, and round, from the next frame on."""
        self._wishes.append(self._people.next)

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the followed face; a frame without it gives None and starts a new sequence."""
        landmarks = None if self._last is None or self._hidden else self._mesh.find(image)
        if landmarks is not None and self._jumped(landmarks):
            # A cut, or the graph went over to somebody else.
            self._last = landmarks = None
        if self._due(t_ms):
            landmarks = self._look(image, landmarks, t_ms)
        if landmarks is None:
            self._miss()
            return None
        if self._last is None or self._misses:
            self._sequence += 1
            self._smooth.reset()
        self._last, self._misses = landmarks, 0
        self.marks = moved(self.marks, landmarks)
        return describe(image, landmarks, self._smooth(landmarks, t_ms), self._sequence)

    def close(self) -> None:
        """Free the models."""
        self._mesh.close()
        self._finder.close()

    def _miss(self) -> None:
        self._misses += 1
        if self._misses >= self._lost_after:
            self._last = None

    def _jumped(self, landmarks: Landmarks) -> bool:
        assert self._last is not None
        return face_distance(self._last, landmarks) > HEAD_JUMP * (1 + self._misses)

    def _due(self, t_ms: float) -> bool:
        """Say whether all faces are to be looked for in this frame."""
        if self._looked_ms is None or self._wishes or not 0.0 <= t_ms - self._looked_ms < _ALONE_MS:
            return True
        if self._last is None and not self._hidden:
            return True
        passed = t_ms - self._looked_ms
        if self._hidden or self._people.near(_NEAR_WIDTHS, t_ms):
            return passed >= _NEAR_MS
        return len(self._people.known) > 1 and passed >= _SEVERAL_MS

    def _look(self, image: Image, landmarks: Landmarks | None, t_ms: float) -> Landmarks | None:
        """Look for all faces and return that of the followed person, None when it is not there."""
        faces = self._finder.find_all(image)
        boxes = [(face.min(0), face.max(0)) for face in faces]
        seen = [
            SeenFace((float(low[0]), float(low[1]), float(high[0]), float(high[1])), face_looks(image, face))
            for (low, high), face in zip(boxes, faces, strict=True)
        ]
        if self._looked_ms is not None and t_ms <= self._looked_ms:
            self._people = People()
        self._looked_ms = t_ms
        self._people.update(seen, t_ms)
        while self._wishes:
            self._wishes.popleft()()
        self.marks = self._people.marks
        shown = self._people.shown
        self._hidden = shown is None and bool(faces)
        if shown is None:
            # The finder may miss the only face, which the graph has; others are not the followed one.
            return None if self._hidden else landmarks
        at = next(face for face, one in zip(faces, seen, strict=True) if one is shown.face)
        if landmarks is not None and face_distance(at, landmarks) <= HEAD_JUMP:
            return landmarks
        self._last = None
        self._mesh.reset()
        return self._mesh.find(image if len(faces) == 1 else _only(image, at))


def _only(image: Image, landmarks: Landmarks) -> Image:
    """Return `image` with all but one face blanked, so that a tracker that sees it settles on that face."""
    margin = 0.35 * np.ptp(landmarks, axis=0)
    x0, y0, x1, y1 = face_box(np.concatenate([landmarks - margin, landmarks + margin]).astype(np.float32), image.shape)
    alone = np.full_like(image, 128)
    alone[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    return alone


class ScriptedTracker:
    """Replay given landmarks, one entry per call, None for a face not seen; the last entry stays. For tests."""

    def __init__(self, script: Sequence[NDArray[np.float32] | None]) -> None:
        if not script:
            raise ValueError("a script needs at least one entry")
        self._script = list(script)
        self._next = 0
        self._sequence = 0
        self._seen = False
        self.closed = False

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the next entry of the script."""
        landmarks = self._script[min(self._next, len(self._script) - 1)]
        self._next += 1
        if landmarks is None:
            self._seen = False
            return None
        self._sequence += not self._seen
        self._seen = True
        return describe(image, landmarks, landmarks, self._sequence)

    def close(self) -> None:
        """Remember that the tracker was closed."""
        self.closed = True
