"""Choose the picture: one frame for every tick, whatever the link and the model do.

Pure: no clock, no threads of its own; times are arguments, in ms of one monotonic clock. Sound is the master. At a tick
the media time T is that of the sound leaving at this moment. The link machine works on arrivals, which are ahead of T
by the playout delay. That may be 40 ms only, so synthesis is asked for on suspicion, and real frames still come first.
"""

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from realtime.link import LinkMonitor, LinkSignal, LinkState
from realtime.media import AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.realframes import AxisMap, RealFrame, RealFrames
from realtime.stats import CallStats
from realtime.synth_api import Synthesizer, SynthJob


class Speech(Protocol):
    """Tell about the speech at a media time; `realtime.audio.SpeechPath` is one."""

    def window(self, media_ms: float) -> NDArray[np.float32] | None:
        """Return the model's mel window for the frame at `media_ms`; None while its sound is not here."""

    def complete(self, media_ms: float) -> bool:
        """Say whether all the sound of the window for `media_ms` is here."""

    def speech(self, media_ms: float) -> bool:
        """Say whether lips may move at `media_ms`."""


_QUICK = 0.35
"""Share of an interval that rendering may take for a frame to be asked for one block of sound later."""


class Output(Enum):
    """What the engine shows; unlike `LinkState` it speaks of the moment T, not of the moment of arrival."""

    REAL = "real"
    SYNTH = "synth"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Set the picture.

    Attributes:
        fps: frames out per second.
        hand_back_extra_ms: how much longer a hand-back lasts, at most, for a head that is not home at its natural pace.
        frames_first: real frames that must have been shown before the first synthetic one.
        lead_ms: pictures depict a moment so much later (negative: earlier) than the sound stamped alike was said to be
            of, for what codecs add to sound.
        heard_late_ms: sound is heard here so much later than its stamp says: lips follow what is stamped later by that.
        real_ahead_ms: a real frame may leave so long before its moment; None is half an interval.
    """

    fps: float = 25.0
    hand_back_extra_ms: float = 240.0
    frames_first: int = 10
    lead_ms: float = 0.0
    heard_late_ms: float = 0.0
    real_ahead_ms: float | None = None

    @property
    def interval_ms(self) -> float:
        """Return the time between ticks."""
        return 1000.0 / self.fps


@dataclass(slots=True)
class _Playout:
    at_ms: float
    media_ms: float
    out_ms: float
    offset_ms: float | None


class Engine:
    """Run the picture of one call. Not thread-safe: everything from one thread (the event loop's).

    Without `synth` the last frame is repeated through an outage.
    """

    def __init__(
        self,
        speech: Speech,
        synth: Synthesizer | None,
        *,
        config: EngineConfig | None = None,
        link: LinkMonitor | None = None,
        stats: CallStats | None = None,
    ) -> None:
        self.config = config or EngineConfig()
        self.link = link or LinkMonitor()
        self.stats = stats or CallStats()
        self.output = Output.REAL
        self._speech = speech
        self._synth = synth
        self._frames = RealFrames()
        self._axis = AxisMap()
        self.pinned = False
        """Show synthetic frames whatever arrives; set and unset it at will."""
        self._was_pinned = False
        self._unseen: deque[VideoFrame] = deque(maxlen=16)
        self._seen_ms = float("-inf")
        self._head_ms = 0.0
        self._playout: _Playout | None = None
        self._shown: Image | None = None
        self._shown_ms = 0.0
        self._last_real: RealFrame | None = None
        self._target: VideoFrame | None = None
        self._progress = 0.0
        self._settled = True
        self._extra_ms = 0.0
        self._render_ms = float("inf")
        self._waiting_ms: float | None = None
        self._synthetic_shown = False
        self._foreseen = False
        self._flowing_since_ms: float | None = None
        self.real_skew_ms: float | None = None
        """How long before its moment the newest real frame would be shown by this tick, shown or not; None when no new
        one is due."""
        self._due_ms = float("-inf")

    # --- events ------------------------------------------------------------------------------------------------------

    def on_video(self, frame: VideoFrame, arrival_ms: float) -> float | None:
        """Take a decoded real frame; its `media_ms` is the caller's own time.

        Returns:
            How long before its moment it came, in ms (negative: late); None before any sound has left.
        """
        self.link.on_video(arrival_ms)
        media_ms = self._axis.stamp(frame.media_ms, self._head_ms)
        t = self.media_ms(arrival_ms)
        early_ms = None if t is None else media_ms - t - self.config.lead_ms
        if self._last_real is not None and self.output is Output.REAL and media_ms <= self._last_real.media_ms:
            return early_ms
        stamped = VideoFrame(frame.image, media_ms)
        self._frames.add(RealFrame(media_ms, stamped, frame.media_ms, arrival_ms))
        self._unseen.append(stamped)
        return early_ms

    def on_audio_packet(self, arrival_ms: float) -> None:
        """Take note that a speech packet arrived."""
        self.link.on_audio(arrival_ms)

    def on_signal(self, signal: LinkSignal, at_ms: float) -> None:
        """Take the caller's word about its video."""
        self.link.on_signal(signal, at_ms)

    def on_heard(self, media_ms: float, source_ms: float | None, level_db: float) -> None:
        """Learn of a block that enters the hold line at `media_ms`; the caller's time of it is None while concealed.

        Real frames are offered to the synthesizer now, when their own sound is known.
        """
        self._head_ms = media_ms
        if source_ms is not None:
            self._axis.anchor(media_ms, source_ms)
        if self._synth is None:
            return
        self._synth.hear(media_ms, level_db)
        while self._unseen and self._unseen[0].media_ms <= media_ms:
            frame = self._unseen.popleft()
            # In the hand-back the renderer is given the frames that are due; earlier ones would confuse its tracker.
            if self.output is not Output.RETURNING and frame.media_ms > self._seen_ms:
                self._seen_ms = frame.media_ms
                self._synth.observe(frame)

    def on_playout(self, block: AudioBlock, at_ms: float) -> None:
        """Learn that `block` leaves at `at_ms`: this is what T is counted from."""
        offset = self._playout.offset_ms if self._playout else None
        if block.source_ms is not None:
            offset = block.media_ms - block.source_ms
        self._playout = _Playout(at_ms, block.media_ms, block.leaves_ms, offset)
        if self._waiting_ms is not None:
            self._ask(self._waiting_ms)

    def media_ms(self, now_ms: float) -> float | None:
        """Return T at `now_ms`: it runs on with the clock between blocks and without any; None before the first."""
        if self._playout is None:
            return None
        return self._playout.media_ms + now_ms - self._playout.at_ms

    @property
    def hears_ahead(self) -> bool:
        """Return whether synthesis needs sound ahead of T, now or very soon; not on suspicion alone."""
        return not self.shows_real or self.link.state in (LinkState.SYNTH, LinkState.RETURNING)

    @property
    def shows_real(self) -> bool:
        """Return whether all that has been shown since the last outage is real."""
        return self.output is Output.REAL or not self._synthetic_shown

    def real_due_in(self, now_ms: float) -> float | None:
        """Return the ms until the next real frame may leave (0: now); None while none waits or none may be shown."""
        t = self.media_ms(now_ms)
        coming = self._frames.after(self._last_real.media_ms if self._last_real else float("-inf"))
        if t is None or coming is None or not self.shows_real:
            return None
        return max(0.0, coming.media_ms - t - self.config.lead_ms - self._real_ahead_ms)

    @property
    def _real_ahead_ms(self) -> float:
        ahead_ms = self.config.real_ahead_ms
        return self.config.interval_ms / 2 if ahead_ms is None else ahead_ms

    # --- the tick ----------------------------------------------------------------------------------------------------

    def tick(self, now_ms: float) -> OutputFrame | None:
        """Return the frame for this moment; None only before the first real frame. Never waits."""
        self.link.tick(now_ms)
        heard_ms = self.media_ms(now_ms)
        if heard_ms is None:
            return None
        t = heard_ms + self.config.lead_ms
        self.real_skew_ms = self._due_skew(t)
        frame = self._synthetic(t) if self.pinned else None
        if frame is None and self.shows_real:
            frame = self._real(t, now_ms)
        frame = frame or self._synthetic(t) or self._repeat(t)
        self._plan(t, now_ms)
        if frame is None:
            return None
        self.stats.on_frame(frame.kind, now_ms, frame.skew_ms)
        assert self._playout is not None
        return replace(frame, out_ms=self._playout.out_ms + now_ms - self._playout.at_ms)

    def _real(self, t: float, now_ms: float) -> OutputFrame | None:
        """Show the newest real frame that is due, if it is a new one."""
        due = self._frames.due(t + self._real_ahead_ms)
        if due is None:
            return None
        self._frames.drop_until(due.media_ms)
        if self.output is not Output.REAL and not self.pinned:
            self._enter_real()
        if self._flowing_since_ms is not None:
            self.stats.time_to_return_ms.append(now_ms - self._flowing_since_ms)
            self._flowing_since_ms = None
        self._last_real = due
        return self._show(due.frame.image, t, self._depicted(due), FrameKind.REAL)

    def _depicted(self, frame: RealFrame) -> float:
        offset = self._playout.offset_ms if self._playout else None
        return frame.media_ms if offset is None else frame.source_ms + offset

    def _due_skew(self, t: float) -> float | None:
        due = self._frames.due(t + self._real_ahead_ms)
        if due is None or due.media_ms <= self._due_ms:
            return None
        self._due_ms = due.media_ms
        return self._depicted(due) - t

    def _synthetic(self, t: float) -> OutputFrame | None:
        if self._synth is None or self.output is Output.REAL:
            return None
        result = self._synth.take(t + self.config.interval_ms / 2)
        if result is None:
            return None
        self.stats.model.add(result.render_ms)
        self._render_ms = result.render_ms
        self._settled = result.settled
        if not self._synthetic_shown:
            self._synthetic_shown = True
            if not self.pinned:
                self.stats.time_to_synth_ms.append(max(0.0, t - self._followed_ms()))
        kind = FrameKind.REPEATED if result.paused else FrameKind.SYNTH
        return self._show(result.image, t, result.media_ms, kind)

    def _repeat(self, t: float) -> OutputFrame | None:
        if self._shown is None:
            return None
        return OutputFrame(self._shown, t, FrameKind.REPEATED, self._shown_ms - t)

    def _show(self, image: Image, t: float, depicted_ms: float, kind: FrameKind) -> OutputFrame:
        self._shown, self._shown_ms = image, depicted_ms
        return OutputFrame(image, t, kind, depicted_ms - t)

    def _followed_ms(self) -> float:
        """Return the media time at which the last real frame was due to be followed by another."""
        last = self._last_real.media_ms if self._last_real else 0.0
        return last + max(self.link.interval_ms, self.config.interval_ms)

    # --- what comes next ---------------------------------------------------------------------------------------------

    def _plan(self, t: float, now_ms: float) -> None:
        """Ask for the frame of the next tick where that is not going to be a real one."""
        following = t + self.config.interval_ms
        if self.output is Output.REAL and self._hole_at(following, now_ms):
            self.output = Output.SYNTH
        if self.output is Output.REAL:
            self._foresee()
            return
        if self.output is Output.SYNTH and self._synthetic_shown:
            self._target = self._return_target(following)
            if self._target is not None:
                self.output, self._progress, self._extra_ms = Output.RETURNING, 0.0, 0.0
        if self.output is Output.RETURNING:
            self._plan_return(following)
        else:
            self._request(following)

    def _foresee(self) -> None:
        """Let the synthesizer get ready while the last real frames are still on their way out."""
        if self._synth is None or self.stats.frames[FrameKind.REAL] < self.config.frames_first:
            return
        last_ms = self._last_real.media_ms if self._last_real else float("-inf")
        overdue = self.link.state is LinkState.SUSPECT and self._frames.after(last_ms) is None
        feared = overdue or self.link.state is LinkState.SYNTH
        if feared and not self._foreseen:
            self._synth.begin(self._followed_ms())
        elif self._foreseen and not feared:
            self._synth.release()
        self._foreseen = feared

    def _hole_at(self, following: float, now_ms: float) -> bool:
        """Say whether the picture would stand still at `following` and for longer than a late frame explains."""
        if self.pinned:
            self._was_pinned = self._synth is not None
            return self._was_pinned
        if self.stats.frames[FrameKind.REAL] < self.config.frames_first or self._last_real is None:
            return False
        if following < self._followed_ms() - self.config.interval_ms / 2:
            return False
        coming = self._frames.after(self._last_real.media_ms)
        if coming is None:
            # One interval early: the frame asked for now is seen then. A real one that comes first goes first.
            return self.link.state is LinkState.SYNTH or self.link.given_up_at(now_ms + self.config.interval_ms)
        if coming.media_ms <= following + self.config.interval_ms / 2:
            return False
        return coming.media_ms - self._last_real.media_ms > self.link.synth_gap_ms

    def _return_target(self, following: float) -> VideoFrame | None:
        """Return the real frame to move to when the link is good again and such a frame is due."""
        if self.pinned or self.link.state not in (LinkState.RETURNING, LinkState.REAL):
            return None
        if self.link.run_started_ms is None:
            return None
        due = self._frames.due(following + self.config.interval_ms / 2, self.link.run_started_ms)
        if due is None:
            return None
        self._flowing_since_ms = None if self._was_pinned else self.link.flowing_since_ms
        return due.frame

    def _plan_return(self, following: float) -> None:
        step = self.config.interval_ms / self.link.config.hand_back_ms
        if self.pinned or self.link.state is LinkState.SYNTH:
            # The last real frame would stand, its mouth with it, beside speech that goes on: lips follow that at once.
            self.output, self._target = Output.SYNTH, None
            self._request(following)
            return
        self._progress += step
        if self._progress >= 1.0 - 1e-9 and not self._settled and self._extra_ms < self.config.hand_back_extra_ms:
            self._progress = 1.0 - step / 2.0
            self._extra_ms += self.config.interval_ms
        elif self._progress >= 1.0 - 1e-9:
            # Real frames follow from the next tick on; the one now due is left in the queue for it.
            self._enter_real()
            return
        due = self._frames.due(following + self.config.interval_ms / 2)
        if due is not None:
            self._target = due.frame
            self._last_real = due
        self._request(following)

    def _enter_real(self) -> None:
        self.output = Output.REAL
        self._synthetic_shown = self._foreseen = self._was_pinned = False
        self._target, self._progress = None, 0.0
        self._waiting_ms = None
        if self._synth is not None:
            self._synth.release()

    def _request(self, media_ms: float) -> None:
        # Sound that queued behind video is played as it comes, so lips hear too little ahead: another block may help.
        quick = self._render_ms < _QUICK * self.config.interval_ms and self._target is None
        if quick and not self._speech.complete(media_ms + self.config.heard_late_ms):
            self._waiting_ms = media_ms
        else:
            self._ask(media_ms)

    def _ask(self, media_ms: float) -> None:
        self._waiting_ms = None
        if self._synth is None:
            return
        heard_at_ms = media_ms + self.config.heard_late_ms
        speech = self._speech.speech(heard_at_ms) and self.link.speech
        window = self._speech.window(heard_at_ms)
        self._synth.request(SynthJob(media_ms, window, speech and window is not None, self._target, self._progress))
