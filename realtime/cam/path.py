"""A local call from devices to devices: camera pictures and sound in, pictures and sound out, one clock.

Pure: times are arguments, in ms of the monotonic clock that devices stamp with; nothing here waits. Real pictures leave
when they come, or as soon as their sound is near enough; while none come, a timer takes over.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.hearing import Hearing
from realtime.cam.beat import Beat
from realtime.cam.late import LateFrames
from realtime.cam.modes import RULES, Mode, Voice
from realtime.cam.output import CamStatus, Picture
from realtime.cam.sound import LocalSound
from realtime.devices.api import CameraFrame, Pixels
from realtime.media import FrameKind, VideoFrame
from realtime.picture.engine import Engine, EngineConfig, Output
from realtime.picture.monitor import VideoState
from realtime.picture.stats import Quantiles, Shown, ShownState
from realtime.picture.synth_api import Learned, Synthesizer
from realtime.speech.audio import SpeechPath, hold_for
from realtime.speech.conceal import Block
from realtime.speech.voice import MouthGate

_KEPT = 40
_RATE_MS = 2000.0
_REPEAT_MS = 150.0
"""Interval in ms at which a picture that stands still is sent again: a program that has just opened the camera must
see something."""
_CARD_MS = 700.0
_SINK_MOST_MS = 40.0
"""Most of the virtual microphone's own delay, in ms, that pictures wait for."""
_SINK_FOLLOW = 0.02


class Staged(Protocol):
    """The settings of what draws synthetic frames; `realtime.cam.stage.Stage` is one."""

    mode: Mode
    camera: NDArray[np.uint8] | None
    level_db: float
    why: str | None
    learned: Learned


@dataclass(frozen=True, slots=True)
class CamConfig:
    """Settings of a local call.

    Attributes:
        fps: nominal rate of the camera, and the rate of pictures while it gives none.
        ahead_ms: lead of a real picture over its sound, in ms, up to which it may leave.
        hears_us: whether others hear the sound that leaves here. If not, they hear the microphone itself: real pictures
            wait for nothing, and synthetic ones are late.
    """

    fps: float = 25.0
    ahead_ms: float = 30.0
    hears_us: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Came:
    image: NDArray[np.uint8]
    i420: Pixels | None
    at_ms: float


