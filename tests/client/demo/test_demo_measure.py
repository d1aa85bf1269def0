import numpy as np
import pytest
from numpy.typing import NDArray

from client.demo.measure import (
    frame_rate,
    jump,
    motion,
    mouth_correlation,
    seen_freezes,
)
from models.landmarks import STABLE


def face(n: int, step_px: float = 1.0) -> NDArray[np.float32]:
    """Return n sets of landmarks that wander right by `step_px` a picture, eyes 100 px apart."""
    base = np.random.default_rng(0).uniform(0, 200, (468, 2)).astype(np.float32)
    base[33], base[263] = (50, 100), (150, 100)
    return base[None] + np.arange(n, dtype=np.float32)[:, None, None] * np.array([step_px, 0], np.float32)


def test_a_gap_is_a_freeze_and_so_are_pictures_that_do_not_change() -> None:
    times = np.arange(100, dtype=np.float64) * 40.0
    assert seen_freezes(times, np.ones(100, bool), 4000.0)[1].freezeCount == 0
    held = np.ones(100, bool)
    held[50:60] = False
    arrived, moved = seen_freezes(times, held, 4000.0)
    assert arrived.freezeCount == 0
    assert moved.freezeCount == 1
    assert moved.totalFreezesDuration == pytest.approx(0.44)
    gone = np.concatenate([times[:50], times[:20] + 4000.0])
    assert seen_freezes(gone, np.ones(70, bool), 4800.0)[0].totalFreezesDuration == pytest.approx(2.04)


def test_a_freeze_that_outlasts_the_call_counts() -> None:
    times = np.arange(50, dtype=np.float64) * 40.0
    assert seen_freezes(times, np.ones(50, bool), 5000.0)[0].totalFreezesDuration == pytest.approx(3.04)


def test_frame_rate_counts_the_time_without_pictures() -> None:
    times = 100.0 + np.arange(25, dtype=np.float64) * 40.0
    assert frame_rate(times, 1100.0) == pytest.approx(25.0)
    assert frame_rate(times, 2100.0) == pytest.approx(12.5)
    assert frame_rate(times[:0], 1000.0) == 0.0


def test_motion_is_in_eye_distances_and_unknown_without_a_face() -> None:
    points = face(5, step_px=2.0)
    points[3] = np.nan
    steps = motion(points, STABLE)
    assert np.isnan(steps[0]) and np.isnan(steps[3]) and np.isnan(steps[4])
    assert steps[1:3] == pytest.approx([0.02, 0.02], rel=1e-3)


def test_jump_compares_the_switch_with_the_clip() -> None:
    seen = face(20)
    seen[10:] += 5.0
    rows = np.zeros(20, bool)
    rows[9:12] = True
    found = jump(seen, rows, face(50))
    assert found.head_limit == pytest.approx(0.01, rel=1e-2)
    assert found.ratio == pytest.approx(np.hypot(6, 5), rel=1e-2)
    assert jump(face(20), rows, face(50)).ratio == pytest.approx(1.0, rel=1e-2)


def test_mouth_correlation_finds_a_late_mouth() -> None:
    source_ms = np.arange(400, dtype=np.float64) * 40.0
    wave = np.abs(np.sin(source_ms / 170.0)) + 0.3 * np.sin(source_ms / 611.0)
    seen_ms = np.arange(5000.0, 12000.0, 40.0)
    late = np.interp(seen_ms - 80.0, source_ms, wave) * 0.5
    found = mouth_correlation(seen_ms, late, source_ms, wave)
    assert found.lag_ms == pytest.approx(80.0)
    assert found.best_r > 0.99
    assert found.r < 0.9
    assert found.spread == pytest.approx(0.5, rel=0.05)
    late[::2] = np.nan
    assert mouth_correlation(seen_ms, late, source_ms, wave).pictures == 87
    assert np.isnan(mouth_correlation(seen_ms, np.full(len(seen_ms), np.nan), source_ms, wave).r)
