"""One caller's call, from packets in to blocks and frames out: a task for the sound, a task for the picture."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from models.hearing import Hearing
from realtime.clock import Clock, beat
from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.engine import Engine, EngineConfig, Output
from realtime.picture.monitor import VideoSignal, VideoState
from realtime.picture.stats import OutputStatus, Shown, ShownState
from realtime.picture.synth_api import Synthesizer
from realtime.picture.tickphase import TickPhase
from realtime.rtc.send.opus import OpusDecoder, split_frames
from realtime.speech.audio import SpeechPath, hold_for
from realtime.speech.lipsync import LipSync
from realtime.speech.playout import SpeechPlayout

_LOG = logging.getLogger(__name__)
_TIMELINE = 30_000
OPUS_DELAY_MS = 13.0
"""Opus is coded twice on the way, and each time sound comes 6.5 ms (312 samples) later than its stamp.

Pictures wait for both; what moves the lips was coded once when it is heard here.
"""
_HEARD_SAMPLES = 48_000
"""Sound heard before pictures are judged by it: until then their places are guessed."""
_SILENT_START_MS = 500.0
"""Time in ms after which somebody who is seen and not heard has no microphone, or has it muted."""
_ENGINE: Final = EngineConfig(lead_ms=-OPUS_DELAY_MS, heard_late_ms=OPUS_DELAY_MS / 2.0)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What one tick did.

    Attributes:
        at_ms: time of the tick on the clock.
        video: state of the caller's video.
        output: what was shown.
        kind: kind of the frame that was sent.
        skew_ms: that of the frame; positive when the picture is ahead of the sound.
    """

    at_ms: float
    video: VideoState
    output: Output
    kind: FrameKind
    skew_ms: float


