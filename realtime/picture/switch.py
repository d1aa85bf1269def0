"""Decide, tick by tick, whether real pictures are shown or synthetic ones, and how one leads to the other.

Pure, and without anything to hold on to: what is known comes in as a `Moment`, what is to be done goes out as a `Step`.
The monitor judges arrivals, which are ahead of T by the playout delay. That may be 40 ms only, so synthesis is asked
for on suspicion, and real frames still come first.
"""

from dataclasses import dataclass
from enum import Enum

from realtime.picture.monitor import VideoState
from realtime.picture.realframes import RealFrame


class Output(Enum):
    """What is shown; unlike `VideoState` it is about the moment T, not about the moment of arrival."""

    REAL = "real"
    SYNTH = "synth"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is known when the next tick is planned; media times in ms.

    Attributes:
        next_ms: media time of the next tick.
        state: the monitor's verdict on the arrivals.
        given_up: whether the video is given up, or will be by the next tick unless a frame arrives.
        pinned: whether synthetic frames are wanted whatever arrives.
        possible: whether there is a synthesizer.
        ready: whether enough real frames have been shown for a synthetic one.
        last_ms: media time of the real frame shown last, or moved to; None before the first.
        followed_ms: media time at which that frame is due to be followed by another.
        coming_ms: media time of the oldest real frame after it; None when none waits.
        gap_ms: gap between real frames that is bridged.
        due: the newest real frame due at the next tick.
        due_in_run: the same among the frames that have arrived without a break since the last outage.
        settled: whether a hand-back may end, because the head is where the real one is.
    """

    next_ms: float
    state: VideoState
    given_up: bool = False
    pinned: bool = False
    possible: bool = True
    ready: bool = True
    last_ms: float | None = None
    followed_ms: float = 0.0
    coming_ms: float | None = None
    gap_ms: float = 100.0
    due: RealFrame | None = None
    due_in_run: RealFrame | None = None
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done before the next tick.

    Attributes:
        output: what the next tick shows.
        ask_ms: media time of the synthetic frame to ask for; None when none is wanted.
        target: the real frame that it is on the way to; None outside a hand-back.
        progress: part of that way, 0..1.
        begin_ms: media time of the first frame of an outage to get ready for; None when there is none to fear.
        release: whether what was asked for is no longer wanted.
        returns: whether a hand-back begins with this step.
    """

    output: Output
    ask_ms: float | None = None
    target: RealFrame | None = None
    progress: float = 0.0
    begin_ms: float | None = None
    release: bool = False
    returns: bool = False


class Switch:
    """Go over from real frames to synthetic ones and back. Not thread-safe.

    Attributes:
        output: what is planned for the next tick.
        synthetic_shown: whether a synthetic frame was shown since `output` was real.
        was_pinned: whether the outage began because synthetic frames were wanted.
    """

    def __init__(self, interval_ms: float, hand_back_ms: float, hand_back_extra_ms: float) -> None:
        """Plan for ticks every `interval_ms`; a hand-back lasts `hand_back_ms`, with the extra at most, all in ms."""
        self.output = Output.REAL
        self.synthetic_shown = False
        self.was_pinned = False
        self._interval_ms = interval_ms
        self._step = interval_ms / hand_back_ms
        self._most_extra_ms = hand_back_extra_ms
        self._target: RealFrame | None = None
        self._progress = 0.0
        self._extra_ms = 0.0
        self._foreseen = False

    @property
    def shows_real(self) -> bool:
        """Whether only real frames have been shown since the last outage."""
        return self.output is Output.REAL or not self.synthetic_shown

    def show_real(self, *, pinned: bool) -> bool:
        """Note that a real frame is shown; return whether what was asked for is no longer wanted."""
        if self.output is Output.REAL or pinned:
            return False
        self._enter_real()
        return True

    def show_synthetic(self) -> bool:
        """Note that a synthetic frame is shown; return whether it is the first of its outage."""
        first, self.synthetic_shown = not self.synthetic_shown, True
        return first

    def next(self, now: Moment) -> Step:
        """Return what to do for the next tick."""
        if self.output is Output.REAL and self._stands_still(now):
            self.output = Output.SYNTH
        if self.output is Output.REAL:
            return self._foresee(now)
        returns = self.output is Output.SYNTH and self.synthetic_shown and self._may_return(now)
        if returns:
            self.output, self._target = Output.RETURNING, now.due_in_run
            self._progress = self._extra_ms = 0.0
        step = self._return(now) if self.output is Output.RETURNING else self._ask(now)
        return Step(step.output, step.ask_ms, step.target, step.progress, release=step.release, returns=returns)

    def _foresee(self, now: Moment) -> Step:
        """Have the synthesizer prepare while the last real frames are still to be shown."""
        if not now.possible or not now.ready:
            return Step(Output.REAL)
        overdue = now.state is VideoState.LATE and now.coming_ms is None
        feared = overdue or now.state is VideoState.GONE
        before, self._foreseen = self._foreseen, feared
        begin_ms = now.followed_ms if feared and not before else None
        return Step(Output.REAL, begin_ms=begin_ms, release=before and not feared)

    def _stands_still(self, now: Moment) -> bool:
        """Return whether the picture would stand still at the next tick, for longer than a late frame explains."""
        if now.pinned:
            self.was_pinned = now.possible
            return now.possible
        if not now.ready or now.last_ms is None or now.next_ms < now.followed_ms - self._interval_ms / 2:
            return False
        if now.coming_ms is None:
            # One interval early: the frame asked for now is seen then. A real one that comes first goes first.
            return now.given_up
        if now.coming_ms <= now.next_ms + self._interval_ms / 2:
            return False
        return now.coming_ms - now.last_ms > now.gap_ms

    def _may_return(self, now: Moment) -> bool:
        good = now.state in (VideoState.BACK, VideoState.GOOD)
        return not now.pinned and good and now.due_in_run is not None

    def _return(self, now: Moment) -> Step:
        if now.pinned or now.state is VideoState.GONE:
            # The last real frame would stand, its mouth with it, beside speech that goes on: lips follow that at once.
            self.output, self._target = Output.SYNTH, None
            return self._ask(now)
        self._progress += self._step
        there = self._progress >= 1.0 - 1e-9
        if there and (now.settled or self._extra_ms >= self._most_extra_ms):
            # Real frames follow from the next tick on; the one now due is left in the queue for it.
            self._enter_real()
            return Step(Output.REAL, release=True)
        if there:
            self._progress = 1.0 - self._step / 2.0
            self._extra_ms += self._interval_ms
        self._target = now.due or self._target
        return self._ask(now)

    def _ask(self, now: Moment) -> Step:
        return Step(self.output, now.next_ms, self._target, self._progress if self._target else 0.0)

    def _enter_real(self) -> None:
        self.output = Output.REAL
        self.synthetic_shown = self._foreseen = self.was_pinned = False
        self._target, self._progress = None, 0.0
