import numpy as np
import pytest

from client.demo.measure import (
    Span,
    changed,
    frame_rate,
    jump,
    motion,
    mouth_correlation,
    picture_delay,
    seen_freezes,
    spans,
)
from client.rig.sound import AUDIO_RATE, audio_delay, speaking, speech_lost
from models.landmarks import STABLE


def speech(seconds: float, seed: int = 1) -> np.ndarray:
    """Return noise with syllables: 4 Hz bursts, so that loudness and content both have structure."""
    n = int(seconds * AUDIO_RATE)
    noise = np.random.default_rng(seed).normal(size=n)
    smooth = np.convolve(noise, np.ones(24) / 24, mode="same")
    bursts = np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / AUDIO_RATE), 0, 1)
    return (smooth * bursts * 20000).astype(np.int16)


def delayed(samples: np.ndarray, ms: float) -> np.ndarray:
    return np.concatenate([np.zeros(int(ms * AUDIO_RATE / 1000), np.int16), samples])


def face(n: int, step_px: float = 1.0) -> np.ndarray:
    """Return n sets of landmarks that wander right by `step_px` a picture, eyes 100 px apart."""
    base = np.random.default_rng(0).uniform(0, 200, (468, 2)).astype(np.float32)
    base[33], base[263] = (50, 100), (150, 100)
    return base[None] + np.arange(n, dtype=np.float32)[:, None, None] * np.array([step_px, 0], np.float32)


def test_spans_follow_each_other_and_end_with_the_call() -> None:
    found = spans([(0.0, "real"), (6100.0, "synth"), (6100.0, "real"), (9000.0, "synth")], 8000.0)
    assert found == [Span("real", 0.0, 6100.0), Span("real", 6100.0, 8000.0)]
    assert Span("x", 10.0, 20.0).holds(np.array([9.9, 10.0, 19.9, 20.0])).tolist() == [False, True, True, False]


def test_a_gap_is_a_freeze_and_so_are_pictures_that_do_not_change() -> None:
    times = np.arange(100) * 40.0
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
    assert seen_freezes(np.arange(50) * 40.0, np.ones(50, bool), 5000.0)[0].totalFreezesDuration == pytest.approx(3.04)


def test_changed_sees_one_moving_block_and_ignores_coding_noise() -> None:
    pictures = np.full((4, 64, 64), 100, np.uint8)
    pictures[1, 3, 3] += 20
    pictures[2] = pictures[1]
    pictures[3] = pictures[1]
    pictures[3, 16:32, 16:32] += 2
    assert changed(pictures).tolist() == [True, False, False, True]


def test_frame_rate_counts_the_time_without_pictures() -> None:
    times = 100.0 + np.arange(25) * 40.0
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
    source_ms = np.arange(400) * 40.0
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


@pytest.mark.parametrize("late_ms", [0.0, 180.0, 423.0])
def test_audio_delay_is_found_to_the_ms(late_ms: float) -> None:
    source = speech(6.0)
    found = audio_delay((delayed(source, late_ms) * 0.5).astype(np.int16), source)
    assert np.nanmedian(found.delay_ms) == pytest.approx(late_ms, abs=1.0)
    assert np.isfinite(found.delay_ms).mean() > 0.9


def test_audio_that_never_came_has_no_delay() -> None:
    found = audio_delay(speech(6.0, seed=2), speech(6.0, seed=1))
    assert not np.isfinite(found.delay_ms).any()
    assert np.isnan(found.at(np.array([100.0]))).all()


def test_speaking_is_where_speech_is() -> None:
    samples = np.concatenate([np.zeros(AUDIO_RATE, np.int16), speech(1.0), np.zeros(AUDIO_RATE, np.int16)])
    found = speaking(samples, np.array([500.0, 1500.0, 2500.0, -10.0, 9000.0, np.nan]))
    assert found.tolist() == [False, True, False, False, False, False]


def test_speech_lost_counts_the_hole_and_only_speech() -> None:
    source = speech(8.0)
    heard = delayed(source, 200.0)
    delay = audio_delay(heard, source)
    whole = Span("call", 0.0, 8000.0)
    lost, spoken = speech_lost(heard, source, delay, whole)
    assert lost == 0.0
    assert 3000.0 < spoken < 5000.0
    heard[4 * AUDIO_RATE : 5 * AUDIO_RATE] = 0
    lost, _ = speech_lost(heard, source, delay, whole)
    assert 350.0 <= lost <= 600.0
    assert speech_lost(heard, source, delay, Span("later", 5500.0, 8000.0))[0] == 0.0


def test_picture_delay_recognises_frames_through_coding_noise() -> None:
    random = np.random.default_rng(3)
    source = np.cumsum(random.normal(0, 2, (100, 12, 16)), axis=0).clip(-100, 100) + 120
    source_ms = np.arange(100) * 40.0
    coded = (source + random.normal(0, 3, source.shape)).clip(0, 255).astype(np.uint8)
    late = picture_delay(source_ms[50:80] + 133.0, coded[50:80], source_ms, source.astype(np.uint8))
    assert 5 <= np.isfinite(late).sum() <= 30 - 12
    assert np.abs(late[np.isfinite(late)] - 133.0).max() <= 10.0


def test_picture_delay_owns_up_to_doubt() -> None:
    source_ms = np.arange(100) * 40.0
    still = np.full((100, 12, 16), 90, np.uint8)
    assert np.isnan(picture_delay(source_ms[50:80] + 100.0, still[50:80], source_ms, still)).all()
    moving = np.random.default_rng(3).integers(0, 255, (100, 12, 16), dtype=np.uint8)
    sparse = source_ms[20:80:4] + 100.0
    assert np.isnan(picture_delay(sparse, moving[20:80:4], source_ms, moving)).all()
