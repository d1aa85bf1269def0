"""Correlation, lag, spread and closing of mouths whose relation is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from train.evaluate.opening import (
    REACH,
    by_speaker,
    closed_below,
    correlation,
    frames_until_closed,
    interval,
    lag_ms,
    moments,
    pooled,
    resampled,
    spread,
)


def mouth(seed: int, frames: int = 200) -> NDArray[np.float64]:
    """Return a smooth random opening: one without rhythm, so that only one lag fits."""
    noise = np.random.default_rng(seed).normal(size=frames + 20)
    return np.convolve(noise, np.hanning(7) / 3.0, mode="same")[10 : frames + 10] * 0.05 + 0.1


def whole(clip: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.ones(len(clip), dtype=bool)


@pytest.mark.parametrize("late", [-3, 0, 2, 5])
def test_lag_in_whole_frames_is_found(late: int) -> None:
    real = mouth(1)
    curve = correlation(moments(np.roll(real, late), real, whole(real)))
    assert lag_ms(curve) == pytest.approx(40.0 * late, abs=4.0)
    assert curve[REACH + late] == pytest.approx(1.0, abs=0.01)


def test_lag_of_half_a_frame_is_found() -> None:
    fine = np.interp(np.arange(400) / 2.0, np.arange(200), mouth(2))
    real, late = fine[2::2], fine[1:-1:2]
    assert lag_ms(correlation(moments(late, real, whole(real)))) == pytest.approx(20.0, abs=5.0)


def test_moments_agree_with_numpy_and_leave_silence_and_gaps_out() -> None:
    real, made = mouth(3), mouth(4)
    inside = np.arange(200) > 60
    made[100:110] = np.nan
    known = inside & np.isfinite(made)
    total = moments(made, real, inside)
    assert total[REACH, 0] == known.sum()
    assert correlation(total)[REACH] == pytest.approx(np.corrcoef(made[known], real[known])[0, 1])
    assert spread(total) == pytest.approx(made[known].std() / real[known].std())


def test_pooling_takes_resting_openings_out_unless_asked_not_to() -> None:
    clips = [(mouth(5) + 0.5, mouth(6) + 0.5), (mouth(7), mouth(8))]
    rows = np.stack([moments(made, real, whole(real)) for made, real in clips])
    every_made, every_real = (np.concatenate([pair[side] for pair in clips]) for side in (0, 1))
    raw = correlation(pooled(rows, centred=False))[REACH]
    assert raw == pytest.approx(np.corrcoef(every_made, every_real)[0, 1])
    assert raw > 0.9, "two people whose mouths rest differently look alike"
    assert abs(correlation(pooled(rows))[REACH]) < 0.3


def test_every_speaker_counts_the_same() -> None:
    real, other = mouth(9), mouth(10)
    same, unlike = moments(real, real, whole(real)), moments(other, real, whole(real))
    r, _ = by_speaker(np.stack([same, unlike, unlike, unlike]), ["a", "b", "b", "b"])
    assert r[REACH] == pytest.approx((1.0 + correlation(unlike)[REACH]) / 2.0)


def test_a_still_mouth_has_no_correlation_and_no_lag() -> None:
    real = mouth(11)
    still = moments(np.full(200, 0.1), real, whole(real))
    assert np.isnan(correlation(still)).all()
    assert math.isnan(lag_ms(correlation(still)))
    assert spread(still) == 0.0


def test_bootstrap_interval_holds_the_mean_of_many_and_narrows() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 400)
    widths = []
    for count in (25, 400):
        low, high = interval(values[resampled(count)].mean(1))
        assert low < values[:count].mean() < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
    assert all(math.isnan(bound) for bound in interval(np.full(10, np.nan)))


def test_closing_is_counted_from_the_last_speech() -> None:
    opening = np.array([0.2, 0.3, 0.2, 0.15, 0.08, 0.01, 0.01, 0.01])
    assert frames_until_closed(opening, 2, 0.05) == 3.0
    assert frames_until_closed(opening, 4, 0.1) == 0.0
    assert math.isnan(frames_until_closed(opening, 6, 0.05)), "two frames of silence say nothing"
    assert frames_until_closed(np.full(6, 0.3), 1, 0.05) == 5.0, "never closed: as long as was watched"


def test_closed_lies_between_rest_and_wide() -> None:
    opening = np.concatenate([np.full(50, 0.02), np.full(50, 0.22)])
    speech = np.arange(100) >= 50
    assert closed_below(opening, speech) == pytest.approx(0.07)
    assert closed_below(np.full(20, 0.02), np.ones(20, bool)) == pytest.approx(0.04), "above the detector's noise"
    assert math.isnan(closed_below(np.full(20, 0.02), np.zeros(20, bool)))