class CallPath:
    """Run one caller's sound and picture. Everything on one event loop.

    `on_block` gets every 20 ms of sound and `on_frame` every frame at the moment it leaves; neither may block. Media
    time begins at `start_ms` when `run` begins. `source_ms` maps an audio RTP timestamp to the caller's time in ms, the
    axis of the video frames' `media_ms`.
    """

    def __init__(
        self,
        clock: Clock,
        hearing: Hearing,
        synth: Synthesizer | None,
        *,
        on_block: Callable[[AudioBlock], None],
        on_frame: Callable[[OutputFrame], None],
        source_ms: Callable[[int], float] | None = None,
        start_ms: float = 0.0,
    ) -> None:
        self._clock = clock
        self._on_block = on_block
        self._on_frame = on_frame
        self._synthesis_ms = hold_for(hearing, _ENGINE.interval_ms + _ENGINE.lead_ms + _ENGINE.heard_late_ms)
        self.speech = SpeechPath(hearing, start_ms=start_ms, on_heard=self._heard)
        self.playout = SpeechPlayout(self.speech, OpusDecoder(), source_ms=source_ms)
        self.lipsync = LipSync()
        self.engine = Engine(self.speech, synth, config=_ENGINE)
        self._phase = TickPhase(_ENGINE.interval_ms)
        self.timeline: deque[TimelineEntry] = deque(maxlen=_TIMELINE)
        self.ticks_skipped = 0
        self._concealed: deque[bool] = deque(maxlen=int(1000.0 / BLOCK_MS))
        self._seen_since_ms: float | None = None
        self._shown = Shown(clock.now_ms())

    # --- in ----------------------------------------------------------------------------------------------------------

    def audio_packet(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        """Add an Opus packet of one or two frames of 20 ms."""
        frames = split_frames(payload)
        for index, frame in enumerate(frames):
            at = (timestamp + index * BLOCK_SAMPLES) & 0xFFFFFFFF
            self.playout.push_packet(sequence, at, frame, arrival_ms, packet_frames=len(frames))
        self.engine.on_audio_packet(arrival_ms)

    def video_frame(self, frame: VideoFrame, arrival_ms: float) -> None:
        """Add a decoded frame, stamped by the caller's clock."""
        if self._seen_since_ms is None:
            self._seen_since_ms = arrival_ms
        early_ms = self.engine.on_video(frame, arrival_ms)
        self._phase.arrived(frame.media_ms)
        heard = self.playout.stats.jitterBufferEmittedCount >= _HEARD_SAMPLES
        if not self.engine.shows_real:
            self.lipsync.forget()
        elif early_ms is not None and heard:
            self.lipsync.add(self.playout.delay_ms, early_ms)

    def video_flows(self, flows: bool) -> None:
        """Note the caller's message that its video flows or rests."""
        signal = VideoSignal.VIDEO_RESUMED if flows else VideoSignal.VIDEO_PAUSED
        self.engine.on_signal(signal, self._clock.now_ms())

    # --- out ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run sound and picture until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(beat(self._clock, BLOCK_MS, self.play, self.speech.skip))
            group.create_task(self._run_video())

    def play(self, due_ms: float) -> None:
        """Play the 20 ms that are due at `due_ms`; `run` does it in time."""
        if self._seen_since_ms is not None and due_ms - self._seen_since_ms > _SILENT_START_MS:
            self.playout.begin_silent()
        ahead_ms = self._synthesis_ms if self.engine.hears_ahead else 0.0
        block = self.playout.block(due_ms, picture_ms=self.lipsync.hold_ms, synthesis_ms=ahead_ms)
        if block is not None:
            self._concealed.append(block.concealed)
            self.engine.on_playout(block, due_ms)
            self._on_block(block)

    def _heard(self, media_ms: float, source_ms: float | None) -> None:
        self.engine.on_heard(media_ms, source_ms)

    async def _run_video(self) -> None:
        interval = _ENGINE.interval_ms
        due = self._clock.now_ms()
        while True:
            await self._clock.sleep_until(due)
            due = self.tick(due)
            behind = int((self._clock.now_ms() - due) // interval)
            if behind > 0:
                self.ticks_skipped += behind
                due += behind * interval

    def tick(self, due_ms: float) -> float:
        """Show the frame that is due at `due_ms` and return when the next one is; `run` does it in time."""
        began = self._clock.now_ms()
        next_ms = due_ms + _ENGINE.interval_ms
        frame = self.engine.tick(due_ms)
        if frame is not None:
            self._on_frame(frame)
            # A synthetic person who says nothing stands still to whoever looks.
            rests = self.engine.output is Output.SYNTH and not self.engine.monitor.speech
            self._shown.note(frame.kind, ShownState.STILL if rests else ShownState(self.engine.output.value), due_ms)
            engine = self.engine
            entry = TimelineEntry(due_ms, engine.monitor.state, engine.output, frame.kind, frame.skew_ms)
            self.timeline.append(entry)
        if self.engine.real_skew_ms is not None:
            next_ms += self._phase.shown(self.engine.real_skew_ms)
        elif self.engine.output is Output.SYNTH:
            self._phase.lost()
        self.engine.stats.tick.add(self._clock.now_ms() - began)
        return next_ms

    def status(self) -> OutputStatus:
        """Return what viewers are shown at this moment."""
        now_ms = self._clock.now_ms()
        skew_ms = self.timeline[-1].skew_ms if self.timeline else 0.0
        concealed = sum(self._concealed) / max(1, len(self._concealed))
        return OutputStatus(self._shown.state, max(0.0, now_ms - self._shown.since_ms), concealed, skew_ms)

    def snapshot(self) -> dict[str, object]:
        """Return all counters, ready for JSON."""
        return {
            **self.engine.stats.snapshot(self._clock.now_ms()),
            **self.playout.snapshot(),
            "linkState": self.engine.monitor.state.value,
            "pictureDelayMs": self.lipsync.hold_ms,
            "synthesisDelayMs": self._synthesis_ms,
            "ticksSkipped": self.ticks_skipped,
        }
