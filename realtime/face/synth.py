"""Render synthetic frames of the caller: past frames move the head, speech moves the mouth.

The parts: what real frames tell (realtime/face/observer.py), how one outage is led (realtime/face/outage.py), the mouth
that speaks (realtime/face/mouth.py).
"""

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator, Image, Landmarks
from realtime.face.badge import PAUSED, Badge
from realtime.face.history import History
from realtime.face.mouth import Mouth, MouthPainter
from realtime.face.observer import Observer
from realtime.face.occlusion import Fade, OcclusionGuard
from realtime.face.outage import Outage
from realtime.face.posepath import PoseSource
from realtime.face.tracker import FaceTracker


class FaceSynth:
    """Render synthetic frames (a `FaceRenderer`, see realtime/picture/synth_api.py). One thread owns it.

    Images that are given are kept, not copied: do not write to them afterwards.
    """

    def __init__(
        self,
        generator: Generator,
        tracker: FaceTracker,
        history: History | None = None,
        guard: OcclusionGuard | None = None,
    ) -> None:
        """Work with `generator`; `tracker`, `history` and `guard` become this instance's own."""
        self.history = history if history is not None else History()
        self._observer = Observer(tracker, self.history, guard if guard is not None else OcclusionGuard())
        self._painter = MouthPainter(generator, self.history)
        self._badge, self._paused_badge = Badge(), Badge(PAUSED)
        self._outage: Outage | None = None
        self._overlaid: Mouth | None = None
        self._fade = Fade()
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
        return self._observer.reason

    @property
    def points(self) -> Landmarks | None:
        """Where the face is in the frame returned last, lips included, (468, 2) px; None when it shows none."""
        if self._outage is not None:
            return self._outage.points
        if self._observer.live is not None and self._overlaid is not None and self._fade.weight > 0.0:
            return self._overlaid.points
        return self.real_points

    @property
    def plain(self) -> Image | None:
        """The frame returned last, without its badge, to be mixed with another; None before the first."""
        return self._plain

    @property
    def real_points(self) -> Landmarks | None:
        """Where the face is in the real frame observed last, (468, 2) px; None when it has none."""
        return None if self._observer.live is None else self._observer.live.landmarks

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
        if not self._observer.is_new(media_ms):
            return self._observer.has_kept
        face = self._observer.observe(image, media_ms, keep_size=self._outage is not None)
        if self._outage is not None and face is not None:
            self._outage.draw_near(face.smoothed, media_ms)
        return face is not None

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage whose first frame is for `media_ms`; with `pose` its frames speak in place of past ones.

        Raises:
            RuntimeError: no frame was ever observed, and there is no `pose`.
        """
        if pose is not None:
            self._outage, self._overlaid = Outage.of_pose(pose, self._painter, media_ms), None
            return
        image, why = self._observer.image, self._observer.why_pause()
        if image is None:
            raise RuntimeError("no frame was observed yet: there is nothing to show")
        self._outages += 1
        if why is not None:
            self._outage = Outage(image, why)
            return
        # A generated mouth that was shown last goes on as it is.
        mouth = self._overlaid if self._fade.weight >= 1.0 else None
        self._outage = Outage.of_past(image, self.history, self._painter, self._outages, mouth)
        self._overlaid = None

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms` with its badge; without window or speech the mouth closes within two frames.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        image = outage.frame(mel_window, media_ms, speech=speech)
        if outage.why_paused is not None:
            self._plain = self._paused_badge.draw(image)
            return self._plain
        self._plain = image
        return self._badge.draw(image)

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way to `real_image`; at 1 it is `real_image`, untouched.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        face = self._observer.look(real_image, media_ms)
        if progress >= 1.0:
            return real_image
        assert self._observer.image is not None
        self._plain = outage.return_to(self._observer.image, face.smoothed if face else None, progress)
        return (self._badge if outage.why_paused is None else self._paused_badge).draw(self._plain)

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Image:
        """Observe a real frame and return it with other words on its lips and the badge.

        For dubbing and translation, while the video flows; `start` goes over to past frames when it ends. A frame
        without a face in view is returned untouched; while the head is turned away or something is before the mouth,
        the picture fades to the real one. Outside an outage only.
        """
        self.observe(real_image, media_ms)
        pose, paint = self._observer.live, self.reason is None
        if not self._fade.step(paint, media_ms, possible=pose is not None and (paint or self._overlaid is not None)):
            self._plain = real_image
            return real_image
        assert pose is not None
        if self._overlaid is None:
            self._overlaid = Mouth(self._painter, self.history.references(self._painter.references_wanted))
        image, _ = self._overlaid.speak(pose, mel_window, speech=speech)
        self._plain = self._fade.mix(pose.image, image)
        return self._badge.draw(self._plain)

    def stop(self) -> None:
        """End the outage or the overlay; observing goes on."""
        self._outage = self._overlaid = None

    def close(self) -> None:
        """Free the tracker."""
        self._observer.close()

    def _require(self) -> Outage:
        if self._outage is None:
            raise RuntimeError("call start() before rendering")
        return self._outage
