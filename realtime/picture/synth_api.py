"""The interface between the engine, which never waits, and the renderer of synthetic frames, which may be slow.

The engine talks to a `Synthesizer` (realtime/face/worker.py: a thread with one-slot mailboxes). The thread alone owns a
`FaceRenderer` (realtime/face/synth.py), which need not be thread-safe.

The life of one outage, in media time, as the renderer sees it:

1. `observe` real frames while the output is real; only the newest when it cannot keep up. `learn` from what was heard
   at them, up to half a second later.
2. `start(t)`: the first synthetic frame will be for t, about one frame interval after the last observed frame.
3. `render(window, t, speech)` for rising t, at most one per output frame; frames that finish too late are skipped.
4. `hand_back(real, t, progress)` for rising t with progress rising from above 0 to 1: pixels move from the synthetic
   pose to `real`. If the video fails again meanwhile, `render` comes next and leads on from the frame shown last.
5. `stop()`: the output is real again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from realtime.media import VideoFrame


@dataclass(frozen=True, slots=True)
class SynthJob:
    """A request for one frame.

    Attributes:
        media_ms: media time of the sound with which the frame will be shown, in ms.
        mel: float32 (80, columns), the generator's window for `media_ms`; None when the mouth must close.
        speech: whether someone speaks and the audio is genuine; False closes the mouth.
        returning_to: the real frame due at `media_ms` during the hand-back, else None.
        progress: 0 (all synthetic) to 1 (all real); only with `returning_to`.
    """

    media_ms: float
    mel: NDArray[np.float32] | None = None
    speech: bool = False
    returning_to: VideoFrame | None = None
    progress: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class HeardFrame:
    """What was heard at a real frame, to learn from how this caller's mouth follows their voice.

    Attributes:
        media_ms: time of the frame.
        window: float32 (rows, columns), the generator's window for it; None where not all of it is the caller's own
            speech, as it was sent.
    """

    media_ms: float
    window: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Learned:
    """What a renderer has learned of the caller.

    Attributes:
        seconds: own speech that it has learned from, in s.
        used: whether the mouth is made by what was learned, because it follows this caller better.
    """

    seconds: float = 0.0
    used: bool = False


@dataclass(frozen=True, slots=True)
class SynthResult:
    """A finished frame.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        media_ms: media time of its job, in ms.
        render_ms: time spent on it, in ms.
        paused: whether it is a still marked as one, because no talking face may be shown.
        settled: whether a hand-back may end after it, because the head is where the real one is.
    """

    image: Image
    media_ms: float
    render_ms: float
    paused: bool = False
    settled: bool = True


class Synthesizer(Protocol):
    """What turns jobs into synthetic frames; every method returns at once and may be called from any thread."""

    def observe(self, frame: VideoFrame) -> None:
        """Offer a real frame to tracker and history; an older one still waiting is dropped."""

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        """Offer what was heard at real frames, by rising time; what comes faster than it is learned from is dropped."""

    def begin(self, media_ms: float) -> None:
        """Prepare for an outage whose first frame is for about `media_ms`; `release` cancels it."""

    def request(self, job: SynthJob) -> None:
        """Request the frame of `job` and replace one still waiting; the first job after `release` starts an outage."""

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the finished frame with the greatest time not past `media_ms`, once; None when there is none."""

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        """Return whether `take` would return a frame with a media time of `since_ms` or later."""

    def release(self) -> None:
        """End the outage and drop jobs and results still waiting; real frames are still observed."""


class NoSynth:
    """A `Synthesizer` that makes nothing: the last frame is repeated through an outage."""

    def observe(self, frame: VideoFrame) -> None:
        """Ignore the frame."""

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        """Learn nothing."""

    def begin(self, media_ms: float) -> None:
        """Prepare nothing."""

    def request(self, job: SynthJob) -> None:
        """Ignore the job."""

    def take(self, media_ms: float) -> SynthResult | None:
        """Return None."""
        return None

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        """Return False."""
        return False

    def release(self) -> None:
        """End nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a renderer found in the newest real frame.

    Attributes:
        found: whether a face was tracked in it.
        points: landmarks of the face, (468, 2) px; None when none is in view.
        reason: why no mouth may be painted on it, in words for people; None when one may.
    """

    found: bool
    points: Landmarks | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A frame that a renderer made.

    Attributes:
        image: (H, W, 3) uint8 BGR, with the badge where it is synthetic.
        plain: the same image without the badge, to be mixed with another.
        points: landmarks of the face in it, lips included, (468, 2) px; None when it shows none.
        why: why it is a still or has no painted mouth, in words for people; None when it has one.
        settled: whether a hand-back may end after it, because the head is where the real one is.
        seen: what was found in the newest real frame, which may be this one.
    """

    image: Image
    plain: Image
    points: Landmarks | None = None
    why: str | None = None
    settled: bool = True
    seen: Seen = Seen(False, None, None)


class FaceRenderer(Protocol):
    """Render synthetic frames from past ones. Not thread-safe: one thread owns it from the first call to `close`.

    Calls come in this order: `observe` any number of times; `start`; `render`, `hand_back` and `observe` in any order;
    `stop`; then again from the beginning; `close` once, at the end.
    `learn` may come anywhere between.
    """

    def observe(self, image: Image, media_ms: float) -> Seen:
        """Track the face in `image`, keep the frame if it is useful, and return what was found in it."""

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        """Learn from what was heard at real frames, some of which were observed; return what is known by now."""

    def start(self, media_ms: float) -> None:
        """Begin an outage whose first frame is for `media_ms`.

        Raises:
            RuntimeError: there is no recent face to show.
        """

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        """Return the frame for `media_ms`, marked as synthetic; without window or speech the mouth is closed.

        `Drawn.why` is set when no talking face may be shown and the frame is a still.
        """

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        """Return a frame `progress` (0..1) of the way from the synthetic pose to `real_image`."""

    def stop(self) -> None:
        """End the outage."""

    def close(self) -> None:
        """Release all resources."""
