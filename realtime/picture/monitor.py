"""Judge from arrivals alone whether the caller's video can be shown: GOOD, LATE, GONE, BACK.

Pure: times come in as arguments, in ms of one monotonic clock. The enemy is the freeze of W3C webrtc-stats, a gap of
max(3 d, d + 150 ms) for a mean frame interval d; `VideoMonitor.synth_gap_ms` stays under it for every d.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum


class VideoState(Enum):
    """What the arrivals say of the caller's video.

    The values are those of the node's snapshot (`linkState`) and of the demonstration's records.
    """

    GOOD = "real"
    LATE = "suspect"
    GONE = "synth"
    BACK = "returning"


class VideoSignal(Enum):
    """What the caller's own program says about its video, over the data channel."""

    VIDEO_PAUSED = "video-paused"
    VIDEO_RESUMED = "video-resumed"


@dataclass(frozen=True, slots=True)
class VideoMonitorConfig:
    """Limits of the monitor; times in ms.

    Attributes:
        frame_interval_ms: expected frame interval until it has been learned from arrivals.
        suspect_intervals: intervals after which a frame is overdue.
        synth_gap_ms: gap that starts synthesis, 100 to 120; 2 intervals for sources slower than 20 frames a second.
        return_frames: frames that must have arrived before the video counts as back.
        return_window_ms: time within which those frames must have arrived; longer for slow sources.
        return_gap_ms: largest gap between two of those frames; 2 intervals for slow sources.
        return_span_ms: least time from the first to the last of those frames, so that one burst is not enough.
        slow_frames_per_s: frames within one second with which a source that comes back slower may return.
        hand_back_ms: length of BACK and of the hand-back: 12 frames keep a head that moved 0.2 eye distances unseen
            within its natural motion, 8 do not.
        fall_back_gap_ms: gap that ends BACK; frames that wait for their sound bridge it.
        audio_gone_ms: time without audio after which nobody is heard.
    """

    frame_interval_ms: float = 40.0
    suspect_intervals: float = 1.5
    synth_gap_ms: float = 100.0
    return_frames: int = 6
    return_window_ms: float = 300.0
    return_gap_ms: float = 100.0
    return_span_ms: float = 100.0
    slow_frames_per_s: int = 10
    hand_back_ms: float = 480.0
    fall_back_gap_ms: float = 150.0
    audio_gone_ms: float = 300.0

    def __post_init__(self) -> None:
        """Refuse limits that would let a freeze through or make the state flap."""
        if not 100.0 <= self.synth_gap_ms <= 120.0:
            raise ValueError(f"synth_gap_ms is {self.synth_gap_ms}; use 100 to 120 (a freeze counts from 150 ms on)")
        if self.return_frames < 2 or self.hand_back_ms <= 0 or self.return_span_ms <= 0:
            raise ValueError("return_frames must be at least 2, hand_back_ms and return_span_ms more than 0")


INTERVAL_RANGE_MS = (10.0, 200.0)
_GAPS_KEPT = 30
_SLOW_WINDOW_MS = 1000.0
_SLOW_GAP_MS = 150.0
_FLOW_GAP_MS = 500.0


