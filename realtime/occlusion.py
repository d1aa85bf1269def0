"""When no mouth may be painted: a hand, cup, microphone or mask is before it. Bounded: one small model of one face.

The rule. The lower face is compared with what it looked like before, at about 115 landmarks of the area that the
compositor paints: brightness, two colour ratios and roughness. Landmarks move with lips and chin, so that speech
changes little; light is taken out by what it did to the upper face. Each point gives a distance in standard deviations
(at most 4). While their mean is above 0.8 the mouth counts as covered, and again as free once it was below 0.7
for 200 ms. Beards and glasses are part of what is learned.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import (
    ALIGNED_EYES,
    ALIGNED_ORIGIN,
    LIPS_INNER,
    LIPS_OUTER,
    aligned_matrix,
    transform,
)
from realtime.compose import lower_face
from realtime.face import TrackedFace

COVERED: Final = 0.8
"""Mean distance above which a mouth counts as covered."""

FREE: Final = 0.7
"""Mean distance below which it is free again, after 200 ms."""

BEFORE_MS: Final = 100.0
"""What is before the mouth may have begun to show in frames so long before the one that told."""

UNSEEN: Final = "the face is not in view"
TURNED: Final = "the head is turned away"
BEFORE_MOUTH: Final = "something is before the mouth"

_FREE_MS: Final = 200.0
_SIZE: Final = 96  # px of the crop
_EYES: Final = ALIGNED_EYES * _SIZE
_FLOOR: Final = np.array([0.14, 0.05, 0.07, 0.4], dtype=np.float32)  # standard deviation that faces have at least
_LIPS_FLOOR: Final = 1.6  # times as much on the lips, where teeth come and go
_COARSE: Final = 4.0  # weight of how far the upper face is off, squared
_MOST_LIGHT: Final = (0.7, 0.7, 0.7, 1.5)
_MOST: Final = 4.0  # no point counts for more
_TRUSTED: Final = 8  # frames that are learned before any is judged
_LEARN: Final = 0.04  # share of a frame in the model, once it has seen 25
_YOUNG: Final = 50  # frames: a model of fewer may be of the hand that was there first
_YOUNG_MS: Final = 2000.0
_RELIT_MS: Final = 3000.0  # another light that the upper face does not explain is believed after so long
_RELIT: Final = 0.7  # correlation of a face's pattern with itself in another light; things before it have under 0.6
_STRANGER: Final = 0.65  # mean distance of the upper face: takes of one person have up to 0.54, 95 % of pairs over 0.58

Sample = NDArray[np.float32]


@dataclass(slots=True)
class _Model:
    """Hold what a face looks like: (n, 4) means and variances of the lower, (m, 4) means of the upper points."""

    lower: Sample
    variance: Sample
    upper: Sample
    frames: int = 1


class OcclusionGuard:
    """Say of each frame whether something is before the mouth. One thread; about 0.5 ms a frame."""

    def __init__(self) -> None:
        """Start with nobody known: the first 8 frames are taken as free."""
        self._model: _Model | None = None
        self._low = self._up = np.zeros(0, np.intp)
        self._floor = _FLOOR[None]
        self._sequence: int | None = None
        self._covered = False
        self._since_ms = 0.0
        self._free_ms: float | None = None
        self._relit_ms: float | None = None
        self.score = 0.0
        """How unlike its past the lower face of the newest frame is, in standard deviations, 0 to 4."""
        self.began = False
        """Whether the newest frame is the first that is covered."""

    @property
    def covered(self) -> bool:
        """Whether the mouth was covered in the newest frame."""
        return self._covered

    def why_not(self, image: Image, face: TrackedFace | None, t_ms: float) -> str | None:
        """Return why no mouth may be painted on `face`, found in `image` at `t_ms`: a sentence; None when it may."""
        self.began, before = False, self._covered
        if face is None or not face.visible:
            return UNSEEN
        if not face.frontal:
            return TURNED
        if not self.observe(image, face, t_ms):
            return None
        self.began = not before
        return BEFORE_MOUTH

    def reset(self) -> None:
        """Forget the face."""
        self._model, self._covered, self._free_ms, self._relit_ms = None, False, None, None
        self.score = 0.0

    def observe(self, image: Image, face: TrackedFace, t_ms: float) -> bool:
        """Return whether something is before the mouth of `face` in `image` (H, W, 3) BGR, taken at `t_ms`.

        Frames that are free become part of what is known of the face. A face that was lost and comes back is another
        person when its upper half is unlike.
        """
        matrix = aligned_matrix(face.smoothed, _SIZE)
        crop = cv2.warpAffine(image, matrix, (_SIZE, _SIZE), borderMode=cv2.BORDER_REPLICATE)
        points = transform(matrix, face.landmarks)
        if not len(self._low):
            self._low, self._up = _lower_points(points), _upper_points(points)
            lips = np.isin(self._low, (*LIPS_OUTER, *LIPS_INNER))
            self._floor = (_FLOOR * np.where(lips, _LIPS_FLOOR, 1.0)[:, None]).astype(np.float32)
        look = _look(np.asarray(crop, dtype=np.uint8), points[np.concatenate([self._low, self._up])])
        lower, upper = look[: len(self._low)], look[len(self._low) :]
        if self._sequence != face.sequence and self._model is not None and _unlike(self._model.upper, upper):
            self.reset()
        self._sequence = face.sequence
        if self._model is None:
            self._model = _Model(lower, np.zeros_like(lower), upper)
            return False
        light, rest = _light(self._model.upper, upper, points[self._up], points[self._low])
        lower = lower - light
        apart = (lower - self._model.lower) ** 2 / (self._floor**2 + 2.0 * self._model.variance + _COARSE * rest**2)
        self.score = float(np.minimum(np.sqrt(apart.mean(1)), _MOST).mean())
        self._decide(t_ms)
        if not self._covered:
            _learn(self._model, lower, upper)
        elif self._outlived(lower, t_ms):
            self._model, self._covered = _Model(lower, np.zeros_like(lower), upper), False
        return self._covered

    def _decide(self, t_ms: float) -> None:
        assert self._model is not None
        if self._model.frames < _TRUSTED:
            return
        if not self._covered:
            if self.score > COVERED:
                self._covered, self._since_ms, self._free_ms, self._relit_ms = True, t_ms, None, None
        elif self.score >= FREE:
            self._free_ms = None
        elif self._free_ms is None:
            self._free_ms = t_ms
        elif t_ms - self._free_ms >= _FREE_MS:
            self._covered = False

    def _outlived(self, lower: Sample, t_ms: float) -> bool:
        """Say whether the model is wrong rather than the mouth covered: it was made of a hand, or the light is new."""
        assert self._model is not None
        if self._model.frames < _YOUNG:
            return t_ms - self._since_ms >= _YOUNG_MS
        if _pattern(self._model.lower, lower) < _RELIT:
            self._relit_ms = None
            return False
        self._relit_ms = t_ms if self._relit_ms is None else self._relit_ms
        return t_ms - self._relit_ms >= _RELIT_MS


class Fade:
    """Lead the weight of the painted mouth out within 100 ms and in within 250 ms. Pure."""

    def __init__(self, out_ms: float = 100.0, in_ms: float = 250.0) -> None:
        """Set how long each way takes; the weight begins at 1."""
        self._out_ms, self._in_ms = out_ms, in_ms
        self._last_ms: float | None = None
        self.weight = 1.0
        """0 is all real, 1 all painted."""

    def step(self, paint: bool, t_ms: float, possible: bool = True) -> float:
        """Return the weight for the frame at `t_ms`; after a gap of over a second it is as wanted at once.

        Where painting is not `possible`, as there is no face, it is 0 at once.
        """
        passed = 40.0 if self._last_ms is None else max(t_ms - self._last_ms, 0.0)
        self._last_ms = t_ms
        if passed > 1000.0:
            self.weight = float(paint)
        change = passed / self._in_ms if paint else -passed / self._out_ms
        self.weight = min(max(self.weight + change, 0.0), 1.0) if possible else 0.0
        return self.weight

    def mix(self, real: Image, painted: Image) -> Image:
        """Return `painted` over `real`, (H, W, 3) uint8 both, by the weight."""
        if self.weight >= 1.0:
            return painted
        return np.asarray(cv2.addWeighted(painted, self.weight, real, 1.0 - self.weight, 0.0), dtype=np.uint8)


def _lower_points(points: Landmarks) -> NDArray[np.intp]:
    """Return the landmarks inside what the compositor paints; the inner lips are left out, as they come and go."""
    hull = cv2.convexHull(lower_face(points).astype(np.float32))
    depth = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in points]
    inside = np.array(depth) > 0.02 * _EYES
    inside[list(LIPS_INNER)] = False
    return np.flatnonzero(inside)


def _upper_points(points: Landmarks) -> NDArray[np.intp]:
    """Return the landmarks of forehead, nose bridge and upper cheeks, without the eyes."""
    x, y = np.abs(_place(points)[:, 0]), _place(points)[:, 1]
    eyes = (y > -0.22) & (y < 0.18) & (x > 0.12)
    return np.flatnonzero((y > -0.55) & (y < 0.4) & (x < 0.6) & ~eyes)


def _place(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points of the crop in eye distances, origin between the eyes."""
    return np.asarray((points / _SIZE - (0.5, ALIGNED_ORIGIN[1])) / ALIGNED_EYES, dtype=np.float32)


