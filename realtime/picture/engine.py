"""Choose the picture: one frame for every tick, whatever the link and the model do.

Pure: no clock, no threads of its own; times are arguments, in ms of one monotonic clock. Sound is the master. At a tick
the media time T is that of the sound leaving at this moment. What the tick after it will show is planned in
realtime/picture/switch.py.
"""

from dataclasses import dataclass, replace

from models.generator import Image
from realtime.media import AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.engine_api import EngineConfig, Output, Speech
from realtime.picture.monitor import VideoMonitor, VideoSignal, VideoState
from realtime.picture.realframes import AxisMap, RealFrame, RealFrames
from realtime.picture.requests import SynthRequests
from realtime.picture.stats import CallStats
from realtime.picture.switch import Switch
from realtime.picture.synth_api import Synthesizer

__all__ = ["Engine", "EngineConfig", "Output"]


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
        link: VideoMonitor | None = None,
        stats: CallStats | None = None,
    ) -> None:
        self.config = config or EngineConfig()
        self.link = link or VideoMonitor()
        self.stats = stats or CallStats()
        self._requests = SynthRequests(synth, speech, self.link, self.config)
        self._frames = RealFrames()
        self._plan = Switch(self._frames, self._requests, self.link, self.stats, self.config)
        self._axis = AxisMap()
        self._head_ms = 0.0
        self._playout: _Playout | None = None
        self._shown: Image | None = None
        self._shown_ms = 0.0
        self._due_ms = float("-inf")
        self.real_skew_ms: float | None = None
        """How long before its moment the newest real frame would be shown by this tick, shown or not; None when no new
        one is due."""

    @property
    def output(self) -> Output:
        """Return what is shown, or will be from the next tick on."""
        return self._plan.output

    @property
    def pinned(self) -> bool:
        """Show synthetic frames whatever arrives; set and unset it at will."""
        return self._plan.pinned

    @pinned.setter
    def pinned(self, pinned: bool) -> None:
        self._plan.pinned = pinned

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
        last = self._plan.last_real
        if last is not None and self.output is Output.REAL and media_ms <= last.media_ms:
            return early_ms
        stamped = VideoFrame(frame.image, media_ms)
        self._frames.add(RealFrame(media_ms, stamped, frame.media_ms, arrival_ms))
        self._requests.offer(stamped)
        return early_ms

    def on_audio_packet(self, arrival_ms: float) -> None:
        """Take note that a speech packet arrived."""
        self.link.on_audio(arrival_ms)

    def on_signal(self, signal: VideoSignal, at_ms: float) -> None:
        """Take the caller's word about its video."""
        self.link.on_signal(signal, at_ms)

    def on_heard(self, media_ms: float, source_ms: float | None) -> None:
        """Learn of a block that enters the hold line at `media_ms`; the caller's time of it is None while concealed.

        Real frames are offered to the synthesizer now, when their own sound is known.
        """
        self._head_ms = media_ms
        if source_ms is not None:
            self._axis.anchor(media_ms, source_ms)
        # In the hand-back the renderer is given the frames that are due; earlier ones would confuse its tracker.
        self._requests.heard_until(media_ms, observe=self.output is not Output.RETURNING)

    def on_playout(self, block: AudioBlock, at_ms: float) -> None:
        """Learn that `block` leaves at `at_ms`: this is what T is counted from."""
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
        """Return whether synthesis needs sound ahead of T, now or very soon; not on suspicion alone."""
        return not self.shows_real or self.link.state in (VideoState.SYNTH, VideoState.RETURNING)

    @property
    def shows_real(self) -> bool:
        """Return whether all that has been shown since the last outage is real."""
        return self._plan.shows_real

    def real_due_in(self, now_ms: float) -> float | None:
        """Return the ms until the next real frame may leave (0: now); None while none waits or none may be shown."""
        t = self.media_ms(now_ms)
        coming = self._plan.coming
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
        due = self._frames.due(t + self._real_ahead_ms)
        self.real_skew_ms = self._skew_of(due, t)
        frame = self._synthetic(t) if self.pinned else None
        if frame is None and due is not None and self.shows_real:
            frame = self._real(due, t, now_ms)
        frame = frame or self._synthetic(t) or self._repeat(t)
        self._plan.next(t, now_ms)
        if frame is None:
            return None
        self.stats.on_frame(frame.kind, now_ms, frame.skew_ms)
        assert self._playout is not None
        return replace(frame, out_ms=self._playout.out_ms + now_ms - self._playout.at_ms)

    def _real(self, due: RealFrame, t: float, now_ms: float) -> OutputFrame:
        self._frames.drop_until(due.media_ms)
        self._plan.real_shown(due, now_ms)
        return self._show(due.frame.image, t, self._depicted(due), FrameKind.REAL)

    def _depicted(self, frame: RealFrame) -> float:
        offset = self._playout.offset_ms if self._playout else None
        return frame.media_ms if offset is None else frame.source_ms + offset

    def _skew_of(self, due: RealFrame | None, t: float) -> float | None:
        """Return how long before its moment `due` would be shown at `t`; None when it was due before."""
        if due is None or due.media_ms <= self._due_ms:
            return None
        self._due_ms = due.media_ms
        return self._depicted(due) - t

    def _synthetic(self, t: float) -> OutputFrame | None:
        result = None if self.output is Output.REAL else self._requests.take(t + self.config.interval_ms / 2)
        if result is None:
            return None
        self.stats.model.add(result.render_ms)
        self._plan.synth_shown(t)
        kind = FrameKind.REPEATED if result.paused else FrameKind.SYNTH
        return self._show(result.image, t, result.media_ms, kind)

    def _repeat(self, t: float) -> OutputFrame | None:
        if self._shown is None:
            return None
        return OutputFrame(self._shown, t, FrameKind.REPEATED, self._shown_ms - t)

    def _show(self, image: Image, t: float, depicted_ms: float, kind: FrameKind) -> OutputFrame:
        self._shown, self._shown_ms = image, depicted_ms
        return OutputFrame(image, t, kind, depicted_ms - t)
