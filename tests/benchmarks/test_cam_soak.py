"""The plan of a long local call and how it is judged."""

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cam.soak import MODES, CamSeen, CamWatch, OffClockSound, drift_ms, figures, plan, watch
from benchmarks.soak.gauges import Before
from realtime.cam.modes import Mode
from realtime.cam.output import Picture
from realtime.clock import FakeClock
from realtime.devices.api import Samples
from realtime.media import FrameKind


def picture(kind: FrameKind, skew_ms: float) -> Picture:
    return Picture(np.zeros((2, 2, 3), np.uint8), None, kind, None, skew_ms)


def test_ten_minutes_change_the_mode_each_minute_and_lose_the_camera_every_90_s() -> None:
    steps = plan(600.0)
    assert [step.at_s for step in steps if step.mode is not None] == [60.0 * i for i in range(1, 10)]
    gone = [step.at_s for step in steps if step.camera is False]
    assert gone == [45.0 + 90.0 * i for i in range(7)]
    assert [step.at_s for step in steps if step.camera is True] == [at + 5.0 for at in gone]
    assert steps == sorted(steps, key=lambda step: step.at_s)


@pytest.mark.parametrize("seconds", [40.0, 120.0, 180.0])
def test_a_short_run_shows_every_mode_too_and_ends_with_the_camera(seconds: float) -> None:
    steps = plan(seconds)
    assert {step.mode for step in steps} >= set(MODES)
    assert [step.camera for step in steps if step.camera is not None][-1] is True
    assert all(step.at_s < seconds for step in steps)


def test_pictures_that_were_due_and_did_not_leave_are_missed() -> None:
    seen = CamWatch()
    for kind in (FrameKind.REAL, FrameKind.SYNTH, FrameKind.REPEATED):
        seen.see(picture(kind, -12.0))
    row = seen.modes[Mode.THROUGH]
    row.due, row.seconds = 4.0, 0.16
    assert row.missed_percent == 50.0 and list(row.skew_ms) == [12.0] * 3
    judged = {figure.name: figure for figure in figures(seen, Before(), 1)}
    assert not judged["pictures missed of all 4"].met and not judged["renderer's faults"].met
    assert judged["through: |skew| p95"].met and judged["threads left"].met
    assert CamSeen(due=10.0, new=11).missed_percent == 0.0


def test_a_delay_that_creeps_is_drift() -> None:
    assert drift_ms([30.0 + 5.0 * (i % 3) for i in range(60)]) < 1.0
    assert drift_ms([30.0 + 0.5 * i for i in range(60)]) == pytest.approx(20.0)


def test_the_microphone_runs_by_its_own_clock(caller_clip: Path) -> None:
    source, taken, enough = OffClockSound(caller_clip, 5000.0), [], threading.Event()

    def take(block: Samples, captured_ms: float) -> None:
        assert block.shape == (960,) and block.dtype == np.int16
        taken.append(captured_ms)
        if len(taken) == 5:
            enough.set()

    source.start(take)
    assert enough.wait(90.0)
    source.close()
    assert [b - a for a, b in pairwise(taken)] == pytest.approx([20.0 / 1.005] * (len(taken) - 1))


async def test_the_plan_is_followed_and_counted() -> None:
    class Call:
        def __init__(self) -> None:
            self.chosen: list[Mode] = []

        path = type("Path", (), {"engine": type("E", (), {"pinned": True}), "sound": type("S", (), {"lag_ms": 9.0})})

        def choose(self, mode: Mode) -> None:
            self.chosen.append(mode)

    camera = type("Camera", (), {"gone": False, "given": 0, "fps": 25.0})()
    call, seen = Call(), CamWatch()
    await watch(call, camera, 40.0, seen, FakeClock())
    assert call.chosen == [Mode.PHOTO, Mode.DUB, Mode.AWAY, Mode.THROUGH, Mode.PHOTO, Mode.DUB, Mode.AWAY]
    assert camera.gone is False and len(seen.readings) == 80
    assert sum(row.due for row in seen.modes.values()) == pytest.approx(1000.0)
    assert [row.seconds for row in seen.modes.values()] == pytest.approx([10.0] * 4)
