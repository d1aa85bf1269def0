"""Made frames that are not ready when they are due."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from cam_simulation import LocalCallInTime, StageSlots
from synth_fakes import FakeSynthesizer

from realtime.cam.modes import Mode
from realtime.clock import FakeClock
from realtime.media import FrameKind
from realtime.picture.synth_api import SynthJob, SynthResult


class Uneven(FakeSynthesizer):
    """Take another time for every frame."""

    def __init__(self, clock: FakeClock, spend: Callable[[int], float]) -> None:
        super().__init__(clock)
        self.spend = spend

    def request(self, job: SynthJob) -> None:
        self.render_ms = self.spend(len(self.jobs))
        super().request(job)


class OneWaits(Uneven):
    """Keep the newest job while another is in work, as the worker does."""

    def __init__(self, clock: FakeClock, spend: Callable[[int], float]) -> None:
        super().__init__(clock, spend)
        self.slot: tuple[float, SynthJob] | None = None

    def request(self, job: SynthJob) -> None:
        self._work()
        self.jobs.append(job)
        self.slot = (self.clock.now_ms(), job)

    def _work(self) -> None:
        if self.slot is not None and self._busy_until <= self.clock.now_ms():
            (at, job), self.slot = self.slot, None
            self._busy_until = max(at, self._busy_until) + self.spend(len(self.jobs))
            self._waiting.append((self._busy_until, job))

    def take(self, media_ms: float) -> SynthResult | None:
        self._work()
        return super().take(media_ms)

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        self._work()
        return super().ready(media_ms, since_ms)


def call_in(mode: Mode, spend: Callable[[int], float]) -> LocalCallInTime:
    return LocalCallInTime(
        fps=25.0, modes=((3000.0, mode),), make=lambda clock: (Uneven(clock, spend), StageSlots())
    ).run(12)


def rate(call: LocalCallInTime) -> float:
    made = [at for at, picture in call.shown if at >= 4000.0 and picture.kind is FrameKind.SYNTH]
    return (len(made) - 1) * 1000.0 / (made[-1] - made[0])


@pytest.mark.parametrize("mode", [Mode.PHOTO, Mode.DUB, Mode.AWAY])
def test_one_frame_in_seven_that_is_late_is_shown_late_and_none_is_lost(mode: Mode) -> None:
    call = call_in(mode, lambda index: 52.0 if index % 7 == 0 else 30.0)
    assert rate(call) >= 24.5
    assert np.quantile(call.skews(4000.0), 0.95) <= 25.0
    assert call.freeze_count() == 0


@pytest.mark.parametrize("mode", [Mode.PHOTO, Mode.AWAY])
def test_frames_that_always_take_longer_than_an_interval_come_one_after_the_other(mode: Mode) -> None:
    call = call_in(mode, lambda index: 46.0)
    assert 1000.0 / rate(call) <= 46.0 + 4.0
    assert np.quantile(call.skews(4000.0), 0.95) <= 25.0


def test_the_rate_comes_back_after_one_slow_frame() -> None:
    slow = random.Random(1)
    call = call_in(Mode.PHOTO, lambda index: 90.0 if slow.random() < 0.02 else 20.0)
    assert rate(call) >= 24.0
    assert np.quantile(call.skews(4000.0), 0.9) <= 21.0


def test_a_renderer_that_gives_nothing_stops_neither_pictures_nor_sound() -> None:
    call = call_in(Mode.PHOTO, lambda index: 30.0 if index < 60 else 1e6)
    assert len(call.played) >= 590
    assert max(np.diff([at for at, _ in call.shown])) <= 300.0, "the last frame is sent again"


@pytest.mark.parametrize("usual_ms", [22.0, 28.0, 34.0])
def test_a_few_slow_frames_do_not_leave_all_that_follow_an_interval_late(usual_ms: float) -> None:
    call = LocalCallInTime(
        fps=25.0,
        modes=((3000.0, Mode.PHOTO),),
        make=lambda clock: (OneWaits(clock, lambda index: 80.0 if index < 5 else usual_ms), StageSlots()),
    ).run(12)
    assert rate(call) >= 24.5
    assert np.quantile(call.skews(4000.0), 0.99) <= 21.0
