"""One outage, frame by frame: where the head walks, and how one picture leads to the next without a jump."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import eye_distance
from realtime.face.handback import HandBack, dissolve, head_offset, paced, smoothstep
from realtime.face.history import History, natural_motion
from realtime.face.morph import melt, move_face
from realtime.face.mouth import Mouth, MouthPainter
from realtime.face.pastframe import PastFrame, motion
from realtime.face.posepath import PosePath, PoseSource, ReferenceSource

_OPENING_FRAMES: Final = 3  # over which the last real mouth becomes the generated one
_STRAY_MS: Final = 400.0  # real frames that came this long ago were strays, not the return
_SHORT: Final = 25  # frames: a walk over fewer would be seen to repeat; where there is one of 40, it goes on there
_LONG: Final = 40
_SETTLED: Final = 8  # frames shown before the walk moves to another stretch
_CROSS: Final = 12  # frames over which one stretch melts into the other
_FALL: Final = 4  # frames over which a hand-back that came to nothing melts into the outage


class Outage:
    """Lead the picture from the last real frame through an outage and back. One thread; frames carry no badge.

    Attributes:
        why_paused: why a still is shown in place of a talking face; None while a face is shown.
        path: the walk of the head; None for a still.
        detour: the walk with which it continues when `path` is too short.
        left: the frame shown last before the detour, and its face, while it melts away.
        limit_px: natural motion of the head per frame.
        drifted: whether the head was led away from `path`.
        hand_back: the return under way.
        back: the last frame of a hand-back, and its face, while it melts away because the video failed again.
    """

    def __init__(self, shown: Image, why_paused: str | None = None) -> None:
        """Begin at the frame `shown`; it stands still unless a path is set (`of_past`, `of_pose`)."""
        self.why_paused = why_paused
        self.path: PoseSource | None = None
        self.detour: PosePath | None = None
        self.left: tuple[Image, Landmarks] | None = None
        self.limit_px = 0.0
        self.drifted = False
        self.hand_back: HandBack | None = None
        self.back: tuple[Image, Landmarks | None] | None = None
        self._shown = shown
        self._points: Landmarks | None = None
        self._mouth: Mouth | None = None
        self._pose_points: Landmarks | None = None
        self._rendered = 0
        self._fallen = 0  # frames since the link fell in mid-return
        self._real: tuple[Landmarks, float] | None = None  # newest real face and its time, once some come again

    @classmethod
    def of_past(
        cls, shown: Image, history: History, painter: MouthPainter, seed: int, mouth: Mouth | None = None
    ) -> Self:
        """Begin a walk over the frames of `history`, at least one, after `shown`; `seed` varies its turns.

        With `mouth` the lips shown last were generated ones: they go on as they are.
        """
        outage = cls(shown)
        outage.path = path = history.path(seed)
        if len(path) < _SHORT:
            outage.detour = history.detour(_LONG, seed)
        outage.limit_px = natural_motion(history.frames)
        if mouth is None:
            outage._points = history.frames[-1].landmarks
            outage._mouth = Mouth(painter, history.references(painter.references_wanted))
        else:
            outage._points, outage._mouth, outage._rendered = mouth.points, mouth, _OPENING_FRAMES
        return outage

    @classmethod
    def of_pose(cls, pose: PoseSource, painter: MouthPainter, media_ms: float) -> Self:
        """Begin at `media_ms` with the frames of `pose`, whose head moves as it likes."""
        first = pose.step(media_ms)
        outage = cls(first.image)
        outage.path, outage.limit_px, outage._points = pose, float("inf"), first.landmarks
        references = pose.references(painter.references_wanted) if isinstance(pose, ReferenceSource) else [first]
        outage._mouth = Mouth(painter, references)
        return outage

    @property
    def points(self) -> Landmarks | None:
        """Where the face is in the frame returned last, lips included, (468, 2) px; None when it shows none."""
        return self._points if self.hand_back is None else self.hand_back.points

    def draw_near(self, points: Landmarks, media_ms: float) -> None:
        """Lead the head towards the real face at `media_ms`, (468, 2) px, ahead of the hand-back."""
        self._real = points, media_ms

    def frame(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms`, which rises, with the mouth for `mel_window`; without speech it closes."""
        if self.hand_back is not None:
            if self.hand_back.points is not None:
                self._points = self.hand_back.points
            self.hand_back = None
        if self.path is None or self._mouth is None:
            return self._shown
        if self.detour is not None and self._rendered == _SETTLED and self._points is not None:
            self.path, self.detour, self.left = self.detour, None, (self._shown, self._points)
        pose = self.path.step(media_ms)
        image, points = self._mouth.speak(pose, mel_window, speech=speech)
        self._rendered += 1
        if self._rendered <= _OPENING_FRAMES:
            image, points = _ease_in(pose, image, points, self._rendered / (_OPENING_FRAMES + 1.0))
        image, points = self._lead_head(image, points, media_ms)
        image = self._leave_return(self._cross(image, points), points)
        self._shown, self._points = image, points
        return image

    def return_to(self, real: Image, points: Landmarks | None, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way to the real frame `real` with its face, None when it has none."""
        if self.hand_back is None:
            self.hand_back = HandBack(self._shown, self._points, self.limit_px)
        image = self.hand_back.frame(real, points, progress)
        self.back, self._fallen = (image, self.hand_back.points), 0
        return image

    def _lead_head(self, image: Image, points: Landmarks, media_ms: float) -> tuple[Image, Landmarks]:
        """Keep the head within natural motion, and lead it towards the real one while real frames come in.

        Between outage and return, its place is that of the path. When real frames stop again it goes back there.
        """
        if self._real is not None and media_ms - self._real[1] > _STRAY_MS:
            self._real = None
        own_px = 0.0 if self._pose_points is None else motion(self._pose_points, points)
        self._pose_points = points
        if self._points is None:
            return image, points
        if self._real is None and not self.drifted and motion(self._points, points) <= self.limit_px:
            return image, points
        wanted = np.zeros(points.shape) if self._real is None else head_offset(points, self._real[0])
        offset = paced(self._points, points, wanted, self.limit_px, own_px)
        self.drifted = float(np.abs(offset).max()) > 0.1
        at = (points + offset).astype(np.float32)
        return move_face(image, points, at), at

    def _cross(self, image: Image, points: Landmarks) -> Image:
        """Melt the stretch that was left into the detour; lips are at `points` from the first frame on."""
        if self.left is None:
            return image
        weight = smoothstep((self._rendered - _SETTLED) / (_CROSS + 1.0))
        image = melt(*self.left, image, points, points, weight)
        self.left = self.left if weight < 1.0 else None
        return image

    def _leave_return(self, image: Image, points: Landmarks) -> Image:
        """Melt the frame of a hand-back shown last into the synthetic ones; lips are at `points` from the first on."""
        if self.back is None:
            return image
        self._fallen += 1
        if self._fallen > _FALL:
            self.back = None
            return image
        (left, face), weight = self.back, smoothstep(self._fallen / (_FALL + 1.0))
        return dissolve(left, image, weight) if face is None else melt(left, face, image, points, points, weight)


def _ease_in(pose: PastFrame, image: Image, points: Landmarks, weight: float) -> tuple[Image, Landmarks]:
    """Lead from the mouth of the real frames, which `pose` still shows, to the generated one; return image and face."""
    at = (pose.landmarks + np.float32(weight) * (points - pose.landmarks)).astype(np.float32)
    if float(np.abs(points - pose.landmarks).max()) > 0.5 * eye_distance(pose.landmarks):
        # A mouth this far off is a fault of the generator: warping to it would tear the face.
        at = pose.landmarks
    return melt(pose.image, pose.landmarks, image, points, at, weight, quick=True), at
