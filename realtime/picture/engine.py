"""Choose the picture: one frame for every tick, whatever the link and the model do.

Pure: no clock, no threads of its own; times are arguments, in ms of one monotonic clock. Sound is the master. At a tick
the media time T is that of the sound leaving at this moment. What the tick after it will show is decided in
realtime/picture/switch.py: the engine gathers what is known, carries the decision out, and counts.
"""

from dataclasses import dataclass, replace
from typing import Final

from models.generator import Image
from realtime.media import AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.monitor import VideoMonitor, VideoSignal, VideoState
from realtime.picture.realframes import AxisMap, RealFrame, RealFrames
from realtime.picture.requests import Speech, SynthRequests
from realtime.picture.stats import CallStats
from realtime.picture.switch import Moment, Output, Step, Switch
from realtime.picture.synth_api import Synthesizer

__all__ = ["Engine", "EngineConfig", "Output"]

_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of the picture.

    Attributes:
        fps: frames out per second.
        hand_back_extra_ms: longest extension of a hand-back, for a head that is not home at its natural pace.
        frames_first: real frames that must have been shown before the first synthetic one.
        lead_ms: offset of the picture against the sound with the same timestamp; -13 makes up for the delay of coding
            Opus twice.
        heard_late_ms: decoder delay: the mel window of a frame is cut this much later.
        real_ahead_ms: time by which a real frame may leave before its moment; None is half an interval.
    """

    fps: float = 25.0
    hand_back_extra_ms: float = 240.0
    frames_first: int = 10
    lead_ms: float = 0.0
    heard_late_ms: float = 0.0
    real_ahead_ms: float | None = None

    @property
    def interval_ms(self) -> float:
        """Time between ticks, in ms."""
        return 1000.0 / self.fps

    @property
    def ahead_ms(self) -> float:
        """Time by which a real frame may leave before its moment, in ms."""
        return self.interval_ms / 2 if self.real_ahead_ms is None else self.real_ahead_ms


@dataclass(slots=True)
class _Playout:
    at_ms: float
    media_ms: float
    out_ms: float
    offset_ms: float | None


class Engine:
    """Choose the pictures of one call. Not thread-safe: call everything from one thread (the event loop's).

    Without `synth` an outage repeats the last frame.
    """

    def __init__(
        self,
        speech: Speech,
        synth: Synthesizer | None,
        *,
        config: EngineConfig | None = None,
    ) -> None:
        self.config = config or EngineConfig()
        self.monitor = VideoMonitor()
        self.stats = CallStats()
        self.pinned = False
        """Whether synthetic frames are shown whatever arrives; may be set at any time."""
        self.real_skew_ms: float | None = None
        """Time in ms by which the newest real frame is early at this tick, shown or not; None without a new one."""
        self._requests = SynthRequests(
            synth, speech, lambda: self.monitor.speech,
            interval_ms=self.config.interval_ms, heard_late_ms=self.config.heard_late_ms,
        )  # fmt: skip
        self._frames = RealFrames()
        self._switch = Switch(self.config.interval_ms, self.monitor.config.hand_back_ms, self.config.hand_back_extra_ms)
        self._axis = AxisMap()
        self._head_ms = 0.0
        self._playout: _Playout | None = None
        self._last_real: RealFrame | None = None
        """The real frame shown last, or that a hand-back moves to."""
        self._flowing_since_ms: float | None = None
        self._shown: Image | None = None
        self._shown_ms = 0.0
        self._due_ms = _NEVER

    @property
    def output(self) -> Output:
        """Output planned for the next tick."""
        return self._switch.output

    # --- events ------------------------------------------------------------------------------------------------------

    def on_video(self, frame: VideoFrame, arrival_ms: float) -> float | None:
        """Accept a decoded real frame; its `media_ms` is the caller's own time.

        Returns:
            The time by which it is early, in ms (negative: late); None before any sound has left.
        """
        self.monitor.on_video(arrival_ms)
        media_ms = self._axis.stamp(frame.media_ms, self._head_ms)
        t = self.media_ms(arrival_ms)
        early_ms = None if t is None else media_ms - t - self.config.lead_ms
        last = self._last_real
        if last is not None and self.output is Output.REAL and media_ms <= last.media_ms:
            return early_ms
        stamped = VideoFrame(frame.image, media_ms)
        self._frames.add(RealFrame(media_ms, stamped, frame.media_ms, arrival_ms))
        self._requests.offer(stamped)
        return early_ms

    def on_audio_packet(self, arrival_ms: float) -> None:
        """Note that a speech packet has arrived."""
        self.monitor.on_audio(arrival_ms)

    def on_signal(self, signal: VideoSignal, at_ms: float) -> None:
        """Note what the caller's program says about its video."""
        self.monitor.on_signal(signal, at_ms)

    def on_heard(self, media_ms: float, source_ms: float | None) -> None:
        """Note that a block enters the hold line at `media_ms`; its `source_ms` is None when it is concealed.

        Real frames up to that time are now passed on to the synthesizer, since their own sound is known.
        """
        self._head_ms = media_ms
        if source_ms is not None:
            self._axis.anchor(media_ms, source_ms)
        # In the hand-back the renderer is given the frames that are due; earlier ones would confuse its tracker.
        self._requests.heard_until(media_ms, observe=self.output is not Output.RETURNING)

    def on_playout(self, block: AudioBlock, at_ms: float) -> None:
        """Note that `block` leaves at `at_ms`; T is counted from it."""
        offset = self._playout.offset_ms if self._playout else None
        if block.source_ms is not None:
            offset = block.media_ms - block.source_ms
        self._playout = _Playout(at_ms, block.media_ms, block.leaves_ms, offset)
        self._requests.more_sound()

    def media_ms(self, now_ms: float) -> float | None:
        """Return T at `now_ms`: it runs on with the clock between blocks and without any; None before the first."""
        if self._playout is None:
            return None
        return self._playout.media_ms + now_ms - self._playout.at_ms

    @property
    def hears_ahead(self) -> bool:
        """Whether synthesis needs sound ahead of T, now or very soon; a video that is merely LATE does not count."""
        return not self.shows_real or self.monitor.state in (VideoState.GONE, VideoState.BACK)

    @property
    def shows_real(self) -> bool:
        """Whether only real frames have been shown since the last outage."""
        return self._switch.shows_real

    def real_due_in(self, now_ms: float) -> float | None:
        """Return the ms until the next real frame may leave, 0 for now; None while none waits or may be shown."""
        t = self.media_ms(now_ms)
        coming = self._coming
        if t is None or coming is None or not self.shows_real:
            return None
        return max(0.0, coming.media_ms - t - self.config.lead_ms - self.config.ahead_ms)

    @property
    def _coming(self) -> RealFrame | None:
        return self._frames.after(self._last_real.media_ms if self._last_real else _NEVER)

    # --- the tick ----------------------------------------------------------------------------------------------------

    def tick(self, now_ms: float) -> OutputFrame | None:
        """Return the frame for this moment; None only before the first real frame. Never waits."""
        self.monitor.tick(now_ms)
        heard_ms = self.media_ms(now_ms)
        if heard_ms is None:
            return None
        t = heard_ms + self.config.lead_ms
        due = self._frames.due(t + self.config.ahead_ms)
        self.real_skew_ms = self._skew_of(due, t)
        frame = self._synthetic(t) if self.pinned else None
        if frame is None and due is not None and self.shows_real:
            frame = self._real(due, t, now_ms)
        frame = frame or self._synthetic(t) or self._repeat(t)
        self._carry_out(self._switch.next(self._moment(t + self.config.interval_ms, now_ms)))
        if frame is None:
            return None
        self.stats.on_frame(frame.kind, now_ms, frame.skew_ms)
        assert self._playout is not None
        return replace(frame, out_ms=self._playout.out_ms + now_ms - self._playout.at_ms)

    def _real(self, due: RealFrame, t: float, now_ms: float) -> OutputFrame:
        self._frames.drop_until(due.media_ms)
        if self._switch.show_real(pinned=self.pinned):
            self._requests.release()
        if self._flowing_since_ms is not None:
            self.stats.time_to_return_ms.append(now_ms - self._flowing_since_ms)
            self._flowing_since_ms = None
        self._last_real = due
        return self._show(due.frame.image, t, self._depicted(due), FrameKind.REAL)

    def _depicted(self, frame: RealFrame) -> float:
        offset = self._playout.offset_ms if self._playout else None
        return frame.media_ms if offset is None else frame.source_ms + offset

    def _skew_of(self, due: RealFrame | None, t: float) -> float | None:
        """Return the time in ms by which `due` would be early at `t`; None when it was due at an earlier tick."""
        if due is None or due.media_ms <= self._due_ms:
            return None
        self._due_ms = due.media_ms
        return self._depicted(due) - t

    def _synthetic(self, t: float) -> OutputFrame | None:
        result = None if self.output is Output.REAL else self._requests.take(t + self.config.interval_ms / 2)
        if result is None:
            return None
        self.stats.model.add(result.render_ms)
        if self._switch.show_synthetic() and not self.pinned:
            self.stats.time_to_synth_ms.append(max(0.0, t - self._followed_ms))
        kind = FrameKind.REPEATED if result.paused else FrameKind.SYNTH
        return self._show(result.image, t, result.media_ms, kind)

    def _repeat(self, t: float) -> OutputFrame | None:
        if self._shown is None:
            return None
        return OutputFrame(self._shown, t, FrameKind.REPEATED, self._shown_ms - t)

    def _show(self, image: Image, t: float, depicted_ms: float, kind: FrameKind) -> OutputFrame:
        self._shown, self._shown_ms = image, depicted_ms
        return OutputFrame(image, t, kind, depicted_ms - t)

    # --- the tick after it -------------------------------------------------------------------------------------------

    @property
    def _followed_ms(self) -> float:
        """Media time at which the last real frame is due to be followed by another."""
        last_ms = self._last_real.media_ms if self._last_real else 0.0
        return last_ms + max(self.monitor.interval_ms, self.config.interval_ms)

    def _moment(self, next_ms: float, now_ms: float) -> Moment:
        monitor, half_ms = self.monitor, self.config.interval_ms / 2
        run_ms, coming = monitor.run_started_ms, self._coming
        return Moment(
            next_ms=next_ms,
            state=monitor.state,
            given_up=monitor.state is VideoState.GONE or monitor.given_up_at(now_ms + self.config.interval_ms),
            pinned=self.pinned,
            possible=self._requests.possible,
            ready=self.stats.frames[FrameKind.REAL] >= self.config.frames_first,
            last_ms=self._last_real.media_ms if self._last_real else None,
            followed_ms=self._followed_ms,
            coming_ms=coming.media_ms if coming else None,
            gap_ms=monitor.synth_gap_ms,
            due=self._frames.due(next_ms + half_ms),
            due_in_run=None if run_ms is None else self._frames.due(next_ms + half_ms, run_ms),
            settled=self._requests.settled,
        )

    def _carry_out(self, step: Step) -> None:
        if step.returns:
            self._flowing_since_ms = None if self._switch.was_pinned else self.monitor.flowing_since_ms
        if step.release:
            self._requests.release()
        if step.begin_ms is not None:
            self._requests.begin(step.begin_ms)
        if step.output is Output.RETURNING and step.target is not None:
            self._last_real = step.target
        if step.ask_ms is not None:
            target = step.target.frame if step.target else None
            self._requests.request(step.ask_ms, target, step.progress)
