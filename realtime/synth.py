"""Render synthetic frames of the caller: past frames move the head, speech moves the mouth."""

from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.alignment import SILENCE
from models.generator import FaceImage, Generator, Image, Landmarks
from models.landmarks import eye_distance
from realtime.badge import PAUSED, Badge
from realtime.compose import Compositor
from realtime.face import FaceTracker, TrackedFace
from realtime.handback import HandBack, dissolve, head_offset, paced, smoothstep
from realtime.history import History, natural_motion
from realtime.morph import melt, move_face
from realtime.occlusion import BEFORE_MOUTH, BEFORE_MS, TURNED, Fade, OcclusionGuard
from realtime.pastframe import PastFrame, motion
from realtime.posepath import PosePath, PoseSource, ReferenceSource

_FACE_AGE_MS: Final = 400.0  # a face unseen for longer when the video stops is not shown talking
_COVERED_MS: Final = 2000.0  # for so long the clean frames before a hand came stand in for those with it
_CLOSING: Final = 0.5  # of the way to a closed mouth, per frame
_OPENING_FRAMES: Final = 3  # over which the last real mouth becomes the generated one
_STRAY_MS: Final = 400.0  # real frames that came this long ago were strays, not the return
_SHORT: Final = 25  # frames: a walk over fewer would be seen to repeat; where there is one of 40, it goes on there
_LONG: Final = 40
_SETTLED: Final = 8  # frames shown before the walk moves to another stretch
_CROSS: Final = 12  # frames over which one stretch melts into the other
_FALL: Final = 4  # frames over which a hand-back that came to nothing melts into the outage
_MEL_BINS: Final = 80


@dataclass(slots=True, eq=False)
class _Outage:
    """Hold what one outage needs: what was shown last, where the head walks, how far the mouth is closed."""

    shown: Image
    why_paused: str | None = None
    path: PoseSource | None = None
    detour: PosePath | None = None  # where the walk goes on when `path` is too short
    left: tuple[Image, Landmarks] | None = None  # the frame shown last before the detour
    limit_px: float = 0.0
    pose_points: Landmarks | None = None
    references: list[Any] = field(default_factory=list)
    points: Landmarks | None = None
    mel: NDArray[np.float32] | None = None
    closed: float = 0.0
    rendered: int = 0
    hand_back: HandBack | None = None
    back: tuple[Image, Landmarks | None] | None = None  # the frame of a hand-back shown last, while it melts away again
    fallen: int = 0  # frames since the link fell in mid-return
    real_points: Landmarks | None = None  # where the face of the newest real frame is, once frames come again
    real_ms: float = 0.0
    drifted: bool = False  # whether the head was led away from its pose path