class VideoMonitor:
    """Judge one caller's video by its arrivals.

    Feed it every event as it happens and `tick` at least once per output frame. A time earlier than one already seen
    counts as that one, so any order of events is safe. Not thread-safe.
    """

    def __init__(self, config: VideoMonitorConfig | None = None) -> None:
        self.config = config or VideoMonitorConfig()
        self.state = VideoState.GOOD
        self.since_ms = float("-inf")
        """When the present state began."""
        self.run_started_ms: float | None = None
        """Arrival of the first frame of the present unbroken run of frames; None before any frame."""
        self.flowing_since_ms: float | None = None
        """Arrival of the first frame since the last outage began, unless nothing came for half a second after it."""
        self._now = float("-inf")
        self._video: float | None = None
        self._audio: float | None = None
        self._gaps: deque[float] = deque(maxlen=_GAPS_KEPT)
        self._run: deque[float] = deque(maxlen=64)

    @property
    def interval_ms(self) -> float:
        """Mean interval of the last 30 frames while the video was good, 10 to 200 ms; the expected one before any."""
        if not self._gaps:
            return self.config.frame_interval_ms
        return min(max(sum(self._gaps) / len(self._gaps), INTERVAL_RANGE_MS[0]), INTERVAL_RANGE_MS[1])

    @property
    def synth_gap_ms(self) -> float:
        """Gap in ms after which synthesis starts; always less than max(3 d, d + 150 ms) for the mean interval d."""
        return max(self.config.synth_gap_ms, 2.0 * self.interval_ms)

    @property
    def speech(self) -> bool:
        """Whether anyone can be heard: audio has arrived within `audio_gone_ms` of the last event."""
        return self._audio is not None and self._now - self._audio <= self.config.audio_gone_ms

    def given_up_at(self, at_ms: float) -> bool:
        """Return whether the video will be given up by `at_ms` if no frame arrives until then."""
        return self._video is not None and at_ms - self._video >= self.synth_gap_ms

    def on_video(self, arrival_ms: float) -> None:
        """Count a decoded real frame that arrived at `arrival_ms`."""
        self.tick(arrival_ms)
        gap = None if self._video is None else self._now - self._video
        self._video = self._now
        self._extend_run(gap)
        if self.flowing_since_ms is None or (gap is not None and gap > _FLOW_GAP_MS):
            self.flowing_since_ms = self._now
        if self.state in (VideoState.GOOD, VideoState.LATE):
            if gap is not None:
                self._gaps.append(gap)
            self._enter(VideoState.GOOD)
        elif self.state is VideoState.GONE and self._steady():
            self._learn_run()
            self._enter(VideoState.BACK)

    def on_audio(self, arrival_ms: float) -> None:
        """Count an audio packet that arrived at `arrival_ms`."""
        self.tick(arrival_ms)
        self._audio = self._now

    def on_signal(self, signal: VideoSignal, at_ms: float) -> None:
        """Note a signal: a pause starts synthesis at once while speech arrives; a resume alone changes nothing."""
        self.tick(at_ms)
        if signal is VideoSignal.VIDEO_PAUSED and self._video is not None and self.speech:
            self._enter(VideoState.GONE)

    def tick(self, now_ms: float) -> None:
        """Advance to `now_ms` and change the state where a limit has passed."""
        self._now = max(self._now, now_ms)
        if self._video is None:
            return
        gap = self._now - self._video
        if self.state is VideoState.BACK:
            if gap >= max(self.config.fall_back_gap_ms, self._return_gap_ms):
                self._enter(VideoState.GONE)
            elif self._now - self.since_ms >= self.config.hand_back_ms:
                self._enter(VideoState.GOOD)
        if self.state is VideoState.GOOD and gap > self.config.suspect_intervals * self.interval_ms:
            self._enter(VideoState.LATE)
        if self.state is VideoState.LATE and gap >= self.synth_gap_ms:
            self._enter(VideoState.GONE)

    @property
    def _return_gap_ms(self) -> float:
        return max(self.config.return_gap_ms, 2.0 * self.interval_ms)

    def _enter(self, state: VideoState) -> None:
        if state is self.state:
            return
        before, self.state = self.state, state
        self.since_ms = self._now
        if state is VideoState.GONE:
            # Frames from before the outage say nothing about the link after it.
            self._run.clear()
            if before is not VideoState.BACK:
                self.flowing_since_ms = None

    def _extend_run(self, gap: float | None) -> None:
        if gap is None or gap > max(self._return_gap_ms, _SLOW_GAP_MS) or not self._run:
            self._run.clear()
            self.run_started_ms = self._now
        self._run.append(self._now)

    def _steady(self) -> bool:
        wanted = self.config.return_frames
        window = max(self.config.return_window_ms, 1.5 * (wanted - 1) * self.interval_ms)
        recent = [t for t in self._run if t >= self._now - window]
        if len(recent) < wanted or recent[-1] - recent[0] < self.config.return_span_ms:
            return self._steady_but_slow()
        return max(b - a for a, b in zip(recent, recent[1:], strict=False)) <= self._return_gap_ms

    def _steady_but_slow(self) -> bool:
        recent = [t for t in self._run if t >= self._now - _SLOW_WINDOW_MS]
        lasted = self._now - self._run[0] >= _SLOW_WINDOW_MS - _SLOW_GAP_MS
        spread = recent[-1] - recent[0] >= _SLOW_WINDOW_MS / 2
        return lasted and spread and len(recent) >= self.config.slow_frames_per_s

    def _learn_run(self) -> None:
        """Adopt the returning source's interval, so that a slower source is not given up at its first gap."""
        gaps = [b - a for a, b in zip(self._run, list(self._run)[1:], strict=False)]
        self._gaps.clear()
        self._gaps.extend(gaps[-_GAPS_KEPT:])
