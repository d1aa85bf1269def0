"""A local call in simulated time: a camera, a microphone, another voice, and what leaves."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from synth_fakes import FakeSynthesizer

from models.alignment import MelWindow
from realtime.cam.modes import Mode, Voice
from realtime.cam.output import Picture
from realtime.cam.path import CamConfig, CamPath, Staged
from realtime.clock import FakeClock
from realtime.devices.api import CameraFrame
from realtime.media import FrameKind
from realtime.picture.stats import freezes
from realtime.picture.synth_api import Learned, Synthesizer

WINDOW = MelWindow.for_lookahead(80.0)
ZERO = 5_000.0
Image = NDArray[np.uint8]
Sound = NDArray[np.int16]
Floats = NDArray[np.float64]
Wave = Callable[[Floats], Floats]
Event = tuple[float, tuple[int, int], Callable[[], None]]
"""When, in what order, and what is done."""


def voice(t: Floats) -> Floats:
    """Return something like speech: float, in int16 steps, at times `t` in s."""
    return np.asarray(6000 * np.sin(2 * np.pi * 140 * t) * (1.2 + np.sin(2 * np.pi * 3 * t)) / 2.2)


class StageSlots:
    def __init__(self) -> None:
        self.mode = Mode.THROUGH
        self.camera: Image | None = None
        self.level_db = -120.0
        self.why: str | None = None
        self.learned = Learned()


@dataclass
class LocalCallInTime:
    """One call. Times in ms from its beginning; `gone` is when the camera gives nothing."""

    gone: tuple[tuple[float, float], ...] = ()
    mute: tuple[tuple[float, float], ...] = ()
    """When no sound comes in."""
    modes: tuple[tuple[float, Mode], ...] = ()
    fps: float = 30.0
    camera_late: float = 8.0
    camera_jitter: float = 4.0
    mic_jitter: float = 3.0
    mic_ppm: float = 0.0
    render_ms: float = 15.0
    hears_us: bool = True
    wave: Wave = voice
    dub: Wave = voice
    seed: int = 1
    sink_ms: float = 0.0
    """What the virtual microphone itself takes until sound is heard."""
    card: Image | None = None
    """What is shown while no picture has ever come."""
    make: Callable[[FakeClock], tuple[Synthesizer | None, Staged]] | None = None
    paint: Callable[[float], Image] | None = None
    shown: list[tuple[float, Picture]] = field(default_factory=list)
    played: list[tuple[float, Sound]] = field(default_factory=list)
    frames: list[CameraFrame] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> "LocalCallInTime":
        self.clock = FakeClock(ZERO)
        self.synth = FakeSynthesizer(self.clock, self.render_ms)
        made = (self.synth, StageSlots()) if self.make is None else self.make(self.clock)
        synth, self.stage = made
        self.path = CamPath(
            WINDOW, synth, self.stage, on_picture=self._picture,
            on_block=lambda block: self.played.append((self.clock.now_ms() - ZERO, block)),
            config=CamConfig(fps=self.fps, hears_us=self.hears_us), start_ms=ZERO,
        )  # fmt: skip
        self.path.card = self.card
        events = self._events(seconds * 1000.0)
        while events:
            at, _, work = events[0]
            if self.path.next_tick_ms <= at + ZERO:
                self.clock.advance(max(0.0, self.path.next_tick_ms - self.clock.now_ms()))
                self.path.tick(self.clock.now_ms())
                continue
            heapq.heappop(events)
            self.clock.advance(max(0.0, at + ZERO - self.clock.now_ms()))
            work()
        return self

    def _events(self, end: float) -> list[Event]:
        rng = random.Random(self.seed)
        events: list[tuple[float, int, Callable[[], None]]] = []
        block_ms = 20.0 * (1.0 - self.mic_ppm * 1e-6)
        for i in range(int(end / block_ms)):
            begun = i * block_ms + 7.0
            if not _within(begun, self.mute):
                events.append((begun + 20.0 + rng.uniform(0, self.mic_jitter), 1, partial(self._sound, i)))
        for i in range(int(end * self.fps / 1000.0)):
            taken = i * 1000.0 / self.fps
            if not _within(taken, self.gone):
                late = self.camera_late + rng.uniform(0, self.camera_jitter)
                events.append((taken + late, 0, partial(self._camera, taken)))
        events += [(i * 20.0 + 3.0, 2, self._play) for i in range(int(end / 20))]
        events += [(at, 3, partial(self._mode, mode)) for at, mode in self.modes]
        ordered = [(at, (order, index), work) for index, (at, order, work) in enumerate(events)]
        heapq.heapify(ordered)
        return ordered

    def _sound(self, index: int) -> None:
        t = (np.arange(960) + index * 960) / 48_000.0
        begun = index * 20.0 * (1.0 - self.mic_ppm * 1e-6) + 7.0 + ZERO
        for source, wave in ((Voice.MICROPHONE, self.wave), (Voice.DUB, self.dub)):
            self.path.sound_block(source, wave(t + 0.007).astype(np.int16), begun, self.clock.now_ms())

    def _camera(self, taken: float) -> None:
        image = np.full((4, 4, 3), 200, np.uint8) if self.paint is None else self.paint(taken)
        frame = CameraFrame(image, np.full((6, 4), len(self.frames) % 251, np.uint8), taken + ZERO)
        self.frames.append(frame)
        self.path.camera_frame(frame, self.clock.now_ms())

    def _play(self) -> None:
        self.path.play(self.clock.now_ms(), self.sink_ms)
        self.lags.append(self.path.sound.lag_ms)

    def _mode(self, mode: Mode) -> None:
        self.path.set_mode(mode, self.clock.now_ms())

    def _picture(self, picture: Picture) -> None:
        if picture.arrived_ms is not None:
            self.path.latency.add(self.clock.now_ms() - picture.arrived_ms)
        self.shown.append((self.clock.now_ms() - ZERO, picture))

    def kinds(self, since: float, until: float) -> set[FrameKind]:
        return {picture.kind for at, picture in self.shown if since <= at < until}

    def skews(self, since: float = 1000.0, until: float = 1e9) -> Floats:
        return np.array([abs(picture.skew_ms) for at, picture in self.shown if since <= at < until])

    def freeze_count(self, since: float = 300.0) -> int:
        changed = [at for at, picture in self.shown if picture.kind is not FrameKind.REPEATED and at >= since]
        return freezes(changed, self.clock.now_ms() - ZERO).freezeCount

    def sound(self) -> Sound:
        return np.concatenate([block for _, block in self.played])


def _within(at: float, spans: tuple[tuple[float, float], ...]) -> bool:
    return any(begin <= at < end for begin, end in spans)
