"""One caller's call, from packets in to blocks and frames out: a task for the sound, a task for the picture."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from models.alignment import MelWindow
from realtime.audio import SpeechPath, hold_for
from realtime.clock import Clock
from realtime.engine import Engine, EngineConfig, Output
from realtime.jitter import JitterConfig, PlayoutBuffer
from realtime.link import LinkConfig, LinkMonitor, LinkSignal, LinkState
from realtime.media import BLOCK_MS, AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.rtc.opus import OpusDecoder
from realtime.stats import OutputStatus
from realtime.synth_api import Synthesizer

_LOG = logging.getLogger(__name__)
_TIMELINE = 30_000
_CATCH_UP_MS = 500.0


@dataclass(frozen=True, slots=True)
class PathConfig:
    """Set one call's parts; `hold_ms` None takes what the model's window needs."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    link: LinkConfig = field(default_factory=LinkConfig)
    jitter: JitterConfig = field(default_factory=JitterConfig)
    hold_ms: float | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Say what one tick did: its time on the clock in ms, link, output, kind of frame, skew in ms."""

    at_ms: float
    link: LinkState
    output: Output
    kind: FrameKind
    skew_ms: float


class CallPath:
    """Run one caller's sound and picture. Everything on one event loop.

    `on_block` gets every 20 ms of sound and `on_frame` every frame at the moment it leaves; neither may block. Media
    time begins at `start_ms` when `run` begins.
    """

    def __init__(
        self,
        clock: Clock,
        window: MelWindow,
        synth: Synthesizer | None,
        *,
        on_block: Callable[[AudioBlock], None],
        on_frame: Callable[[OutputFrame], None],
        config: PathConfig | None = None,
        start_ms: float = 0.0,
    ) -> None:
        self.config = config or PathConfig()
        self._clock = clock
        self._on_block = on_block
        self._on_frame = on_frame
        hold_ms = self.config.hold_ms
        if hold_ms is None:
            hold_ms = hold_for(window, self.config.engine.interval_ms)
        self.speech = SpeechPath(window, hold_ms, start_ms=start_ms)
        self.playout = PlayoutBuffer(self.config.jitter)
        self.engine = Engine(self.speech, synth, config=self.config.engine, link=LinkMonitor(self.config.link))
        self.timeline: deque[TimelineEntry] = deque(maxlen=_TIMELINE)
        self.source_ms: Callable[[int], float] | None = None
        """Maps an audio RTP timestamp to the caller's time in ms, the axis of the video frames' `media_ms`."""
        self.ticks_skipped = 0
        self._decode = OpusDecoder()
        self._usual_bytes = 0.0
        self._concealed: deque[bool] = deque(maxlen=int(1000.0 / BLOCK_MS))
        self._shown = ""
        self._shown_since_ms = clock.now_ms()

    # --- in ----------------------------------------------------------------------------------------------------------

    def audio_packet(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        """Take an Opus packet of 20 ms."""
        # Variable bit rate tells silence by size, before anything is decoded.
        silent = len(payload) < 0.5 * self._usual_bytes
        if not silent:
            self._usual_bytes += 0.05 * (len(payload) - self._usual_bytes) if self._usual_bytes else len(payload)
        self.playout.push(sequence, timestamp, payload, arrival_ms, silent=silent)
        self.engine.on_audio_packet(arrival_ms)

    def video_frame(self, frame: VideoFrame, arrival_ms: float) -> None:
        """Take a decoded frame on the caller's clock."""
        self.engine.on_video(frame, arrival_ms)

    def video_flows(self, flows: bool) -> None:
        """Take the caller's word that its video flows or rests."""
        signal = LinkSignal.VIDEO_RESUMED if flows else LinkSignal.VIDEO_PAUSED
        self.engine.on_signal(signal, self._clock.now_ms())

    # --- out ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run sound and picture until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_audio())
            group.create_task(self._run_video())

    async def _run_audio(self) -> None:
        due = self._clock.now_ms()
        while True:
            await self._clock.sleep_until(due)
            self._block(due)
            due += BLOCK_MS
            if self._clock.now_ms() - due > _CATCH_UP_MS:
                # The machine slept: what lies behind is not worth hurrying through.
                due = self._clock.now_ms()

    def _block(self, due_ms: float) -> None:
        playout = self.playout.pull(due_ms)
        samples = None if playout.payload is None else self._decode(playout.payload)
        source_ms = None
        if samples is not None and playout.timestamp is not None and self.source_ms is not None:
            source_ms = self.source_ms(playout.timestamp & 0xFFFFFFFF)
        head_ms = self.speech.head_ms
        block = self.speech.push(samples, source_ms)
        self.engine.on_heard(head_ms, source_ms, self.speech.level_db)
        self._concealed.append(samples is None)
        if block is not None:
            self.engine.on_playout(block, due_ms)
            self._on_block(block)

    async def _run_video(self) -> None:
        interval = self.config.engine.interval_ms
        due = self._clock.now_ms()
        while True:
            await self._clock.sleep_until(due)
            self._tick(due)
            due += interval
            behind = int((self._clock.now_ms() - due) // interval)
            if behind > 0:
                self.ticks_skipped += behind
                due += behind * interval

    def _tick(self, due_ms: float) -> None:
        began = self._clock.now_ms()
        frame = self.engine.tick(due_ms)
        if frame is not None:
            self._on_frame(frame)
            self._note(frame, due_ms)
            engine = self.engine
            entry = TimelineEntry(due_ms, engine.link.state, engine.output, frame.kind, frame.skew_ms)
            self.timeline.append(entry)
        self.engine.stats.tick.add(self._clock.now_ms() - began)

    def status(self) -> OutputStatus:
        """Return what viewers are shown at this moment."""
        now_ms = self._clock.now_ms()
        state = self._shown if self.timeline else "waiting"
        skew_ms = self.timeline[-1].skew_ms if self.timeline else 0.0
        concealed = sum(self._concealed) / max(1, len(self._concealed))
        return OutputStatus(state, max(0.0, now_ms - self._shown_since_ms), concealed, skew_ms)

    def _note(self, frame: OutputFrame, now_ms: float) -> None:
        shown = self.engine.output.value
        if self.engine.output is Output.SYNTH and frame.kind is FrameKind.REPEATED:
            shown = "still"
        if shown != self._shown:
            self._shown, self._shown_since_ms = shown, now_ms

    def snapshot(self) -> dict[str, object]:
        """Return all counters, ready for JSON."""
        return {
            **self.engine.stats.snapshot(self._clock.now_ms()),
            **asdict(self.playout.stats),
            "linkState": self.engine.link.state.value,
            "holdMs": self.speech.hold_ms,
            "jitterTargetMs": self.config.jitter.target_ms,
            "ticksSkipped": self.ticks_skipped,
        }
