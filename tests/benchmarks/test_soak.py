"""The soak's clock, gauges and limits, and half a minute of its simulated call."""

import asyncio
import threading

import numpy as np
import pytest

from benchmarks.soak.__main__ import drift
from benchmarks.soak.gauges import Before, Gauge, MemoryReading, memory, read
from benchmarks.soak.lockstep import LockstepSynth
from benchmarks.soak.parts import make_renderer
from benchmarks.soak.real import script as real_script
from benchmarks.soak.simulated import PERIOD_S, SimulatedCall, number_of, paused, script, sent_at
from benchmarks.soak.step_clock import StepClock
from realtime.media import VideoFrame
from realtime.picture.synth_api import SynthJob


async def test_sleepers_wake_in_order_each_at_its_time() -> None:
    clock, woke = StepClock(100.0), []

    async def every(ms: float, name: str) -> None:
        due = clock.now_ms()
        while True:
            due += ms
            await clock.sleep_until(due)
            woke.append((clock.now_ms(), name))

    tasks = [asyncio.create_task(every(20.0, "sound")), asyncio.create_task(every(50.0, "picture"))]
    await asyncio.sleep(0)
    await clock.advance(210.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert woke == sorted(woke, key=lambda entry: entry[0]) and clock.now_ms() == 210.0
    assert [at for at, name in woke if name == "sound"] == [120.0, 140.0, 160.0, 180.0, 200.0]
    assert [at for at, name in woke if name == "picture"] == [150.0, 200.0]
    with pytest.raises(ValueError):
        await clock.advance(0.0)


def test_a_leak_is_told_from_noise() -> None:
    rng = np.random.default_rng(0)
    hours = np.linspace(0.0, 1.0, 200)
    flat = [MemoryReading(h, 300.0 + rng.normal(0, 2.0), 5, 20) for h in hours]
    leaking = [MemoryReading(h, 300.0 + 60.0 * h + rng.normal(0, 2.0), 5, 20) for h in hours]
    assert abs(memory(flat).slope_mb_h) < 3.0 and memory(flat).growth_mb < memory(flat).limit_mb
    assert memory(leaking).slope_mb_h == pytest.approx(60.0, abs=3.0)
    assert memory(leaking).growth_mb > memory(leaking).limit_mb
    warming = [MemoryReading(h, 300.0 - 200.0 * max(0.0, 0.15 - h), 5, 20) for h in hours]
    assert memory(warming).growth_mb == pytest.approx(0.0, abs=0.1), "loading models is no leak"
    with pytest.raises(ValueError):
        memory(flat[:2])
    assert read(0.5).rss_mb > 10.0 and read(0.5).threads >= 1


def test_what_is_left_is_named() -> None:
    before, stop = Before(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    try:
        assert before.left(patience_s=0.2)[0] == ["forgotten"]
    finally:
        stop.set()
        thread.join()
    assert before.left() == ([], 0)


def test_a_figure_over_its_limit_is_missed() -> None:
    assert Gauge("skew", 39.0, "ms", 40.0).met and Gauge("told", 1e9, "").met
    assert not Gauge("skew", 41.0, "ms", 40.0).met and not Gauge("skew", float("nan"), "ms", 40.0).met
    assert "MISSED" in Gauge("skew", 41.0, "ms", 40.0).line()
    assert drift([0.0] * 10 + [60.0] * 20 + [85.0] * 10) == 25.0


def test_the_callers_clock_is_fast_and_then_slow() -> None:
    half_ms = 60_000.0
    fast_end = half_ms * (1 + 1e-4)
    assert sent_at(fast_end, half_ms) == pytest.approx(half_ms)
    assert sent_at(10_000.0, half_ms) == pytest.approx(10_000.0 - 1.0, abs=0.01)
    assert sent_at(fast_end + 10_000.0, half_ms) - half_ms == pytest.approx(10_001.0, abs=0.01)


def test_scripts_cover_the_call() -> None:
    steps = script(2.0).steps
    assert steps[-1].t_ms > 60_000.0 and {step.rate_kbps for step in steps} == {2000.0, 60.0, 0.0}
    assert [paused(s * 1000.0) for s in (15.0, 15.5, 19.5, 20.5, PERIOD_S + 16.0)] == [False, True, True, False, True]
    assert min(step.rate_kbps for step in real_script(60.0).steps) == 55.0


def test_lockstep_renders_at_once_and_counts_failures() -> None:
    renderer, _ = make_renderer("light")
    synth = LockstepSynth(renderer)
    synth.request(SynthJob(40.0))
    assert synth.errors == 1 and synth.take(100.0) is None, "nothing was observed yet"
    synth.observe(VideoFrame(np.zeros((240, 320, 3), np.uint8), 0.0))
    synth.request(SynthJob(80.0))
    synth.request(SynthJob(120.0))
    first = synth.take(100.0)
    assert first is not None and first.media_ms == 80.0
    synth.release()
    assert synth.take(200.0) is None
    with pytest.raises(ValueError):
        make_renderer("none")


def test_half_a_minute_simulated() -> None:
    told: list[str] = []
    call = SimulatedCall(0.5, 1000.0, renderer="light", seed=3, tell=told.append)
    before = Before()
    seen = asyncio.run(call.run())
    assert before.left()[0] == [] and seen.tasks_left == [] and seen.counts["errors"] == 0
    assert seen.counts["real"] > 400 and seen.counts["synth"] > 60, "one outage, all else is real"
    assert len(seen.skew_ms) == pytest.approx(seen.counts["real"], abs=60)
    assert np.percentile(np.abs(seen.skew_ms), 95) < 60.0
    assert max(seen.line_ms) < 600.0 and len(seen.readings) == 30


def test_frames_carry_their_numbers() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = list((70_000).to_bytes(3, "big"))
    assert number_of(image) == 70_000
