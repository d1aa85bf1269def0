"""The seam between the engine, which must never wait, and the renderer of synthetic frames, which takes its time.

The engine talks to a `Synthesizer` (realtime/face/worker.py: a thread with one-slot mailboxes). The thread alone owns a
`FaceRenderer` (realtime/face/synth.py), which need not be thread-safe.

The life of one outage, in media time, as the renderer sees it:

1. `observe` real frames while the output is real, newest first when it cannot keep up.
2. `start(t)`: the first synthetic frame will be for t, about one frame interval after the last observed frame.
3. `render(window, t, speech)` for rising t, at most one per output frame; frames that came too late are left out.
4. `hand_back(real, t, progress)` for rising t with progress rising from above 0 to 1: pixels move from the synthetic
   pose to `real`. When the link falls in mid-return, `render` is next: it leads away from the frame shown last.
5. `stop()`: the output is real again.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from realtime.media import VideoFrame


@dataclass(frozen=True, slots=True)
class SynthJob:
    """Ask for one frame.

    Attributes:
        media_ms: audio time in ms at which the frame will be shown.
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


@dataclass(frozen=True, slots=True)
class SynthResult:
    """Hold a finished frame.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        media_ms: that of its job.
        render_ms: time spent on it.
        paused: whether it is a still that says so, because no talking face may be shown.
        settled: whether a hand-back may end after it, because the head is where the real one is.
    """

    image: Image
    media_ms: float
    render_ms: float
    paused: bool = False
    settled: bool = True


class Synthesizer(Protocol):
    """Take frames and jobs, give results; every method returns at once and may be called from any thread."""

    def observe(self, frame: VideoFrame) -> None:
        """Offer a real frame to tracker and history; an older one still waiting is dropped."""

    def begin(self, media_ms: float) -> None:
        """Get ready for an outage whose first frame is for about `media_ms`; `release` takes it back."""

    def request(self, job: SynthJob) -> None:
        """Ask for the frame of `job`; a job still waiting is replaced; the first after `release` starts an outage."""

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the finished frame with the greatest time not past `media_ms`, once; None when there is none."""

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        """Say whether `take` would return a frame, and one of `since_ms` or later."""

    def release(self) -> None:
        """End the outage: jobs and results still waiting are dropped, observing goes on."""


class FaceRenderer(Protocol):
    """Render synthetic frames from past ones. Not thread-safe: one thread owns it from `observe` to `stop`."""

    def observe(self, image: Image, media_ms: float) -> bool:
        """Track `image` and keep it when it is worth keeping; return whether a face was found."""

    def start(self, media_ms: float) -> None:
        """Begin an outage whose first frame is for `media_ms`.

        Raises:
            RuntimeError: there is no recent face to show.
        """

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Image:
        """Return the frame for `media_ms`, marked as synthetic; without window or speech the mouth is closed."""

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Image:
        """Return a frame `progress` (0..1) of the way from the synthetic pose to `real_image`."""

    def stop(self) -> None:
        """End the outage."""

    @property
    def settled(self) -> bool:
        """Whether a hand-back may end: the head is where the real one is, or none is led there."""

    @property
    def paused(self) -> str | None:
        """Why the outage shows a still instead of a talking face; None while it does not."""

    def close(self) -> None:
        """Free what is held; called once, last."""
