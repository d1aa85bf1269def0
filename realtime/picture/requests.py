"""What the engine gives to the synthesizer and asks of it, once the sound that belongs to it is known. Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime.media import VideoFrame
from realtime.picture.synth_api import HeardFrame, NoSynth, Synthesizer, SynthJob, SynthResult

_QUICK: Final = 0.35
"""Share of an interval that rendering may take for a frame to be asked for one block of sound later."""

_UNLEARNED: Final = 50
"""Frames that wait for their sound to be heard, at most: 2 s."""


class Speech(Protocol):
    """The speech as lips hear it; `realtime.speech.audio.SpeechPath` is one."""

    def window(self, media_ms: float) -> NDArray[np.float32] | None:
        """Return the model's mel window for the frame at `media_ms`; None while its sound is not here."""

    def complete(self, media_ms: float) -> bool:
        """Return whether all the sound of the window for `media_ms` is here."""

    def speech(self, media_ms: float) -> bool:
        """Return whether lips may move at `media_ms`."""

    def heard(self, media_ms: float) -> bool:
        """Return whether all the sound of the window for `media_ms` was heard already."""

    def own_window(self, media_ms: float) -> NDArray[np.float32] | None:
        """Return the window for `media_ms`, which was heard; None where it is not the caller's speech alone."""


class SynthRequests:
    """Give a synthesizer its frames and jobs, each when its sound is known. Not thread-safe.

    Attributes:
        possible: whether there is a synthesizer; without one nothing comes.
        settled: whether a hand-back may end after the frame taken last.
    """

    def __init__(
        self,
        synth: Synthesizer | None,
        speech: Speech,
        anybody_heard: Callable[[], bool],
        *,
        interval_ms: float,
        heard_late_ms: float = 0.0,
    ) -> None:
        """Ask `synth` for lips that follow `speech`.

        Args:
            synth: the synthesizer, or None.
            speech: gives the mel windows.
            anybody_heard: whether packets of speech arrive at all; without any the mouth closes.
            interval_ms: time between ticks.
            heard_late_ms: decoder delay: the mel window of a frame is cut this much later.
        """
        self.possible = synth is not None
        self.settled = True
        self._synth, self._speech, self._anybody_heard = synth or NoSynth(), speech, anybody_heard
        self._interval_ms, self._heard_late_ms = interval_ms, heard_late_ms
        self._unseen: deque[VideoFrame] = deque(maxlen=16)
        self._seen_ms = float("-inf")
        self._unlearned: deque[float] = deque(maxlen=_UNLEARNED)
        self._makes = False
        self._render_ms = float("inf")
        self._waiting: SynthJob | None = None

    # --- real frames -------------------------------------------------------------------------------------------------

    def offer(self, frame: VideoFrame) -> None:
        """Add a real frame that has arrived; it is passed on when its own sound is heard."""
        self._unseen.append(frame)

    def heard_until(self, media_ms: float, *, observe: bool) -> None:
        """Pass on the frames up to `media_ms`, whose sound has been decoded; without `observe` drop them."""
        while self._unseen and self._unseen[0].media_ms <= media_ms:
            frame = self._unseen.popleft()
            if observe and frame.media_ms > self._seen_ms:
                self._seen_ms = frame.media_ms
                self._synth.observe(frame)
                if not self._makes:
                    self._unlearned.append(frame.media_ms)
        self._learn()

    def _learn(self) -> None:
        """Pass on what was heard at frames that were observed.

        The sound after them is not heard for their sake alone, because a network hears many frames at once for the
        price of a few.
        """
        heard = []
        while self._unlearned and self._speech.heard(self._unlearned[0] + self._heard_late_ms):
            media_ms = self._unlearned.popleft()
            heard.append(HeardFrame(media_ms, self._speech.own_window(media_ms + self._heard_late_ms)))
        if heard:
            self._synth.learn(heard)

    # --- frames to be made -------------------------------------------------------------------------------------------

    def begin(self, media_ms: float) -> None:
        """Have the synthesizer prepare for an outage whose first frame is for about `media_ms`."""
        self._stop_learning()
        self._synth.begin(media_ms)

    def request(self, media_ms: float, target: VideoFrame | None, progress: float) -> None:
        """Request the frame of `media_ms`; with `target` it is `progress` (0..1) of the way to that real frame."""
        self._stop_learning()
        job = SynthJob(media_ms, returning_to=target, progress=progress)
        # Sound that queued behind video is played as it comes, so lips hear too little ahead: another block may help.
        quick = self._render_ms < _QUICK * self._interval_ms and target is None
        if quick and not self._speech.complete(media_ms + self._heard_late_ms):
            self._waiting = job
        else:
            self._ask(job)

    def more_sound(self) -> None:
        """Send the request that was waiting for another block of sound, if there is one."""
        if self._waiting is not None:
            self._ask(self._waiting)

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the finished frame with the greatest time not past `media_ms`, once; None when there is none."""
        result = self._synth.take(media_ms)
        if result is not None:
            self._render_ms, self.settled = result.render_ms, result.settled
        return result

    def release(self) -> None:
        """End the outage, or the preparation for one, and drop all requests."""
        self._waiting = None
        self._makes = False
        self._synth.release()

    def _stop_learning(self) -> None:
        """Learn nothing until `release`: frames are made, perhaps to another voice, and are in a hurry."""
        self._makes = True
        self._unlearned.clear()

    def _ask(self, job: SynthJob) -> None:
        self._waiting = None
        heard_at_ms = job.media_ms + self._heard_late_ms
        speech = self._speech.speech(heard_at_ms) and self._anybody_heard()
        window = self._speech.window(heard_at_ms)
        self._synth.request(replace(job, mel=window, speech=speech and window is not None))
