"""What is drawn in each mode when it is not the camera's own picture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from realtime.cam.crossing import Crossing, Shown
from realtime.cam.modes import Mode
from realtime.face.badge import Badge
from realtime.face.handback import dissolve, smoothstep
from realtime.face.posepath import PoseSource
from realtime.picture.synth_api import Drawn, FaceRenderer, HeardFrame, Learned, Seen

_WORDS: Final = 5
"""Frames in which the lips of the camera become those of the dub."""
_TELL_AFTER: Final = 5
"""Frames for which a reason must hold before it is reported: one frame that the tracker misses does not count."""
_UNSEEN: Final = Seen(False, None, None)


class Photo(PoseSource, Protocol):
    """A source of poses of a photo or clip, moved by the speech; `realtime.photo.portrait.Portrait` is one."""

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the speech at `media_ms` is, dB relative to full scale."""


class StageFace(FaceRenderer, Protocol):
    """A renderer of past frames, of poses of its own, or of new lips on real frames; `FaceSynth` is one.

    Calls come in the order of `FaceRenderer`; `overlay` outside `start` and `stop` only.
    """

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage, with past frames or with those of `pose`."""

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Drawn:
        """Return a real frame with new lips; untouched, with `why` set, where no face may be painted."""


class Stage:
    """Draw what each mode shows: a `realtime.picture.synth_api.FaceRenderer` for one `SynthWorker`.

    `mode`, `camera` and `level_db` may be set, `why` and `learned` may be read from any thread; all else belongs to the
    rendering thread. All pictures have the same size.

    Attributes:
        mode: the chosen mode.
        camera: the newest picture of the camera; None while it gives none.
        level_db: loudness of the newest speech, dB relative to full scale.
        photo: the person in the photo; None where there is none.
        why: why the picture stands still, or why no lips are or could be made, in words for people; None otherwise.
        learned: what the face has learned of the person.
    """

    def __init__(self, face: StageFace, photo: Photo | None = None) -> None:
        self.mode = Mode.THROUGH
        self.camera: Image | None = None
        self.level_db = -120.0
        self.photo = photo
        self.why: str | None = None
        self.learned = Learned()
        self._why: tuple[str | None, int] = None, 0
        self._face = face
        self._badge = Badge()
        self._shown: Shown | None = None
        """The newest synthetic frame."""
        self._real: Shown | None = None
        """The newest real frame that was shown or tracked."""
        self._found = _UNSEEN
        """What the face found in the newest real frame."""
        self._active: Mode | None = None
        """The mode that is drawn; None while the output is real."""
        self._past = False
        """Whether past frames are drawn in DUB, because the camera gives none."""
        self._left_photo = False
        """Whether a hand-back from the photo has begun."""
        self._crossing = Crossing()
        self._observed_ms = float("-inf")

    def observe(self, image: Image, media_ms: float) -> Seen:
        """Track a real frame and return what was found; other modes than THROUGH only keep the picture."""
        if self.mode is not Mode.THROUGH:
            if self._real is not None:
                # The face has hardly moved since it was tracked last. A call that began with the photo never tracks it.
                self._real = image, self._real[1]
            return _UNSEEN
        self._observed_ms = max(self._observed_ms, media_ms)
        self._found = self._face.observe(image, media_ms)
        self._real = image, self._found.points
        self._tell(self._found.reason)
        return self._found

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        """Let the face learn from what the person said, unless they are not to be looked at now."""
        if self.mode is Mode.THROUGH:
            self.learned = self._face.learn(heard)
        return self.learned

    def start(self, media_ms: float) -> None:
        """Begin to draw the chosen mode; raises RuntimeError where there is no face to draw."""
        self._enter(self.mode, media_ms)
        # Past frames and lips begin with the camera's own picture.
        self._crossing.begin(self._real if self.mode is Mode.PHOTO else None)

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        """Return the frame of the chosen mode for `media_ms`; after a change of mode one head melts into the other."""
        if self._active is not self.mode or self._left_photo:
            self._change(media_ms)
        if self._active is Mode.DUB:
            drawn = self._dub(mel_window, media_ms, speech)
        else:
            if self.photo is not None and self._active is Mode.PHOTO:
                self.photo.hear(media_ms, self.level_db if speech else -120.0)
            drawn = self._face.render(mel_window, media_ms, speech=speech and self._active is not Mode.AWAY)
        self._found = drawn.seen
        self._tell(drawn.why)
        return self._for_worker(self._led(drawn))

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        """Return a frame `progress` (0..1) of the way to `real_image`."""
        if progress >= 1.0:
            self._real = real_image, self._found.points
            return Drawn(real_image, real_image, self._found.points)
        if self._draws_past:
            drawn = self._face.hand_back(real_image, media_ms, progress)
            self._found, self._shown = drawn.seen, (drawn.plain, drawn.points)
            return drawn
        if self._active is Mode.DUB:
            drawn = self._overlay(real_image, None, media_ms, speech=False)
            if drawn.image is real_image:
                return self._for_worker(drawn)
            self._shown = dissolve(drawn.plain, real_image, smoothstep(progress)), drawn.points
            return Drawn(self._badge.draw(self._shown[0]), *self._shown)
        return self._leave_photo(real_image, media_ms, progress)

    def stop(self) -> None:
        """Stop drawing: the output is real."""
        self._face.stop()
        self._active, self._past, self._left_photo = None, False, False
        self._crossing = Crossing()

    def close(self) -> None:
        """Close the face renderer."""
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
        self._past = self._left_photo = False
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
        self._crossing.begin(self._shown if before is not None else None)

    def _dub(self, mel_window: NDArray[np.float32] | None, media_ms: float, speech: bool) -> Drawn:
        camera = self.camera
        if camera is None:
            if not self._past:
                self._face.start(media_ms)
                self._past = True
            return self._face.render(mel_window, media_ms, speech=speech)
        if self._past:
            self._face.stop()
            self._past = False
            self._crossing.begin(self._shown)
        drawn = self._overlay(camera, mel_window, media_ms, speech=speech)
        self._real = camera, drawn.seen.points
        self._crossing.frames += 1
        if drawn.image is camera or self._crossing.under_way or self._crossing.frames > _WORDS:
            return drawn
        # Half a real frame is still a made one: its badge is whole.
        mixed = dissolve(camera, drawn.plain, self._crossing.frames / (_WORDS + 1.0))
        return replace(drawn, image=self._badge.draw(mixed))

    def _overlay(self, image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        # Frames may have been observed ahead of the sound that leaves; one that seems older would not be tracked.
        self._observed_ms = max(media_ms, self._observed_ms + 1.0)
        drawn = self._face.overlay(image, mel_window, self._observed_ms, speech=speech)
        self._found = drawn.seen
        return drawn

    # --- from one to another -----------------------------------------------------------------------------------------

    def _led(self, drawn: Drawn) -> Drawn:
        """Return `drawn`, led over from the picture before it while a crossing is under way."""
        self._shown = drawn.plain, drawn.points
        if self._crossing.under_way and self._active is not Mode.DUB:
            self._crossing.frames += 1
        on_the_way = self._crossing.lead(self._shown)
        if on_the_way is None:
            return drawn
        self._shown = on_the_way
        return replace(drawn, image=self._badge.draw(on_the_way[0]), plain=on_the_way[0], points=on_the_way[1])

    def _leave_photo(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        """Return a frame `progress` (0..1) of the way from the photo shown last to `real_image`."""
        if not self._left_photo:
            self._left_photo, self._real = True, None
            self._crossing.begin(self._shown)
        self._found = self._face.observe(real_image, media_ms)
        # A face that the tracker misses in one frame is taken to be where it was.
        points = self._found.points
        self._real = real_image, points if points is not None or self._real is None else self._real[1]
        on_the_way = self._crossing.part_of(self._real, progress)
        if on_the_way is None:
            return Drawn(real_image, *self._real)
        self._shown = on_the_way
        return Drawn(self._badge.draw(on_the_way[0]), *on_the_way)

    def _for_worker(self, drawn: Drawn) -> Drawn:
        """Return `drawn` for the worker: only frames made of past ones can be stills or leave a hand-back unsettled."""
        return drawn if self._draws_past else replace(drawn, why=None, settled=True)
