"""Plan the next tick: whether its frame will be a real one, and what to ask the synthesizer for where it will not.

Pure. The link machine works on arrivals, which are ahead of T by the playout delay. That may be 40 ms only, so
synthesis is asked for on suspicion, and real frames still come first.
"""

from realtime.media import FrameKind, VideoFrame
from realtime.picture.engine_api import EngineConfig, Output
from realtime.picture.monitor import VideoMonitor, VideoState
from realtime.picture.realframes import RealFrame, RealFrames
from realtime.picture.requests import SynthRequests
from realtime.picture.stats import CallStats


class Switch:
    """Go over from real frames to synthetic ones and back. Not thread-safe.

    Attributes:
        output: what is planned for the next tick.
        pinned: show synthetic frames whatever arrives.
        last_real: the real frame that was shown last, or that a hand-back moves to; None before the first.
        synthetic_shown: whether a synthetic frame was shown since `output` was real.
    """

    def __init__(
        self, frames: RealFrames, requests: SynthRequests, link: VideoMonitor, stats: CallStats, config: EngineConfig
    ) -> None:
        """Choose among `frames`, which are left there, and what `requests` may bring."""
        self.output = Output.REAL
        self.pinned = False
        self.last_real: RealFrame | None = None
        self.synthetic_shown = False
        self._frames, self._requests = frames, requests
        self._link, self._stats, self._config = link, stats, config
        self._was_pinned = False
        self._target: VideoFrame | None = None
        self._progress = 0.0
        self._extra_ms = 0.0
        self._foreseen = False
        self._flowing_since_ms: float | None = None

    @property
    def shows_real(self) -> bool:
        """Return whether all that has been shown since the last outage is real."""
        return self.output is Output.REAL or not self.synthetic_shown

    @property
    def coming(self) -> RealFrame | None:
        """Return the oldest real frame after `last_real`."""
        return self._frames.after(self.last_real.media_ms if self.last_real else float("-inf"))

    # --- what was shown ----------------------------------------------------------------------------------------------

    def real_shown(self, frame: RealFrame, now_ms: float) -> None:
        """Learn that `frame` is shown at `now_ms`."""
        if self.output is not Output.REAL and not self.pinned:
            self._enter_real()
        if self._flowing_since_ms is not None:
            self._stats.time_to_return_ms.append(now_ms - self._flowing_since_ms)
            self._flowing_since_ms = None
        self.last_real = frame

    def synth_shown(self, t: float) -> None:
        """Learn that a synthetic frame is shown at the media time `t`."""
        if self.synthetic_shown:
            return
        self.synthetic_shown = True
        if not self.pinned:
            self._stats.time_to_synth_ms.append(max(0.0, t - self._followed_ms()))

    # --- what comes next ---------------------------------------------------------------------------------------------

    def next(self, t: float, now_ms: float) -> None:
        """Ask for the frame of the tick after `t` where that is not going to be a real one."""
        following = t + self._config.interval_ms
        if self.output is Output.REAL and self._hole_at(following, now_ms):
            self.output = Output.SYNTH
        if self.output is Output.REAL:
            self._foresee()
            return
        if self.output is Output.SYNTH and self.synthetic_shown:
            self._target = self._return_target(following)
            if self._target is not None:
                self.output, self._progress, self._extra_ms = Output.RETURNING, 0.0, 0.0
        if self.output is Output.RETURNING:
            self._plan_return(following)
        else:
            self._request(following)

    def _followed_ms(self) -> float:
        """Return the media time at which the last real frame was due to be followed by another."""
        last = self.last_real.media_ms if self.last_real else 0.0
        return last + max(self._link.interval_ms, self._config.interval_ms)

    def _foresee(self) -> None:
        """Let the synthesizer get ready while the last real frames are still on their way out."""
        if not self._requests.possible or self._stats.frames[FrameKind.REAL] < self._config.frames_first:
            return
        overdue = self._link.state is VideoState.SUSPECT and self.coming is None
        feared = overdue or self._link.state is VideoState.SYNTH
        if feared and not self._foreseen:
            self._requests.begin(self._followed_ms())
        elif self._foreseen and not feared:
            self._requests.release()
        self._foreseen = feared

    def _hole_at(self, following: float, now_ms: float) -> bool:
        """Say whether the picture would stand still at `following` and for longer than a late frame explains."""
        if self.pinned:
            self._was_pinned = self._requests.possible
            return self._was_pinned
        if self._stats.frames[FrameKind.REAL] < self._config.frames_first or self.last_real is None:
            return False
        if following < self._followed_ms() - self._config.interval_ms / 2:
            return False
        coming = self.coming
        if coming is None:
            # One interval early: the frame asked for now is seen then. A real one that comes first goes first.
            return self._link.state is VideoState.SYNTH or self._link.given_up_at(now_ms + self._config.interval_ms)
        if coming.media_ms <= following + self._config.interval_ms / 2:
            return False
        return coming.media_ms - self.last_real.media_ms > self._link.synth_gap_ms

    # --- the return --------------------------------------------------------------------------------------------------

    def _return_target(self, following: float) -> VideoFrame | None:
        """Return the real frame to move to when the link is good again and such a frame is due."""
        if self.pinned or self._link.state not in (VideoState.RETURNING, VideoState.REAL):
            return None
        if self._link.run_started_ms is None:
            return None
        due = self._frames.due(following + self._config.interval_ms / 2, self._link.run_started_ms)
        if due is None:
            return None
        self._flowing_since_ms = None if self._was_pinned else self._link.flowing_since_ms
        return due.frame

    def _plan_return(self, following: float) -> None:
        step = self._config.interval_ms / self._link.config.hand_back_ms
        if self.pinned or self._link.state is VideoState.SYNTH:
            # The last real frame would stand, its mouth with it, beside speech that goes on: lips follow that at once.
            self.output, self._target = Output.SYNTH, None
            self._request(following)
            return
        self._progress += step
        home = self._requests.settled or self._extra_ms >= self._config.hand_back_extra_ms
        if self._progress >= 1.0 - 1e-9 and not home:
            self._progress = 1.0 - step / 2.0
            self._extra_ms += self._config.interval_ms
        elif self._progress >= 1.0 - 1e-9:
            # Real frames follow from the next tick on; the one now due is left in the queue for it.
            self._enter_real()
            return
        due = self._frames.due(following + self._config.interval_ms / 2)
        if due is not None:
            self._target = due.frame
            self.last_real = due
        self._request(following)

    def _enter_real(self) -> None:
        self.output = Output.REAL
        self.synthetic_shown = self._foreseen = self._was_pinned = False
        self._target, self._progress = None, 0.0
        self._requests.release()

    def _request(self, media_ms: float) -> None:
        self._requests.request(media_ms, self._target, self._progress)
