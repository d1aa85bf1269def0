"""What is drawn in each mode when it is not the camera's own picture, and how one becomes another."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import eye_distance
from realtime.cam.modes import Mode
from realtime.face.badge import Badge
from realtime.face.handback import dissolve, smoothstep
from realtime.face.morph import melt
from realtime.face.posepath import PoseSource
from realtime.picture.synth_api import FaceRenderer

_FADE: Final = 10
"""Frames in which one thing becomes another."""
_WORDS: Final = 5
"""Frames in which the lips of the camera become those of the dub."""
_FAR: Final = 2.5
"""Eye distances: heads further apart dissolve, as a melt would tear the wall between them along."""
_LARGER: Final = 2.0
"""Times: of heads more unlike in size the same is true."""

_TELL_AFTER: Final = 5
"""Frames that a reason must hold before it is told: one that the tracker misses is nobody's concern."""

_Shown = tuple[Image, Landmarks | None]
"""A frame without badge, which must not move with a head, and where its face is."""


class Photo(PoseSource, Protocol):
    """Give the pose of a photo or clip, moved by the speech; `realtime.photo.portrait.Portrait` is one."""

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the speech at `media_ms` is, dB relative to full scale."""


class StageFace(FaceRenderer, Protocol):
    """Draw a person from past frames, from a pose of their own, or over real frames; `FaceSynth` is one."""

    @property
    def reason(self) -> str | None:
        """Why no mouth may be painted on the real frame observed last; None when it may."""

    @property
    def points(self) -> Landmarks | None:
        """Where the face is in the frame returned last, (468, 2) px; None when it shows none."""

    @property
    def plain(self) -> Image | None:
        """The frame returned last, without its badge."""

    @property
    def real_points(self) -> Landmarks | None:
        """Where the face is in the real frame observed last, (468, 2) px; None when it has none."""

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage, of past frames or of those of `pose`."""

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Image:
        """Return a real frame with other words on its lips; untouched where no face is to be painted."""


