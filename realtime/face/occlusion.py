"""When no mouth may be painted: a hand, cup, microphone or mask is before it. Bounded: one small model of one face.

The rule. The lower face is compared with what it looked like before, at about 115 landmarks of the area that the
compositor paints: brightness, two colour ratios and roughness. Landmarks move with lips and chin, so that speech
changes little; light is taken out by what it did to the upper face. Each point gives a distance in standard deviations
(at most 4). While their mean is above 0.8 the mouth counts as covered, and again as free once it was below 0.7
for 200 ms. Beards and glasses are part of what is learned.

What is there from the start has no past to differ from. Until 50 frames of a face are known, its lips must not be less
red than the skin above them: masks, paper and microphones mostly are, lips of any skin are not.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.generator import Image
from models.landmarks import LIPS_OUTER, aligned_matrix, transform
from realtime.face.look import FLOOR, SIZE, Sample, light_between, look_at, lower_points, upper_points
from realtime.face.measure import TrackedFace

COVERED: Final = 0.8
"""Mean distance above which a mouth counts as covered."""

FREE: Final = 0.7
"""Mean distance below which it is free again, after 200 ms."""

PALE: Final = 0.2
"""Logarithm of red over green by which the lips of a new face may be below its skin; lips were by up to 0.15."""

BEFORE_MS: Final = 100.0
"""Time in ms before the first covered frame in which the thing may have begun to show."""

UNSEEN: Final = "the face is not in view"
TURNED: Final = "the head is turned away"
BEFORE_MOUTH: Final = "something is before the mouth"

_FREE_MS: Final = 200.0
_FADE_OUT_MS: Final = 100.0
_FADE_IN_MS: Final = 250.0
_LIPS_FLOOR: Final = 1.6  # times as much on the lips, where teeth come and go
_COARSE: Final = 4.0  # weight of how far the upper face is off, squared
_MOST: Final = 4.0  # no point counts for more
_TRUSTED: Final = 8  # frames that are learned before any is judged
_LEARN: Final = 0.04  # share of a frame in the model, once it has seen 25
_YOUNG: Final = 50  # frames: a model of fewer may be of the hand that was there first
_YOUNG_MS: Final = 2000.0
_RELIT_MS: Final = 3000.0  # another light that the upper face does not explain is believed after so long
_RELIT: Final = 0.7  # correlation of a face's pattern with itself in another light; things before it have under 0.6
_NO_LIPS: Final = 0.05  # red over green above the skin's: a model with less may be of a hand that stayed for long
_LIPS: Final = 0.1  # and what is by so much redder than such a model are the lips that it hid
_PALE_AGAIN: Final = 0.05  # by so much below `PALE` for 200 ms, and what was there from the start has gone
_STRANGER: Final = 0.65  # mean distance of the upper face: takes of one person have up to 0.54, 95 % of pairs over 0.58


@dataclass(slots=True)
class _Model:
    """Colours of a face: (n, 4) means and variances of the lower, (m, 4) means of the upper points."""

    lower: Sample
    variance: Sample
    upper: Sample
    frames: int = 1


class OcclusionGuard:
    """Find out for each frame whether something is before the mouth. One thread; about 0.5 ms a frame."""

    def __init__(self) -> None:
        """Start with nobody known: the first 8 frames are taken as free."""
        self._model: _Model | None = None
        self._low = self._up = self._lips = np.zeros(0, np.intp)
        self._floor = FLOOR[None]
        self._sequence: int | None = None
        self._covered = False
        self._since_ms = 0.0
        self._free_ms: float | None = None
        self._relit_ms: float | None = None
        self.score = 0.0
        """How unlike its past the lower face of the newest frame is, in standard deviations, 0 to 4."""
        self.strangers = 0
        """Times that a face came back as somebody else's."""
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
        matrix = aligned_matrix(face.smoothed, SIZE)
        crop = cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        points = transform(matrix, face.landmarks)
        if not len(self._low):
            self._low, self._up = lower_points(points), upper_points(points)
            self._lips = np.flatnonzero(np.isin(self._low, LIPS_OUTER))
            self._floor = np.repeat(FLOOR[None], len(self._low), axis=0)
            self._floor[self._lips] *= _LIPS_FLOOR
        look = look_at(np.asarray(crop, dtype=np.uint8), points[np.concatenate([self._low, self._up])])
        lower, upper = look[: len(self._low)], look[len(self._low) :]
        if self._sequence != face.sequence and self._model is not None and _unlike(self._model.upper, upper):
            self.reset()
            self.strangers += 1
        self._sequence = face.sequence
        if self._there_first(lower, upper, t_ms):
            self._model = None
            return True
        if self._model is None:
            self._model = _Model(lower, np.zeros_like(lower), upper)
            return False
        light, rest = light_between(self._model.upper, upper, points[self._up], points[self._low])
        lower = lower - light
        apart = (lower - self._model.lower) ** 2 / (self._floor**2 + 2.0 * self._model.variance + _COARSE * rest**2)
        self.score = float(np.minimum(np.sqrt(apart.mean(1)), _MOST).mean())
        self._decide(t_ms)
        if not self._covered:
            _learn(self._model, lower, upper)
        elif self._outlived(lower, t_ms):
            self._model, self._covered = _Model(lower, np.zeros_like(lower), upper), False
        return self._covered

    def _there_first(self, lower: Sample, upper: Sample, t_ms: float) -> bool:
        """Return whether something covers the mouth of a face of which little is known; update that state."""
        if self._model is not None and self._model.frames >= _YOUNG:
            return False
        pale = float(np.median(upper[:, 1]) - np.median(lower[self._lips, 1]))
        waits = self._covered and self._model is None
        if pale > PALE - _PALE_AGAIN * waits:
            self._covered, self._free_ms = True, None
            return True
        if waits:
            self._free_ms = t_ms if self._free_ms is None else self._free_ms
            self._covered = t_ms - self._free_ms < _FREE_MS
        return waits and self._covered

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
        """Return whether the model is wrong, not the mouth covered: it was made of a hand, or the light is new."""
        assert self._model is not None
        if self._model.frames < _YOUNG:
            return t_ms - self._since_ms >= _YOUNG_MS
        if _pattern(self._model.lower, lower) < _RELIT and not self._shows_lips(lower):
            self._relit_ms = None
            return False
        self._relit_ms = t_ms if self._relit_ms is None else self._relit_ms
        return t_ms - self._relit_ms >= _RELIT_MS

    def _shows_lips(self, lower: Sample) -> bool:
        """Return whether `lower` has lips and the model has none: it was made of a hand that stayed for long."""
        assert self._model is not None
        known = float(np.median(self._model.lower[self._lips, 1]))
        shown = float(np.median(lower[self._lips, 1]))
        return known - float(np.median(self._model.upper[:, 1])) < _NO_LIPS and shown - known > _LIPS


class Fade:
    """Lead the weight of the painted mouth out within 100 ms and in within 250 ms. Pure."""

    def __init__(self) -> None:
        """Begin with the weight 1."""
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
        change = passed / _FADE_IN_MS if paint else -passed / _FADE_OUT_MS
        self.weight = min(max(self.weight + change, 0.0), 1.0) if possible else 0.0
        return self.weight

    def mix(self, real: Image, painted: Image) -> Image:
        """Return `painted` over `real`, (H, W, 3) uint8 both, by the weight."""
        if self.weight >= 1.0:
            return painted
        return np.asarray(cv2.addWeighted(painted, self.weight, real, 1.0 - self.weight, 0.0), dtype=np.uint8)


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
    return float(np.sqrt((apart**2 / FLOOR**2).mean(1)).mean()) > _STRANGER


def _pattern(a: Sample, b: Sample) -> float:
    """Return how alike two lower faces are in where they are dark and where red, -1 to 1, whatever the light."""
    alike = []
    for channel in (0, 1):
        x, y = a[:, channel] - a[:, channel].mean(), b[:, channel] - b[:, channel].mean()
        alike.append(float(x @ y) / max(float(np.sqrt((x @ x) * (y @ y))), 1e-6))
    return float(np.mean(alike))
