"""Render synthetic frames of the caller: past frames move the head, speech moves the mouth.

The parts: what real frames tell (realtime/face/observer.py), how one outage is led (realtime/face/outage.py), the mouth
that speaks (realtime/face/mouth.py), and what it learns of the caller (realtime/face/learning.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator, Image, Landmarks
from realtime.face.badge import PAUSED, Badge
from realtime.face.history import History
from realtime.face.learning import MouthLearning
from realtime.face.mouth import Mouth, MouthPainter
from realtime.face.observer import Observer
from realtime.face.occlusion import Fade, OcclusionGuard
from realtime.face.outage import Outage
from realtime.face.posepath import PoseSource
from realtime.face.tracker import FaceTracker
from realtime.picture.synth_api import Drawn, HeardFrame, Learned, Seen


class FaceSynth:
    """Render synthetic frames (a `FaceRenderer`, see realtime/picture/synth_api.py). One thread owns it.

    Images that are given are kept, not copied: do not write to them afterwards.
    """

    def __init__(
        self,
        generator: Generator,
        tracker: FaceTracker,
        guard: OcclusionGuard | None = None,
    ) -> None:
        """Work with `generator`; `tracker` and `guard` become this instance's own."""
        self.history = History()
        self._observer = Observer(tracker, self.history, guard if guard is not None else OcclusionGuard())
        self._painter = MouthPainter(generator, self.history)
        self._learning = MouthLearning(generator)
        self._badge, self._paused_badge = Badge(), Badge(PAUSED)
        self._outage: Outage | None = None
        self._overlaid: Mouth | None = None
        self._fade = Fade()
        self._outages = 0

    def observe(self, image: Image, media_ms: float) -> Seen:
        """Track a real frame and keep it for later; return what was found in it.

        During an outage the frame is where the head begins to move to, ahead of the hand-back.
        Frames that are not newer than the last one are ignored. A smaller frame of the same shape is enlarged to the
        size of the history, because a sender lowers its resolution just before its link gives out.
        """
        if not self._observer.is_new(media_ms):
            return self._seen(self._observer.has_kept)
        observed = self._observer.observe(image, media_ms, keep_size=self._outage is not None)
        face = observed.face
        self._learning.see(face, observed.reason, self._observer.who, media_ms)
        if self._outage is not None and face is not None:
            self._outage.draw_near(face.smoothed, media_ms)
        return self._seen(face is not None)

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        """Learn how the caller's mouth follows their voice from what was heard at real frames, by rising time.

        Frames that were observed with a face to be trusted teach; the others only say what was heard between them.
        """
        return self._learning.learn(heard)

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        """Begin an outage whose first frame is for `media_ms`; with `pose` its frames speak in place of past ones.

        Raises:
            RuntimeError: no frame was ever observed, and there is no `pose`.
        """
        self._learning.speak(own=True)
        if pose is not None:
            self._outage, self._overlaid = Outage.of_pose(pose, self._painter, media_ms), None
            return
        image, why = self._observer.last.image, self._observer.why_pause()
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

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        """Return the frame for `media_ms` with its badge; without window or speech the mouth closes within two frames.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        image = outage.frame(mel_window, media_ms, speech=speech)
        if outage.why_paused is None:
            return self._drawn(outage, self._badge.draw(image), image)
        # What a still leads over to may show its words, too.
        marked = self._paused_badge.draw(image)
        return self._drawn(outage, marked, marked)

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        """Return a frame `progress` (0..1) of the way to `real_image`; at 1 it is `real_image`, untouched.

        Raises:
            RuntimeError: called before `start`.
        """
        outage = self._require()
        real = self._observer.look(real_image, media_ms)
        if progress >= 1.0:
            return self._drawn(outage, real_image, real_image)
        assert real.image is not None
        plain = outage.return_to(real.image, real.face.smoothed if real.face else None, progress)
        badge = self._badge if outage.why_paused is None else self._paused_badge
        return self._drawn(outage, badge.draw(plain), plain)

    def overlay(
        self, real_image: Image, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool
    ) -> Drawn:
        """Observe a real frame and return it with other words on its lips and the badge.

        For dubbing and translation, while the video flows; `start` goes over to past frames when it ends. A frame
        without a face in view is returned untouched; while the head is turned away or something is before the mouth,
        the picture fades to the real one. Outside an outage only.
        """
        seen = self.observe(real_image, media_ms)
        self._learning.speak(own=False)
        pose, paint = self._observer.last.live, seen.reason is None
        if not self._fade.step(paint, media_ms, possible=pose is not None and (paint or self._overlaid is not None)):
            return Drawn(real_image, real_image, self._painted_points(seen), seen.reason, seen=seen)
        assert pose is not None
        if self._overlaid is None:
            self._overlaid = Mouth(self._painter, self.history.references(self._painter.references_wanted))
        image, _ = self._overlaid.speak(pose, mel_window, speech=speech)
        plain = self._fade.mix(pose.image, image)
        return Drawn(self._badge.draw(plain), plain, self._painted_points(seen), seen.reason, seen=seen)

    def stop(self) -> None:
        """End the outage or the overlay; observing goes on."""
        self._outage = self._overlaid = None

    def close(self) -> None:
        """Free the tracker."""
        self._observer.close()

    def _seen(self, found: bool) -> Seen:
        last = self._observer.last
        return Seen(found, None if last.live is None else last.live.landmarks, last.reason)

    def _drawn(self, outage: Outage, image: Image, plain: Image) -> Drawn:
        settled = outage.hand_back is None or outage.hand_back.settled
        seen = self._seen(self._observer.last.face is not None)
        return Drawn(image, plain, outage.points, outage.why_paused, settled, seen)

    def _painted_points(self, seen: Seen) -> Landmarks | None:
        """Return where the face is in an overlaid frame: the painted lips count while they can be seen."""
        painted = seen.points is not None and self._overlaid is not None and self._fade.weight > 0.0
        return self._overlaid.points if painted and self._overlaid is not None else seen.points

    def _require(self) -> Outage:
        if self._outage is None:
            raise RuntimeError("call start() before rendering")
        return self._outage
