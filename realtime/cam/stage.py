"""What is drawn in each mode when it is not the camera's own picture, and how one becomes another."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from realtime.badge import Badge
from realtime.cam.modes import Mode
from realtime.handback import dissolve, smoothstep
from realtime.posepath import PoseSource
from realtime.synth_api import FaceRenderer

_FADE: Final = 10
"""Frames in which one thing becomes another."""
_WORDS: Final = 5
"""Frames in which the lips of the camera become those of the dub."""


class Photo(PoseSource, Protocol):
    """Give the pose of a photo or clip, moved by the speech; `realtime.portrait.Portrait` is one."""

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the speech at `media_ms` is, dB relative to full scale."""


class Face(FaceRenderer, Protocol):
    """Draw a person from past frames, from a pose of their own, or over real frames; `FaceSynth` is one."""

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage, of past frames or of those of `pose`."""

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Image:
        """Return a real frame with other words on its lips; untouched where no face is to be painted."""


class Stage:
    """Draw what each mode shows: a `realtime.synth_api.FaceRenderer` for one `SynthWorker`.

    `mode`, `camera` and `level_db` may be set from any thread; all else belongs to the thread that renders. All
    pictures have one size.

    Attributes:
        mode: what to show.
        camera: the newest picture of the camera; None while it gives none.
        level_db: how loud the newest speech is, dB relative to full scale.
        photo: the person in the photo; None where there is none.
    """

    def __init__(self, face: Face, photo: Photo | None = None) -> None:
        self.mode = Mode.THROUGH
        self.camera: Image | None = None
        self.level_db = -120.0
        self.photo = photo
        self._face = face
        self._badge = Badge()
        self._shown: Image | None = None
        """The frame made last."""
        self._seen: Image | None = None
        """The real frame seen last."""
        self._active: Mode | None = None
        """The mode that is drawn; None while none is."""
        self._past = False
        """Whether past frames are drawn in DUB, because the camera gives none."""
        self._from: Image | None = None
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
        self._seen = image
        if self.mode is not Mode.THROUGH:
            return False
        self._observed_ms = max(self._observed_ms, media_ms)
        return self._face.observe(image, media_ms)

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the real speech is."""
        self._face.hear(media_ms, level_db)

    def start(self, media_ms: float) -> None:
        """Begin to draw; RuntimeError where there is nothing to draw from."""
        self._enter(self.mode, media_ms)
        # A photo has another background; past frames and lips begin with the camera's own picture.
        self._dissolve_from(self._seen if self.mode is Mode.PHOTO else None)

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms` of the present mode; a change of modes is a dissolve."""
        if self._active is not self.mode:
            self._change(media_ms)
        if self._active is Mode.DUB:
            made = self._dub(mel_window, media_ms, speech)
        else:
            if self.photo is not None and self._active is Mode.PHOTO:
                self.photo.hear(media_ms, self.level_db if speech else -120.0)
            made = self._face.render(mel_window, media_ms, speech=speech and self._active is not Mode.AWAY)
        self._shown = self._dissolved(made)
        return self._shown

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way to `real_image`."""
        self._seen = real_image
        if progress >= 1.0:
            return real_image
        if self._draws_past:
            self._shown = self._face.hand_back(real_image, media_ms, progress)
            return self._shown
        before = self._shown
        if self._active is Mode.DUB:
            before = self._overlay(real_image, None, media_ms, speech=False)
        if before is None or before is real_image or before.shape != real_image.shape:
            return real_image
        return self._marked(dissolve(before, real_image, smoothstep(progress)))

    def stop(self) -> None:
        """End what is drawn: the output is real."""
        self._face.stop()
        self._active, self._past, self._from = None, False, None

    def close(self) -> None:
        """Free the face."""
        self._face.close()

    # --- modes -------------------------------------------------------------------------------------------------------

    @property
    def _draws_past(self) -> bool:
        return self._active in (Mode.THROUGH, Mode.AWAY) or self._past

    def _enter(self, mode: Mode, media_ms: float) -> None:
        self._past = False
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
        self._dissolve_from(self._shown if before is not None else None)

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
            self._dissolve_from(self._shown)
        self._seen = camera
        made = self._overlay(camera, mel_window, media_ms, speech=speech)
        self._step += 1
        if made is camera or self._from is not None or self._step > _WORDS:
            return made
        return self._marked(dissolve(camera, made, self._step / (_WORDS + 1.0)))

    def _overlay(self, image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        # Frames may have been observed ahead of the sound that leaves; one that seems older would not be looked at.
        self._observed_ms = max(media_ms, self._observed_ms + 1.0)
        return self._face.overlay(image, mel_window, self._observed_ms, speech=speech)

    # --- from one to another -----------------------------------------------------------------------------------------

    def _dissolve_from(self, image: Image | None) -> None:
        self._from, self._step = image, 0

    def _dissolved(self, made: Image) -> Image:
        if self._from is None or self._from.shape != made.shape:
            self._from = None
            return made
        if self._active is not Mode.DUB:
            self._step += 1
        weight = smoothstep(self._step / (_FADE + 1.0))
        if self._step > _FADE:
            self._from = None
            return made
        return self._marked(dissolve(self._from, made, weight))

    def _marked(self, image: Image) -> Image:
        """Return `image` with a whole badge: half a real frame is still a made one."""
        return self._badge.draw(image)
