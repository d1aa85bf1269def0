"""In-memory synthesizer and renderer: instant or as late as a test wants, and honest about what was asked of them."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from realtime.clock import FakeClock
from realtime.media import VideoFrame
from realtime.picture.synth_api import Drawn, HeardFrame, Learned, Seen, SynthJob, SynthResult

REAL_LEVEL, SYNTH_LEVEL = 200, 50
Image = NDArray[np.uint8]


def drawn(image: Image) -> Drawn:
    return Drawn(image, image)


def picture(level: int, size: int = 4) -> Image:
    return np.full((size, size, 3), level, dtype=np.uint8)


class FakeSynthesizer:
    """Finish the newest job `render_ms` after it was asked for, on a fake clock."""

    def __init__(self, clock: FakeClock, render_ms: float = 10.0) -> None:
        self.clock = clock
        self.render_ms = render_ms
        self.paused = False
        self.settled = True
        self.observed: list[float] = []
        self.heard: list[HeardFrame] = []
        self.begun: list[tuple[float, float]] = []
        self.jobs: list[SynthJob] = []
        self.outages = 0
        self._waiting: list[tuple[float, SynthJob]] = []
        self._busy_until = 0.0
        self._in_outage = False

    def observe(self, frame: VideoFrame) -> None:
        self.observed.append(frame.media_ms)

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        self.heard.extend(heard)

    def begin(self, media_ms: float) -> None:
        self.begun.append((self.clock.now_ms(), media_ms))

    def request(self, job: SynthJob) -> None:
        self.outages += not self._in_outage
        self._in_outage = True
        self.jobs.append(job)
        now = self.clock.now_ms()
        if self._busy_until <= now:
            self._busy_until = now + self.render_ms
            self._waiting.append((self._busy_until, job))

    def take(self, media_ms: float) -> SynthResult | None:
        now = self.clock.now_ms()
        ready = [job for done, job in self._waiting if done <= now and job.media_ms <= media_ms]
        if not ready:
            return None
        self._waiting = [(done, job) for done, job in self._waiting if job not in ready]
        best = ready[-1]
        level = SYNTH_LEVEL + best.progress * (REAL_LEVEL - SYNTH_LEVEL)
        return SynthResult(picture(round(level)), best.media_ms, self.render_ms, self.paused, self.settled)

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        now = self.clock.now_ms()
        return any(done <= now and since_ms <= job.media_ms <= media_ms for done, job in self._waiting)

    def release(self) -> None:
        self._in_outage = False
        self._waiting.clear()


class FakeRenderer:
    """Record calls; `fail` makes the named methods raise, `gate` holds rendering until set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []
        self.threads: set[int] = set()
        self.fail: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.rendering = threading.Event()

    def _note(self, name: str, media_ms: float) -> None:
        self.calls.append((name, media_ms))
        self.threads.add(threading.get_ident())
        if name in self.fail:
            raise RuntimeError(f"{name} fails")

    def observe(self, image: Image, media_ms: float) -> Seen:
        self._note("observe", media_ms)
        return Seen(True, None, None)

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        for frame in heard:
            self._note("learn", frame.media_ms)
        return Learned(float(len(heard)))

    def start(self, media_ms: float) -> None:
        self._note("start", media_ms)

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        self.rendering.set()
        assert self.gate.wait(90.0)
        self._note("render", media_ms)
        return drawn(picture(SYNTH_LEVEL))

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        self._note("hand_back", media_ms)
        return drawn(picture(round(SYNTH_LEVEL + progress * (REAL_LEVEL - SYNTH_LEVEL))))

    def stop(self) -> None:
        self._note("stop", 0.0)

    def close(self) -> None:
        self._note("close", 0.0)
