"""What the engine tells and asks the synthesizer, each thing when the sound that belongs to it is known. Pure."""

from collections import deque
from dataclasses import replace
from typing import Final

from realtime.media import VideoFrame
from realtime.picture.engine_api import EngineConfig, Speech
from realtime.picture.monitor import VideoMonitor
from realtime.picture.synth_api import Synthesizer, SynthJob, SynthResult

_QUICK: Final = 0.35
"""Share of an interval that rendering may take for a frame to be asked for one block of sound later."""


class SynthRequests:
    """Talk to `synth`; without one nothing is said and nothing comes. Not thread-safe.

    Attributes:
        settled: whether a hand-back may end after the frame taken last.
    """

    def __init__(self, synth: Synthesizer | None, speech: Speech, link: VideoMonitor, config: EngineConfig) -> None:
        self.settled = True
        self._synth, self._speech, self._link, self._config = synth, speech, link, config
        self._unseen: deque[VideoFrame] = deque(maxlen=16)
        self._seen_ms = float("-inf")
        self._render_ms = float("inf")
        self._waiting: SynthJob | None = None

    @property
    def possible(self) -> bool:
        """Return whether there is a synthesizer."""
        return self._synth is not None

    # --- real frames -------------------------------------------------------------------------------------------------

    def offer(self, frame: VideoFrame) -> None:
        """Take a real frame that has come; it is passed on when its own sound is heard."""
        self._unseen.append(frame)

    def heard_until(self, media_ms: float, *, observe: bool) -> None:
        """Pass on the frames up to `media_ms`, whose sound has been decoded; without `observe` drop them."""
        if self._synth is None:
            return
        while self._unseen and self._unseen[0].media_ms <= media_ms:
            frame = self._unseen.popleft()
            if observe and frame.media_ms > self._seen_ms:
                self._seen_ms = frame.media_ms
                self._synth.observe(frame)

    # --- frames to be made -------------------------------------------------------------------------------------------

    def begin(self, media_ms: float) -> None:
        """Let the synthesizer get ready for an outage whose first frame is for about `media_ms`."""
        if self._synth is not None:
            self._synth.begin(media_ms)

    def request(self, media_ms: float, target: VideoFrame | None, progress: float) -> None:
        """Ask for the frame of `media_ms`; with `target` it is `progress` (0..1) of the way to that real frame."""
        job = SynthJob(media_ms, returning_to=target, progress=progress)
        # Sound that queued behind video is played as it comes, so lips hear too little ahead: another block may help.
        quick = self._render_ms < _QUICK * self._config.interval_ms and target is None
        if quick and not self._speech.complete(media_ms + self._config.heard_late_ms):
            self._waiting = job
        else:
            self._ask(job)

    def more_sound(self) -> None:
        """Learn that another block left: what waits for it is asked for now."""
        if self._waiting is not None:
            self._ask(self._waiting)

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the finished frame with the greatest time not past `media_ms`, once; None when there is none."""
        result = None if self._synth is None else self._synth.take(media_ms)
        if result is not None:
            self._render_ms, self.settled = result.render_ms, result.settled
        return result

    def release(self) -> None:
        """End the outage, or the getting ready for one: what was asked for is no longer wanted."""
        self._waiting = None
        if self._synth is not None:
            self._synth.release()

    def _ask(self, job: SynthJob) -> None:
        self._waiting = None
        if self._synth is None:
            return
        heard_at_ms = job.media_ms + self._config.heard_late_ms
        speech = self._speech.speech(heard_at_ms) and self._link.speech
        window = self._speech.window(heard_at_ms)
        self._synth.request(replace(job, mel=window, speech=speech and window is not None))