def _look(crop: Image, points: NDArray[np.float32]) -> Sample:
    """Return log brightness, log red over green, log blue over green and log roughness at `points`, (n, 4)."""
    x, y = np.clip(np.round(points).astype(int), 0, _SIZE - 1).T
    logs = np.log(cv2.blur(crop, (3, 3))[y, x].astype(np.float32) + 12.0)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
    mean = cv2.blur(grey, (7, 7))[y, x]
    spread = np.sqrt(np.maximum(cv2.blur(grey * grey, (7, 7))[y, x] - mean * mean, 0.0))
    rough = np.log(spread / (mean + 12.0) + 0.02)
    channels = [logs.mean(1), logs[:, 2] - logs[:, 1], logs[:, 0] - logs[:, 1], rough]
    return np.asarray(np.stack(channels, axis=1), dtype=np.float32)


def _light(
    before: Sample, now: Sample, at: NDArray[np.float32], wanted: NDArray[np.float32]
) -> tuple[Sample, NDArray[np.float32]]:
    """Return what a change of light from `before` to `now` at the points `at` does to those at `wanted`, (n, 4).

    An offset and a slope from side to side for each, fitted so that lashes and fingers do not count. The second is
    what the fit leaves at a third of the points, (4,): a starved encoder smears the whole face, not the mouth alone.
    """
    basis = np.stack([np.ones(len(at)), _place(at)[:, 0]], axis=1)
    there = np.stack([np.ones(len(wanted)), _place(wanted)[:, 0]], axis=1)
    change = np.zeros((len(wanted), 4), np.float32)
    rest = np.zeros(4, np.float32)
    ridge = np.diag([1e-6, 0.02]) * max(len(at), 1)
    for channel in range(4):
        moved = (now[:, channel] - before[:, channel]).astype(np.float64)
        weight = np.ones(len(at))
        for _ in range(3):
            weighted = basis * weight[:, None]
            plane = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ moved)
            weight = 1.0 / (1.0 + ((moved - basis @ plane) / (0.36 * _FLOOR[channel])) ** 2)
        change[:, channel] = np.clip(there @ plane, -_MOST_LIGHT[channel], _MOST_LIGHT[channel])
        rest[channel] = 2.2 * np.quantile(np.abs(moved - basis @ plane), 0.35)
    return change, rest


def _learn(model: _Model, lower: Sample, upper: Sample) -> None:
    model.frames += 1
    share = np.float32(max(1.0 / model.frames, _LEARN))
    apart = lower - model.lower
    model.variance = (1 - share) * (model.variance + share * apart**2)
    model.lower = model.lower + share * apart
    model.upper = model.upper + share * (upper - model.upper)


def _unlike(known: Sample, upper: Sample) -> bool:
    apart = upper - known
    apart = apart - np.median(apart, axis=0)
    return float(np.sqrt((apart**2 / _FLOOR**2).mean(1)).mean()) > _STRANGER


def _pattern(a: Sample, b: Sample) -> float:
    """Return how alike two lower faces are in where they are dark and where red, -1 to 1, whatever the light."""
    alike = []
    for channel in (0, 1):
        x, y = a[:, channel] - a[:, channel].mean(), b[:, channel] - b[:, channel].mean()
        alike.append(float(x @ y) / max(float(np.sqrt((x @ x) * (y @ y))), 1e-6))
    return float(np.mean(alike))
