"""The phase lock on a fake clock: pictures at their own rate, ticks at 40 ms, the newest picture due is shown."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.picture.tickphase import MOST_MS, TickPhase

INTERVAL = 40.0


@dataclass
class Run:
    """Pictures every `step` ms from `first` on, each stamped and shown `jitter` off; times in ms."""

    first: float = 0.0
    step: float = INTERVAL
    jitter: float = 0.0
    seed: int = 0
    missing: tuple[float, float] = (0.0, 0.0)
    ticks: list[float] = field(default_factory=list)
    skews: list[tuple[float, float]] = field(default_factory=list)
    """Time of the tick, and how much before its moment its picture was shown."""

    def play(self, seconds: float) -> "Run":
        rng, phase = random.Random(self.seed), TickPhase(INTERVAL)
        count = int(seconds * 1000.0 / self.step) + 2
        moments = [self.first + i * self.step + rng.uniform(-self.jitter, self.jitter) for i in range(count)]
        moments = [m for m in moments if not self.missing[0] <= m < self.missing[1]]
        at, coming, shown = 0.0, 0, -1
        while at < seconds * 1000.0:
            self.ticks.append(at)
            while coming < len(moments) and moments[coming] <= at + INTERVAL:
                phase.arrived(moments[coming])
                coming += 1
            due = max((i for i in range(shown + 1, coming) if moments[i] <= at + INTERVAL / 2), default=None)
            at += INTERVAL
            if due is not None:
                shown = due
                skew = moments[due] - self.ticks[-1]
                self.skews.append((self.ticks[-1], skew))
                at += phase.shown(skew)
        return self

    def late(self, since_ms: float) -> NDArray[np.float64]:
        return np.array([skew for at, skew in self.skews if at >= since_ms])


@pytest.mark.parametrize("first", [-19.9, -12.0, 0.0, 7.0, 15.0, 20.0])
def test_pictures_soon_leave_at_their_moment(first: float) -> None:
    run = Run(first).play(10)
    assert np.abs(run.late(3000.0)).max() < 2.0, "a second to know the rate, two to lock"
    assert np.abs(np.diff(run.ticks) - INTERVAL).max() <= MOST_MS
    assert len(run.ticks) == pytest.approx(250, abs=1), "25 a second on average"


@settings(max_examples=30, deadline=None)
@given(st.floats(-20.0, 20.0), st.integers(0, 1000))
def test_jitter_moves_the_ticks_but_little(first: float, seed: int) -> None:
    run = Run(first, jitter=10.0, seed=seed).play(20)
    moments = np.array(run.ticks[100:]) - first
    off = (moments + INTERVAL / 2) % INTERVAL - INTERVAL / 2
    assert np.abs(off).max() < 8.0 and abs(float(np.mean(off))) < 2.0
    assert len(run.ticks) == pytest.approx(500, abs=1)


@pytest.mark.parametrize("seed", range(8))
def test_half_an_interval_off_takes_one_way_and_keeps_it(seed: int) -> None:
    """Jitter shows now the earlier and now the later picture there: the ticks must not go to and fro."""
    run = Run(INTERVAL / 2, jitter=10.0, seed=seed).play(6)
    moves = np.diff(run.ticks)[:60] - INTERVAL
    later, earlier = moves[moves > 0.0].sum(), -moves[moves < 0.0].sum()
    assert max(later, earlier) > 8.0 and min(later, earlier) < 2.5
    assert abs(float(np.mean(run.late(4000.0)))) < 3.0


@pytest.mark.parametrize("fps", [10.0, 12.5, 15.0, 24.0, 29.97, 30.0, 50.0, 60.0])
def test_another_rate_has_no_effect(fps: float) -> None:
    run = Run(7.0, step=1000.0 / fps, jitter=2.0).play(30)
    assert run.ticks == pytest.approx([i * INTERVAL for i in range(len(run.ticks))])


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_the_source_s_clock_is_followed(ppm: float) -> None:
    run = Run(13.0, step=INTERVAL * (1.0 + ppm * 1e-6)).play(60)
    assert np.abs(run.late(3000.0)).max() < 2.0
    assert len(run.late(0.0)) == len(run.ticks), "a tick showed no new picture"


def test_an_outage_keeps_the_phase() -> None:
    run = Run(12.0, missing=(5000.0, 9000.0)).play(12)
    inside = [tick for tick in run.ticks if 5050.0 < tick < 8950.0]
    assert np.diff(inside) == pytest.approx(INTERVAL)
    assert np.abs(run.late(9000.0)).max() < 2.0


def test_a_source_that_changes_its_rate_or_clock_is_learned_anew() -> None:
    phase = TickPhase(INTERVAL)
    for i in range(60):
        phase.arrived(i * INTERVAL)
    assert phase.same_rate and phase.shown(10.0) == MOST_MS
    for i in range(60):
        phase.arrived(60 * INTERVAL + i * 20.0)
    assert not phase.same_rate and phase.shown(10.0) == 0.0
    for i in range(60):
        phase.arrived(-1e6 + i * INTERVAL)
    assert phase.same_rate
    assert phase.shown(-3.0) == pytest.approx(-0.3)


def test_after_an_outage_the_first_picture_says_how_far_off_it_is() -> None:
    phase = TickPhase(INTERVAL)
    for i in range(60):
        phase.arrived(i * INTERVAL)
        phase.shown(0.0)
    assert phase.shown(8.0) == pytest.approx(0.2)
    phase.lost()
    assert phase.shown(8.0) == pytest.approx(0.8)


def test_ticks_need_an_interval() -> None:
    with pytest.raises(ValueError, match="interval"):
        TickPhase(0.0)
