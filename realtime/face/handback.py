"""Lead the picture from the last synthetic frame to the real video without a jump."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import eye_distance, similarity
from realtime.face.morph import melt
from realtime.face.pastframe import motion

_PIXELS_BY: Final = 0.4  # progress at which all pixels are real ones (five frames); longer shows two heads of hair
_MOUTH_BY: Final = 0.5  # progress at which lips and jaw have their real shape
_PACE: Final = 0.6  # of the natural limit: landmarks err, codecs smear, and what the eye sees is the sum
_CATCH_UP: Final = 0.2  # of the natural limit, on top of the real head's own step
_HOME: Final = 0.5  # of a step: nearer than that the head is home
_FLOOR: Final = 0.004  # eye distances a frame: a caller who sat still still moves this much unseen


def smoothstep(x: float) -> float:
    """Return 0 below 0, 1 above 1, and an S between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def head_offset(landmarks: Landmarks, place: Landmarks) -> NDArray[np.float64]:
    """Return how far each landmark (468, 2) moves, px, when the head goes to where the head of `place` is.

    Only the skull counts: a similarity over eyes and nose. What the mouth does stays as it is in `landmarks`.
    """
    head = similarity(_rigid(landmarks), _rigid(place))
    return np.asarray(landmarks.astype(np.float64) @ head[:, :2].T + head[:, 2] - landmarks)


def step_limit(natural_px: float, landmarks: Landmarks) -> float:
    """Return how far a led head may go in one frame, px, when natural motion reaches `natural_px`."""
    return max(_PACE * natural_px, _FLOOR * eye_distance(landmarks))


def paced(
    shown: Landmarks, landmarks: Landmarks, wanted: NDArray[np.float64], limit_px: float, own_px: float = 0.0
) -> NDArray[np.float64]:
    """Return the head offset for `landmarks` as near to `wanted` as one step from `shown` allows.

    A step is at most 0.6 of `limit_px`, the natural limit per frame, or a little more than `own_px`, which the head of
    the picture moves by itself, up to that limit: it must be able to catch up with a head that does not hold still.
    """
    stay = head_offset(landmarks, shown)
    limit = max(step_limit(limit_px, landmarks), min(own_px + _CATCH_UP * limit_px, limit_px))
    # `stay` is no motion at all, so some part of the way is always within the limit.
    for part in np.linspace(1.0, 0.0, 33):
        offset = stay + part * (wanted - stay)
        if motion(shown, (landmarks + offset).astype(np.float32)) <= limit:
            return np.asarray(offset)
    return stay


class HandBack:
    """Glide from one synthetic frame to real ones. One instance per return.

    The head goes from the synthetic to the real pose at no more than the natural pace, on top of which it follows the
    real motion; lips and jaw take their real shape sooner.
    """

    def __init__(self, image: Image, landmarks: Landmarks | None, limit_px: float) -> None:
        """Begin at the last synthetic frame (without badge) and its face; `limit_px` is natural motion per frame."""
        self._image, self._landmarks = image, landmarks
        self._limit = limit_px
        self._shown = landmarks
        self._real: Landmarks | None = None
        self.points: Landmarks | None = None
        """Where the face is in the frame returned last, lips included; None when there is none."""
        self.settled = True
        """Whether the head is so near its real place that the last step home is lost in its own motion."""

    def frame(self, real: Image, landmarks: Landmarks | None, progress: float) -> Image:
        """Return the frame at `progress` (0..1) for the real frame `real` with its face, None when it has none."""
        if progress >= 1.0:
            return real
        if self._landmarks is None or self._shown is None or landmarks is None:
            self.points = None
            return dissolve(self._image, real, smoothstep(progress))
        whole = head_offset(landmarks, self._landmarks)
        own = 0.0 if self._real is None else motion(self._real, landmarks)
        self._real = landmarks
        offset = paced(self._shown, landmarks, whole * (1.0 - progress), self._limit, own)
        shape = (self._landmarks - landmarks - whole) * (1.0 - smoothstep(progress / _MOUTH_BY))
        remaining_px = float(np.linalg.norm(offset, axis=1).mean())
        self.settled = remaining_px <= _HOME * step_limit(self._limit, landmarks)
        self._shown = (landmarks + offset).astype(np.float32)
        self.points = at = (landmarks + offset + shape).astype(np.float32)
        weight = smoothstep(progress / _PIXELS_BY)
        # What is mixed is soft for these few frames anyway; what follows is the real picture alone, and sharp.
        return melt(self._image, self._landmarks, real, landmarks, at, weight, quick=weight < 1.0)


def _rigid(landmarks: Landmarks) -> NDArray[np.float64]:
    # Eyes, brows' roots and nose: what moves with the skull.
    return landmarks[[33, 133, 362, 263, 168, 6, 197, 195, 5, 98, 327, 10, 151, 9]].astype(np.float64)


def dissolve(first: Image, second: Image, weight: float) -> Image:
    """Return `first` and `second` mixed, `weight` (0..1) of the second; for frames without a face."""
    return np.asarray(cv2.addWeighted(first, 1.0 - weight, second, weight, 0.0), dtype=np.uint8)