class CamPath:
    """Run the sound and the picture of a local call. Call everything from one thread.

    Call `play` every 20 ms and `tick` whenever `next_tick_ms` is past. `on_picture` and `on_block` receive what leaves
    and may not block; `stage` is what `synth` draws with, None where it draws nothing; `gate` tells speech from other
    sounds.
    """

    def __init__(
        self,
        hearing: Hearing,
        synth: Synthesizer | None,
        stage: Staged | None,
        *,
        on_picture: Callable[[Picture], None],
        on_block: Callable[[Block], None],
        config: CamConfig | None = None,
        start_ms: float = 0.0,
        gate: MouthGate | None = None,
    ) -> None:
        self.config = config or CamConfig()
        ahead_ms = self.config.ahead_ms if self.config.hears_us else float("inf")
        engine = EngineConfig(fps=self.config.fps, real_ahead_ms=ahead_ms)
        self.mode = Mode.THROUGH
        self.speech = SpeechPath(hearing, gate=gate, on_heard=self._heard)
        self.engine = Engine(self.speech, synth, config=engine)
        self.sound = LocalSound(self.speech)
        self.latency = Quantiles()
        """How long after they came real pictures left; whoever takes them fills it in."""
        self.card: NDArray[np.uint8] | None = None
        """What is shown while no picture has ever come."""
        self._beat = Beat(self.engine, start_ms)
        self._stage = stage
        self._on_picture, self._on_block = on_picture, on_block
        self._needed_ms = hold_for(hearing, engine.interval_ms)
        self._came: deque[_Came] = deque(maxlen=_KEPT)
        self._sent: deque[float] = deque(maxlen=256)
        self._shows_camera = False
        self._sink_ms: float | None = None
        self._late = None if synth is None else LateFrames(synth, engine.interval_ms)
        self._begun_ms = start_ms
        self._last: NDArray[np.uint8] | None = None
        self._shown = Shown(start_ms)

    @property
    def next_tick_ms(self) -> float:
        """Time of the next tick in ms; any other call may move it."""
        return self._beat.next_ms

    # --- in ----------------------------------------------------------------------------------------------------------

    def camera_frame(self, frame: CameraFrame, now_ms: float) -> None:
        """Accept a picture that came from the camera at `now_ms`; it may leave before this returns."""
        if self.mode is Mode.PHOTO and not self._shows_camera:
            # Who began with the photo is not to be seen, not even until it is drawn.
            return
        self._shows_camera = True
        self._came.append(_Came(frame.image, frame.i420, now_ms))
        self.engine.on_video(VideoFrame(frame.image, frame.captured_ms), now_ms)
        if self._stage is not None and self.engine.monitor.state is not VideoState.GONE:
            self._stage.camera = frame.image
        if self._beat.camera_frame(now_ms):
            self.tick(now_ms)

    def sound_block(self, voice: Voice, block: Block, captured_ms: float, now_ms: float) -> None:
        """Add (960,) int16 samples of `voice`, spoken from `captured_ms` on; ignored while that voice is not heard."""
        if RULES[self.mode].voice is voice:
            self.engine.on_audio_packet(now_ms)
            self.sound.push(block, captured_ms)

    def set_mode(self, mode: Mode, now_ms: float) -> None:
        """Switch to `mode`."""
        if RULES[mode].voice is not RULES[self.mode].voice:
            self.sound.cut()
        self.mode = mode
        if self._stage is not None:
            self._stage.mode = mode
        self.engine.pinned = RULES[mode].made
        self._beat.over_camera = mode is Mode.DUB
        self._beat.tick_now(now_ms)

    def _heard(self, media_ms: float, source_ms: float | None) -> None:
        if self._stage is not None:
            self._stage.level_db = self.speech.level_db
        self.engine.on_heard(media_ms, source_ms)

    # --- out ---------------------------------------------------------------------------------------------------------

    def play(self, due_ms: float, sink_ms: float = 0.0) -> None:
        """Send the block that is due at `due_ms`; `sink_ms` is the delay of the device that plays it."""
        sink_ms = min(sink_ms, _SINK_MOST_MS)
        before_ms = sink_ms if self._sink_ms is None else self._sink_ms
        self._sink_ms = before_ms + _SINK_FOLLOW * (sink_ms - before_ms)
        # A hand-back paints no lips: what they heard ahead is given back while it lasts, so that real pictures that
        # follow need not wait for their sound.
        ahead = self.engine.hears_ahead and self.engine.output is not Output.RETURNING
        ahead_ms = max(0.0, self._needed_ms - self._sink_ms) if ahead else 0.0
        block = self.sound.play(due_ms, ahead_ms)
        self.engine.on_playout(block, due_ms + self._sink_ms)
        self._on_block(block.samples)
        self._beat.bring_forward(due_ms)

    def skip(self, ms: float) -> None:
        """Pass over `ms` in which `play` was not called, because the machine slept."""
        self.speech.skip(ms)

    def tick(self, now_ms: float) -> None:
        """Send the picture that is due at `now_ms` and request the next; wait for a synthetic one that is late."""
        media_ms, late_ms = self.engine.media_ms(now_ms), 0.0
        made_ms = None if self.engine.shows_real else media_ms
        if self._late is not None and made_ms is not None and self._late.waits(made_ms, now_ms):
            self._beat.look_again(now_ms)
            return
        if self._late is not None:
            late_ms = self._late.go_on(now_ms, None if media_ms is None else media_ms + self._beat.interval_ms)
        engine = self.engine
        frame = engine.tick(now_ms)
        if self._stage is not None and engine.monitor.state is VideoState.GONE:
            self._stage.camera = None
        kind = None if frame is None else frame.kind
        self._shown.note(kind, self._output(kind), now_ms)
        if frame is not None and (frame.image is not self._last or self._stands(now_ms)):
            self._send(frame.image, frame.kind, frame.skew_ms, now_ms)
        elif frame is None and not engine.pinned and self.card is not None and self._stands(now_ms):
            self._send(self.card, FrameKind.REPEATED, 0.0, now_ms)
        self._beat.ticked(now_ms, late_ms)

    def _stands(self, now_ms: float) -> bool:
        """Return whether to send a repeated picture, because nothing has been sent for a while."""
        return now_ms - (self._sent[-1] if self._sent else self._begun_ms + _CARD_MS) >= _REPEAT_MS

    def _send(self, image: NDArray[np.uint8], kind: FrameKind, skew_ms: float, now_ms: float) -> None:
        came = next((came for came in self._came if came.image is image), None)
        self._sent.append(now_ms)
        self._last = image
        # A picture that is held, or that nothing was painted on, is still the camera's own; only a new one has come.
        i420 = None if came is None else came.i420
        arrived_ms = came.at_ms if came is not None and kind is FrameKind.REAL else None
        self._on_picture(Picture(image, i420, kind, arrived_ms, skew_ms))

    # --- what is told ------------------------------------------------------------------------------------------------

    def _output(self, kind: FrameKind | None) -> ShownState:
        """Return what a frame of `kind` shows, None for no frame at all."""
        if kind is None:
            return ShownState.WAITING
        if self.engine.shows_real and self.engine.output is not Output.REAL:
            # The engine is about to make frames and has none yet: real ones are still shown.
            return ShownState.REAL if self._shown.state is ShownState.WAITING else self._shown.state
        return ShownState(self.engine.output.value)

    def status(self, now_ms: float) -> CamStatus:
        """Return what is shown at this moment."""
        recent = sum(sent > now_ms - _RATE_MS for sent in self._sent)
        made = not self.engine.shows_real
        return CamStatus(
            self.mode,
            self._shown.state,
            max(0.0, now_ms - self._shown.since_ms),
            recent * 1000.0 / _RATE_MS,
            self.latency.at(0.95)[0],
            self.engine.stats.skew_abs.at(0.95)[0],
            self.sound.lag_ms if made and not self.config.hears_us else 0.0,
            self.sound.lag_ms,
            not self.sound.silent,
            None if self._stage is None else self._stage.why,
            Learned() if self._stage is None else self._stage.learned,
        )
