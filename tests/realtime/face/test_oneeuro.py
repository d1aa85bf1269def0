import numpy as np
import pytest

from realtime.face.oneeuro import OneEuroFilter


def test_the_first_sample_passes_and_a_constant_stays() -> None:
    smooth = OneEuroFilter(1.0, 0.0)
    sample = np.array([3.0, -2.0])
    for t in range(0, 400, 40):
        assert np.allclose(smooth(sample, t), sample)


def test_noise_at_rest_is_reduced_and_a_fast_move_is_followed() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.01, 500)
    quiet = OneEuroFilter(1.0, 20.0)
    smoothed = np.array([quiet(np.array([x]), 40.0 * i)[0] for i, x in enumerate(noise)])
    assert smoothed[50:].std() < 0.6 * noise.std()
    # A ramp of 2 units a second: the lag must stay under one frame's motion.
    ramp = np.arange(100) * 0.08
    moving = OneEuroFilter(1.0, 20.0)
    followed = np.array([moving(np.array([x]), 40.0 * i)[0] for i, x in enumerate(ramp)])
    assert np.abs(followed - ramp)[50:].max() < 0.08


def test_each_element_has_its_own_cut_off() -> None:
    smooth = OneEuroFilter(np.array([0.5, 50.0]), 0.0)
    smooth(np.zeros(2), 0.0)
    slow, fast = smooth(np.ones(2), 40.0)
    assert slow < 0.2 < 0.8 < fast


def test_reset_forgets() -> None:
    smooth = OneEuroFilter(0.5, 0.0)
    smooth(np.zeros(1), 0.0)
    smooth.reset()
    assert smooth(np.ones(1), 40.0)[0] == 1.0


@pytest.mark.parametrize("later_ms", [0.0, -500.0])
def test_time_that_does_not_go_on_still_gives_finite_progress(later_ms: float) -> None:
    smooth = OneEuroFilter(2.0, 0.0)
    smooth(np.zeros(1), 0.0)
    value = smooth(np.ones(1), later_ms)[0]
    assert 0.0 < value < 1.0
