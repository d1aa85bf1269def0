"""What real frames show of the caller: where the face is, whether it may be painted, which frames are worth keeping."""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from models.generator import Image, Landmarks
from realtime.face.history import History
from realtime.face.measure import TrackedFace
from realtime.face.occlusion import BEFORE_MOUTH, BEFORE_MS, TURNED, OcclusionGuard
from realtime.face.pastframe import PastFrame, motion
from realtime.face.tracker import FaceTracker

_FACE_AGE_MS: Final = 400.0  # a face unseen for longer when the video stops is not shown talking
_COVERED_MS: Final = 2000.0  # for so long the clean frames before a hand came stand in for those with it


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What is known of the caller's real picture.

    Attributes:
        image: the frame that was tracked last, in the size of the history, (H, W, 3) uint8 BGR; None before the first.
        face: its face as tracked; None when it has none.
        live: the newest frame observed with its face, kept or not; None when it has none in view.
        reason: why no mouth may be painted on the newest frame observed; None when it may.
    """

    image: Image | None = None
    face: TrackedFace | None = None
    live: PastFrame | None = None
    reason: str | None = "no face was seen yet"


class Observer:
    """Track real frames and fill `history` with those that may be shown again. One thread.

    Attributes:
        history: the frames kept.
    """

    def __init__(self, tracker: FaceTracker, history: History, guard: OcclusionGuard) -> None:
        """Use `tracker`, `history` and `guard`, which belong to this instance from now on."""
        self.history = history
        self._tracker, self._guard = tracker, guard
        self._last = Observed()
        self._source: Image | None = None  # what the image of `_last` was made from
        self._observed_ms: float | None = None
        self._face_ms: float | None = None  # of the frame kept last
        self._raw: Landmarks | None = None  # its face as found; None after a frame that was not kept
        self._person: int | None = None

    @property
    def last(self) -> Observed:
        """What `observe` or `look` returned last."""
        return self._last

    @property
    def has_kept(self) -> bool:
        """Whether any frame was ever worth keeping."""
        return self._face_ms is not None

    @property
    def who(self) -> tuple[int | None, int]:
        """Who is seen: equal as long as the tracker and what the face looks like tell of nobody else."""
        return self._person, self._guard.strangers

    def is_new(self, media_ms: float) -> bool:
        """Return whether a frame of `media_ms` is newer than all that were observed."""
        return self._observed_ms is None or media_ms > self._observed_ms

    def observe(self, image: Image, media_ms: float, *, keep_size: bool) -> Observed:
        """Track the frame `image`, which is new, and keep it when it is worth keeping; return what it shows.

        A smaller frame of the same shape is enlarged to the size of the history, because a sender lowers its resolution
        just before its link gives out. Another or a larger picture starts the history anew, unless the size must stay.
        """
        fitted, face = self._track(image, media_ms, keep_size)
        self._last = self._remember(fitted, face, media_ms)
        return self._last

    def look(self, image: Image, media_ms: float) -> Observed:
        """Track `image`, the target of a hand-back, unless that was done just now; return what it shows.

        An image older than the newest frame observed leaves `live` and `reason` as they are.
        """
        if image is not self._source:
            fitted, face = self._track(image, media_ms, keep_size=True)
            if self._observed_ms is not None and self.is_new(media_ms):
                self._last = self._remember(fitted, face, media_ms)
            else:
                self._last = replace(self._last, image=fitted, face=face)
        return self._last

    def why_pause(self) -> str | None:
        """Return why an outage that begins now may show no talking face; None when it may."""
        reason = self._last.reason
        if self._face_ms is None or self._observed_ms is None or not len(self.history):
            return reason or "no face was seen yet"
        if reason == TURNED:
            return reason
        limit_ms = _COVERED_MS if reason == BEFORE_MOUTH else _FACE_AGE_MS
        return reason if self._observed_ms - self._face_ms > limit_ms else None

    def close(self) -> None:
        """Free the tracker."""
        self._tracker.close()

    def _track(self, image: Image, media_ms: float, keep_size: bool) -> tuple[Image, TrackedFace | None]:
        self._source, fitted = image, self._fit(image, keep_size)
        return fitted, self._tracker.track(fitted, media_ms)

    def _fit(self, image: Image, keep_size: bool) -> Image:
        last = self.history.last
        if last is None or image.shape == last.image.shape:
            return image
        (height, width), (h, w) = last.image.shape[:2], image.shape[:2]
        same_shape = abs(h * width - w * height) <= 0.02 * w * height
        if not keep_size and (not same_shape or h > height):
            return image
        return _resize(image, width, height)

    def _remember(self, image: Image, face: TrackedFace | None, media_ms: float) -> Observed:
        self._observed_ms = media_ms
        reason, live = self._guard.why_not(image, face, media_ms), None
        if face is not None and face.person is not None:
            self._person = face.person
        if face is not None and face.visible:
            live = PastFrame(image, face.smoothed, media_ms, face.opening, face.sharpness, face.yaw, face.eyes)
        if face is not None and live is not None and reason is None:
            self._face_ms = media_ms
            if self._raw is not None:
                live.moved = motion(self._raw, face.landmarks)
            self._raw = face.landmarks
            self.history.add(live, face.sequence)
        else:
            self.history.interrupt()
            if self._guard.began:
                self.history.retract(media_ms - BEFORE_MS)
            self._raw = None
        return Observed(image, face, live, reason)


def _resize(image: Image, width: int, height: int) -> Image:
    shrink = width < image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
