import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.photo.idle import IdleMotion, IdlePose

Floats = NDArray[np.float64]

FIELDS = [field.name for field in dataclasses.fields(IdlePose)]


def silence(ms: float) -> float:
    return 0.0


def poses(
    seed: int = 0,
    seconds: float = 120.0,
    fps: float = 25.0,
    loud: Callable[[float], float] = silence,
) -> Floats:
    """Return (n, 8) poses from media time 5000 ms on."""
    motion = IdleMotion(seed)
    times = 5000.0 + np.arange(int(seconds * fps)) * 1000.0 / fps
    return np.array([dataclasses.astuple(motion.step(ms, loud(ms))) for ms in times])


def column(rows: Floats, name: str) -> Floats:
    return rows[:, FIELDS.index(name)]


def bursts(ms: float) -> float:
    return float(np.sin(ms / 130.0) > 0.0 and (ms // 3000) % 2)


def shut_spans(rows: Floats, fps: float) -> Floats:
    """Return (begin, end) in ms of each time the lids are down at all."""
    down = np.concatenate([[0.0], column(rows, "lids") > 0.0, [0.0]])
    begins, ends = np.flatnonzero(np.diff(down) > 0), np.flatnonzero(np.diff(down) < 0)
    return np.asarray(np.stack([begins, ends], 1) * 1000.0 / fps, np.float64)


def test_the_first_pose_is_the_picture_as_it_is() -> None:
    first = IdleMotion(3).step(77.0, 1.0)
    assert (first.x, first.y, first.scale, first.roll, first.yaw, first.breath, first.lids) == (0, 0, 1, 0, 0, 0, 0)
    assert first.pitch == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_motion_is_continuous_and_slow(seed: int) -> None:
    rows = poses(seed, loud=bursts)
    speed = np.abs(np.diff(rows, axis=0)) * 25.0
    # The 99th percentiles of real heads that sit still: 0.27 eye distances a second, 6 degrees of roll, 16 of turn.
    limits = {"x": 0.14, "y": 0.14, "scale": 0.02, "roll": 3.0, "yaw": 8.0, "pitch": 12.0, "breath": 3.0}
    for name, limit in limits.items():
        assert column(speed, name).max() < limit, name


@pytest.mark.parametrize("seed", range(4))
def test_motion_stays_near_the_picture_and_goes_on(seed: int) -> None:
    rows = poses(seed, loud=bursts)
    bounds = {"x": 0.1, "y": 0.08, "roll": 1.5, "yaw": 4.6, "pitch": 4.7, "breath": 1.0}
    for name, bound in bounds.items():
        assert np.abs(column(rows, name)).max() <= bound, name
        windows = column(rows, name)[250:].reshape(-1, 250)  # 10 s each
        assert (np.ptp(windows, axis=1) > 0.1 * bound).all(), f"{name} stands still"


def test_a_motion_is_repeated_by_its_seed_alone() -> None:
    assert np.array_equal(poses(5, 20.0), poses(5, 20.0))
    assert not np.allclose(poses(5, 20.0), poses(6, 20.0))


@pytest.mark.parametrize("fps", [25.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_blinks_are_as_people_blink(seed: int, fps: float) -> None:
    rows = poses(seed, 300.0, fps)
    spans = shut_spans(rows, fps)
    # Between rest (17 a minute) and conversation (26), Bentivoglio et al. 1997, give or take five minutes' chance.
    assert 13.0 <= len(spans) / 5.0 <= 27.0
    long = spans[:, 1] - spans[:, 0]
    assert long.min() > 150.0 and long.max() < 300.0 + 1000.0 / fps
    pauses = spans[1:, 0] - spans[:-1, 1]
    doubles = pauses < 500.0
    assert 0.02 < doubles.mean() < 0.3
    assert (pauses[~doubles] > 1900.0).all() and (pauses < 6100.0).all()
    lids = column(rows, "lids")
    for begin, end in spans:
        assert lids[round(begin * fps / 1000.0) : round(end * fps / 1000.0)].max() > 0.999


def test_the_head_nods_with_the_voice_and_comes_back() -> None:
    quiet, loud = poses(2, 20.0), poses(2, 20.0, loud=lambda ms: float(10_000.0 <= ms < 10_400.0))
    nod = column(loud, "pitch") - column(quiet, "pitch")
    assert np.abs(nod[:125]).max() == 0.0
    assert nod.max() > 0.8
    assert np.abs(nod[-125:]).max() < 0.1


def test_time_that_runs_back_or_jumps_does_not_shake_the_head() -> None:
    motion = IdleMotion(4)
    for ms in range(0, 8000, 40):
        before = motion.step(float(ms), 1.0)
    assert abs(motion.step(100.0, 1.0).x - before.x) < 1e-9
    after = motion.step(8000.0 + 600_000.0)
    assert abs(after.pitch) < 4.7 and 0.0 <= after.lids <= 1.0