class FaceSynth:
    """Render synthetic frames (a `FaceRenderer`, see realtime/synth_api.py). One thread owns it.

    Images that are given are kept, not copied: do not write to them afterwards.
    """

    def __init__(self, generator: Generator, tracker: FaceTracker, history: History | None = None) -> None:
        """Work with `generator`; `tracker` and `history` become this instance's own."""
        self._generator, self._tracker = generator, tracker
        self.history = history if history is not None else History()
        self._compositor, self._badge, self._paused_badge = Compositor(), Badge(), Badge(PAUSED)
        self._guard, self._fade = OcclusionGuard(), Fade()
        self._source: Image | None = None  # the newest real frame as it was given,
        self._real: Image | None = None  # and in the size of the history
        self._observed_ms: float | None = None
        self._face_ms: float | None = None
        self._reason: str | None = "no face was seen yet"
        self._last_raw: Landmarks | None = None  # of the frame kept last
        self._last_face: TrackedFace | None = None
        self._live: PastFrame | None = None  # the newest real frame, None without a face
        self._outage: _Outage | None = None
        self._overlaid: _Outage | None = None
        self._plain: Image | None = None
        self._outages = 0

    @property
    def paused(self) -> str | None:
        """Why the outage shows a still marked "Video paused" instead of a talking face; None while it does not."""
        return self._outage.why_paused if self._outage else None

    @property
    def settled(self) -> bool:
        """Whether a hand-back may end: the head is where the real one is, or none is led there."""
        return self._outage is None or self._outage.hand_back is None or self._outage.hand_back.settled

    @property
    def reason(self) -> str | None:
        """Why no mouth may be painted on the real frame observed last; None when it may."""
        return self._reason

    @property
    def points(self) -> Landmarks | None:
        """Where the face is in the frame returned last, lips included, (468, 2) px; None when it shows none."""
        outage = self._outage
        if outage is not None:
            return outage.points if outage.hand_back is None else outage.hand_back.points
        if self._live is not None and self._overlaid is not None and self._fade.weight > 0.0:
            return self._overlaid.points
        return self.real_points

    @property
    def plain(self) -> Image | None:
        """The frame returned last, without its badge, to be mixed with another; None before the first."""
        return self._plain

    @property
    def real_points(self) -> Landmarks | None:
        """Where the face is in the real frame observed last, (468, 2) px; None when it has none."""
        return None if self._live is None else self._live.landmarks

    @property
    def remaining_px(self) -> float:
        """How far the head still is from its real place during the hand-back, px."""
        return self._outage.hand_back.remaining_px if self._outage and self._outage.hand_back else 0.0

    def observe(self, image: Image, media_ms: float) -> bool:
        """Track a real frame and keep it for later; return whether its face was found.

        During an outage the frame is where the head begins to move to, ahead of the hand-back.
        Frames that are not newer than the last one are ignored. A smaller frame of the same shape is enlarged to the
        size of the history, because a sender lowers its resolution just before its link gives out.
        """
        if self._observed_ms is not None and media_ms <= self._observed_ms:
            return self._face_ms is not None
        face = self._see(image, media_ms)
        if self._outage and face is not None:
            self._outage.real_points, self._outage.real_ms = face.smoothed, media_ms
        self._remember(face, media_ms)
        return face is not None

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note the loudness of the real speech at `media_ms`, dB relative to full scale."""
        self.history.hear(media_ms, level_db)

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage whose first frame is for `media_ms`; with `pose` its frames speak in place of past ones.

        Raises:
            RuntimeError: no frame was ever observed, and there is no `pose`.
        """
        if pose is not None:
            self._pose(pose, media_ms)
            return
        if self._real is None:
            raise RuntimeError("no frame was observed yet: there is nothing to show")
        self._outages += 1
        outage = self._outage = _Outage(self._real, self._reason_to_pause())
        if outage.why_paused is not None:
            return
        outage.path = path = self.history.path(seed=self._outages)
        if len(path) < _SHORT:
            outage.detour = self.history.detour(_LONG, seed=self._outages)
        outage.limit_px = natural_motion(self.history.frames)
        outage.points = self.history.frames[-1].landmarks
        wanted = self._generator.references_wanted
        outage.references = [self._features(frame) for frame in self.history.references(wanted)]
        over, self._overlaid = self._overlaid, None
        if over is not None and self._fade.weight >= 1.0:
            # The mouth shown last is a generated one: it goes on as it is.
            outage.rendered, outage.mel, outage.closed = _OPENING_FRAMES, over.mel, over.closed
            outage.points, outage.references = over.points, over.references

    def _pose(self, pose: PoseSource, media_ms: float) -> None:
        first = pose.step(media_ms)
        self._overlaid = None
        self._outage = _Outage(first.image, path=pose, limit_px=float("inf"), points=first.landmarks)
        wanted = self._generator.references_wanted
        references = pose.references(wanted) if isinstance(pose, ReferenceSource) else [first]
        self._outage.references = [self._features(frame) for frame in references]

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms` with its badge; without window or speech the mouth closes within two frames.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        if outage.hand_back is not None:
            if outage.hand_back.points is not None:
                outage.points = outage.hand_back.points
            outage.hand_back = None
        if outage.path is None:
            self._plain = self._paused_badge.draw(outage.shown)
            return self._plain
        if outage.detour is not None and outage.rendered == _SETTLED and outage.points is not None:
            outage.path, outage.detour, outage.left = outage.detour, None, (outage.shown, outage.points)
        pose = outage.path.step(media_ms)
        image, points = self._speak(outage, pose, mel_window, speech)
        outage.rendered += 1
        if outage.rendered <= _OPENING_FRAMES:
            image, points = _ease_in(pose, image, points, outage.rendered / (_OPENING_FRAMES + 1.0))
        image, points = _lead_head(outage, image, points, media_ms)
        if outage.left is not None:
            weight = smoothstep((outage.rendered - _SETTLED) / (_CROSS + 1.0))
            image = melt(*outage.left, image, points, points, weight)
            outage.left = outage.left if weight < 1.0 else None
        image = _leave_return(outage, image, points)
        outage.shown, outage.points, self._plain = image, points, image
        return self._badge.draw(image)

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way to `real_image`; at 1 it is `real_image`, untouched.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        # The engine may observe the very frame that it hands back to: it is tracked once.
        face = self._last_face
        if real_image is not self._source:
            face = self._see(real_image, media_ms)
            if self._observed_ms is not None and media_ms > self._observed_ms:
                self._remember(face, media_ms)
        assert self._real is not None
        if progress >= 1.0:
            return real_image
        if outage.hand_back is None:
            outage.hand_back = HandBack(outage.shown, outage.points, outage.limit_px)
        frame = outage.hand_back.frame(self._real, face.smoothed if face else None, progress)
        outage.back, outage.fallen, self._plain = (frame, outage.hand_back.points), 0, frame
        return (self._badge if outage.why_paused is None else self._paused_badge).draw(frame)

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Image:
        """Observe a real frame and return it with other words on its lips and the badge.

        For dubbing and translation, while the video flows; `start` goes over to past frames when it ends. A frame
        without a face in view is returned untouched; while the head is turned away or something is before the mouth,
        the picture fades to the real one. Outside an outage only.
        """
        self.observe(real_image, media_ms)
        pose, paint = self._live, self._reason is None
        if not self._fade.step(paint, media_ms, possible=pose is not None and (paint or self._overlaid is not None)):
            self._plain = real_image
            return real_image
        assert pose is not None
        if self._overlaid is None:
            wanted = self._generator.references_wanted
            self._overlaid = _Outage(real_image)
            self._overlaid.references = [self._features(frame) for frame in self.history.references(wanted)]
        image, self._overlaid.points = self._speak(self._overlaid, pose, mel_window, speech)
        self._plain = self._fade.mix(pose.image, image)
        return self._badge.draw(self._plain)

    def stop(self) -> None:
        """End the outage or the overlay; observing goes on."""
        self._outage = self._overlaid = None

    def close(self) -> None:
        """Free the tracker."""
        self._tracker.close()

    def _require(self) -> _Outage:
        if self._outage is None:
            raise RuntimeError("call start() before rendering")
        return self._outage

    def _see(self, image: Image, media_ms: float) -> TrackedFace | None:
        self._source, self._real = image, self._fit(image)
        self._last_face = self._tracker.track(self._real, media_ms)
        return self._last_face

    def _remember(self, face: TrackedFace | None, media_ms: float) -> None:
        assert self._real is not None
        self._observed_ms = media_ms
        self._reason, self._live = self._guard.why_not(self._real, face, media_ms), None
        if face is not None and face.visible:
            self._live = frame = PastFrame(
                self._real, face.smoothed, media_ms, face.opening, face.sharpness, face.yaw, face.eyes
            )
        if face is None or self._reason is not None:
            self.history.interrupt()
            if self._guard.began:
                self.history.retract(media_ms - BEFORE_MS)
            self._last_raw = None
            return
        self._face_ms = media_ms
        if self._last_raw is not None:
            frame.moved = motion(self._last_raw, face.landmarks)
        self._last_raw = face.landmarks
        self.history.add(frame, face.sequence)

    def _fit(self, image: Image) -> Image:
        last = self.history.last
        if last is None or image.shape == last.image.shape:
            return image
        (height, width), (h, w) = last.image.shape[:2], image.shape[:2]
        same_shape = abs(h * width - w * height) <= 0.02 * w * height
        # Between outages another or a larger picture starts the history anew; within one the size must stay.
        if self._outage is None and (not same_shape or h > height):
            return image
        return _resize(image, width, height)

    def _reason_to_pause(self) -> str | None:
        if self._face_ms is None or self._observed_ms is None or not len(self.history):
            return self._reason or "no face was seen yet"
        if self._reason == TURNED:
            return self._reason
        limit_ms = _COVERED_MS if self._reason == BEFORE_MOUTH else _FACE_AGE_MS
        return self._reason if self._observed_ms - self._face_ms > limit_ms else None

    def _features(self, frame: PastFrame) -> Any:
        if frame.features is not None:
            return frame.features
        features = self._generator.prepare(FaceImage(frame.image, frame.landmarks))
        self.history.keep_features(frame, features)
        return features

    def _speak(
        self, outage: _Outage, pose: PastFrame, mel: NDArray[np.float32] | None, speech: bool
    ) -> tuple[Image, Landmarks]:
        """Return the frame of `pose` with the mouth for `mel`, and its landmarks."""
        window = self._mouth(outage, mel, speech)
        patch = self._generator.generate(window, self._features(pose), outage.references)
        return self._compositor.paste(pose.image, patch, pose.landmarks), patch.landmarks

    def _mouth(self, outage: _Outage, mel: NDArray[np.float32] | None, speech: bool) -> NDArray[np.float32]:
        """Return the mel window to speak with: eased to silence when there is no speech, and back."""
        talking = speech and mel is not None
        outage.closed = min(max(outage.closed + (-_CLOSING if talking else _CLOSING), 0.0), 1.0)
        if mel is not None:
            outage.mel = mel
        if outage.mel is None:
            outage.mel = np.full((_MEL_BINS, self._generator.window.columns), SILENCE, dtype=np.float32)
        eased = outage.mel + np.float32(outage.closed) * (np.float32(SILENCE) - outage.mel)
        return np.asarray(eased, dtype=np.float32)


def _ease_in(pose: PastFrame, image: Image, points: Landmarks, weight: float) -> tuple[Image, Landmarks]:
    """Lead from the mouth of the real frames, which `pose` still shows, to the generated one; return image and face."""
    at = (pose.landmarks + np.float32(weight) * (points - pose.landmarks)).astype(np.float32)
    if float(np.abs(points - pose.landmarks).max()) > 0.5 * eye_distance(pose.landmarks):
        # A mouth this far off is a fault of the generator: warping to it would tear the face.
        at = pose.landmarks
    return melt(pose.image, pose.landmarks, image, points, at, weight), at


def _lead_head(outage: _Outage, image: Image, points: Landmarks, media_ms: float) -> tuple[Image, Landmarks]:
    """Keep the head within natural motion, and lead it towards the real one while real frames come in.

    Between outage and return, its place is that of the pose path. When real frames stop again it goes back there.
    """
    if outage.real_points is not None and media_ms - outage.real_ms > _STRAY_MS:
        outage.real_points = None
    own_px = 0.0 if outage.pose_points is None else motion(outage.pose_points, points)
    outage.pose_points = points
    if outage.points is None:
        return image, points
    if outage.real_points is None and not outage.drifted and motion(outage.points, points) <= outage.limit_px:
        return image, points
    wanted = np.zeros(points.shape)
    if outage.real_points is not None:
        wanted = head_offset(points, outage.real_points)
    offset = paced(outage.points, points, wanted, outage.limit_px, own_px)
    outage.drifted = float(np.abs(offset).max()) > 0.1
    at = (points + offset).astype(np.float32)
    return move_face(image, points, at), at


def _leave_return(outage: _Outage, image: Image, points: Landmarks) -> Image:
    """Melt the frame of a hand-back shown last into the synthetic ones; lips are at `points` from the first on."""
    if outage.back is None:
        return image
    outage.fallen += 1
    if outage.fallen > _FALL:
        outage.back = None
        return image
    (left, face), weight = outage.back, smoothstep(outage.fallen / (_FALL + 1.0))
    return dissolve(left, image, weight) if face is None else melt(left, face, image, points, points, weight)


def _resize(image: Image, width: int, height: int) -> Image:
    shrink = width < image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