class Stage:
    """Draw what each mode shows: a `realtime.picture.synth_api.FaceRenderer` for one `SynthWorker`.

    `mode`, `camera` and `level_db` may be set and `why` may be read from any thread; all else belongs to the thread
    that renders. All pictures have one size.

    Attributes:
        mode: what to show.
        camera: the newest picture of the camera; None while it gives none.
        level_db: how loud the newest speech is, dB relative to full scale.
        photo: the person in the photo; None where there is none.
        why: why the picture stands, or no lips are made or could be; None while all is well.
    """

    def __init__(self, face: StageFace, photo: Photo | None = None) -> None:
        self.mode = Mode.THROUGH
        self.camera: Image | None = None
        self.level_db = -120.0
        self.photo = photo
        self.why: str | None = None
        self._why: tuple[str | None, int] = None, 0
        self._face = face
        self._badge = Badge()
        self._shown: _Shown | None = None
        """The frame made last."""
        self._seen: _Shown | None = None
        """The real frame seen last."""
        self._active: Mode | None = None
        """The mode that is drawn; None while none is."""
        self._past = False
        """Whether past frames are drawn in DUB, because the camera gives none."""
        self._left = False
        """Whether a hand-back leads away from the photo."""
        self._from: _Shown | None = None
        self._step = 0
        self._observed_ms = float("-inf")

    @property
    def settled(self) -> bool:
        """Whether a hand-back may end."""
        return self._face.settled if self._draws_past else True

    @property
    def paused(self) -> str | None:
        """Why a still is shown in place of a face; None while a face is shown."""
        return self._face.paused if self._draws_past else None

    def observe(self, image: Image, media_ms: float) -> bool:
        """Learn from a real frame, unless the person is not to be looked at now; return whether a face was found."""
        if self.mode is not Mode.THROUGH:
            if self._seen is not None:
                # Its face has hardly moved since it was looked at last. Who began with the photo was never to be seen.
                self._seen = image, self._seen[1]
            return False
        self._observed_ms = max(self._observed_ms, media_ms)
        found = self._face.observe(image, media_ms)
        self._seen = image, self._face.real_points
        self._tell(self._face.reason)
        return found

    def start(self, media_ms: float) -> None:
        """Begin to draw; RuntimeError where there is nothing to draw from."""
        self._enter(self.mode, media_ms)
        # Past frames and lips begin with the camera's own picture.
        self._leave(self._seen if self.mode is Mode.PHOTO else None)

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms` of the present mode; a change of modes melts one head into the other."""
        if self._active is not self.mode or self._left:
            self._change(media_ms)
        if self._active is Mode.DUB:
            made = self._dub(mel_window, media_ms, speech)
        else:
            if self.photo is not None and self._active is Mode.PHOTO:
                self.photo.hear(media_ms, self.level_db if speech else -120.0)
            made = self._face.render(mel_window, media_ms, speech=speech and self._active is not Mode.AWAY)
        past, dub = self._draws_past, self._active is Mode.DUB
        self._tell(self._face.paused if past else self._face.reason if dub else None)
        return self._led(made)

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way to `real_image`."""
        if progress >= 1.0:
            self._seen = real_image, self._face.real_points
            return real_image
        if self._draws_past:
            made = self._face.hand_back(real_image, media_ms, progress)
            self._shown = self._made(made)
            return made
        if self._active is Mode.DUB:
            before = self._overlay(real_image, None, media_ms, speech=False)
            if before is real_image:
                return real_image
            plain, points = self._made(before)
            self._shown = dissolve(plain, real_image, smoothstep(progress)), points
            return self._badge.draw(self._shown[0])
        return self._leave_photo(real_image, media_ms, progress)

    def stop(self) -> None:
        """End what is drawn: the output is real."""
        self._face.stop()
        self._active, self._past, self._from, self._left = None, False, None, False

    def close(self) -> None:
        """Free the face."""
        self._face.close()

    def _tell(self, why: str | None) -> None:
        self._why = why, self._why[1] + 1 if why == self._why[0] else 1
        if why is None or self._why[1] >= _TELL_AFTER:
            self.why = why

    # --- modes -------------------------------------------------------------------------------------------------------

    @property
    def _draws_past(self) -> bool:
        return self._active in (Mode.THROUGH, Mode.AWAY) or self._past

    def _enter(self, mode: Mode, media_ms: float) -> None:
        self._past = self._left = False
        if mode is Mode.PHOTO:
            if self.photo is None:
                raise RuntimeError("there is no photo")
            self._face.start(media_ms, self.photo)
        elif mode is not Mode.DUB:
            self._face.start(media_ms)
        self._active = mode

    def _change(self, media_ms: float) -> None:
        before, mode = self._active, self.mode
        if before is not None and {before, mode} == {Mode.THROUGH, Mode.AWAY}:
            # The same past frames, the mouth open or closed.
            self._active = mode
            return
        if before is not None:
            self._face.stop()
        self._enter(mode, media_ms)
        self._leave(self._shown if before is not None else None)

    def _dub(self, mel_window: NDArray[np.float32] | None, media_ms: float, speech: bool) -> Image:
        camera = self.camera
        if camera is None:
            if not self._past:
                self._face.start(media_ms)
                self._past = True
            return self._face.render(mel_window, media_ms, speech=speech)
        if self._past:
            self._face.stop()
            self._past = False
            self._leave(self._shown)
        made = self._overlay(camera, mel_window, media_ms, speech=speech)
        self._seen = camera, self._face.real_points
        self._step += 1
        if made is camera or self._from is not None or self._step > _WORDS:
            return made
        # Half a real frame is still a made one: its badge is whole.
        return self._badge.draw(dissolve(camera, self._made(made)[0], self._step / (_WORDS + 1.0)))

    def _overlay(self, image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        # Frames may have been observed ahead of the sound that leaves; one that seems older would not be looked at.
        self._observed_ms = max(media_ms, self._observed_ms + 1.0)
        return self._face.overlay(image, mel_window, self._observed_ms, speech=speech)

    # --- from one to another -----------------------------------------------------------------------------------------

    def _leave(self, shown: _Shown | None) -> None:
        self._from, self._step = shown, 0

    def _made(self, image: Image) -> _Shown:
        """Return what the face has just drawn, `image`, as something to go on from."""
        plain = self._face.plain
        return image if plain is None else plain, self._face.points

    def _led(self, image: Image) -> Image:
        """Return `image`, which the face has just drawn, on the way from what was left to it."""
        self._shown = self._made(image)
        if self._from is None:
            return image
        if self._active is not Mode.DUB:
            self._step += 1
        if self._step > _FADE or self._from[0].shape != image.shape:
            self._from = None
            return image
        self._shown = between(self._from, self._shown, smoothstep(self._step / (_FADE + 1.0)))
        return self._badge.draw(self._shown[0])

    def _leave_photo(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way from the photo shown last to `real_image`."""
        if not self._left:
            self._left, self._from, self._seen = True, self._shown, None
        self._face.observe(real_image, media_ms)
        # A face that is missed in one frame is where it was.
        points = self._face.real_points
        self._seen = real, where = real_image, points if points is not None or self._seen is None else self._seen[1]
        if self._from is None or self._from[0].shape != real.shape:
            return real_image
        self._shown = between(self._from, (real, where), smoothstep(progress))
        return self._badge.draw(self._shown[0])


def between(first: _Shown, second: _Shown, weight: float) -> _Shown:
    """Return a frame `weight` (0..1) of the way: one head that moves, or two that dissolve where that cannot be."""
    (before, old), (after, new) = first, second
    if old is None or new is None or not _near(old, new):
        return dissolve(before, after, weight), new
    at = (old + np.float32(weight) * (new - old)).astype(np.float32)
    return melt(before, old, after, new, at, weight, quick=True), at


def _near(old: Landmarks, new: Landmarks) -> bool:
    eyes = sorted((max(eye_distance(old), 1.0), max(eye_distance(new), 1.0)))
    away = float(np.linalg.norm(old.mean(0) - new.mean(0)))
    return away <= _FAR * eyes[0] and eyes[1] <= _LARGER * eyes[0]
