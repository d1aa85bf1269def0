"""Sound made shorter and longer by whole periods, and read at another rate: what stays as it was."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.speech.resample import REACH, interpolate
from realtime.speech.speechline import SpeechLine
from realtime.speech.timescale import MAX_LAG, MIN_LAG, NEEDED, find_lag, lengthen, shorten

RATE = 48_000


def voice(hz: float, samples: int, level: float = 6000.0) -> NDArray[np.float32]:
    """A buzz with harmonics, like a vowel."""
    t = np.arange(samples) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * t + k) / k for k in range(1, 12))
    return np.asarray(level * wave, np.float32)


def pitch(samples: NDArray[np.float32] | NDArray[np.float64]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), 1 << 18))
    return float(spectrum.argmax() * RATE / (1 << 18))


@settings(max_examples=30, deadline=None)
@example(238.5)
@example(159.0)
@given(st.floats(85, 380))
def test_the_lag_is_whole_periods_and_the_longest_that_fits(hz: float) -> None:
    found = find_lag(voice(hz, NEEDED))
    assert found is not None and found.likeness > 0.97
    periods = found.samples * hz / RATE
    assert abs(periods - round(periods)) * RATE / hz < 3
    assert found.samples + RATE / hz > MAX_LAG - 3


def test_noise_fits_badly_and_silence_always() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, NEEDED).astype(np.float32)
    found, quiet = find_lag(noise), find_lag(np.zeros(NEEDED, np.float32), 300)
    assert found is not None and found.likeness < 0.4
    assert quiet is not None and (quiet.samples, quiet.likeness) == (300, 1.0)
    assert find_lag(noise[:-1]) is None and find_lag(noise, MIN_LAG - 1) is None


@pytest.mark.parametrize("hz", [95.0, 140.0, 220.0, 350.0])
def test_a_changed_vowel_has_no_step_and_keeps_its_pitch(hz: float) -> None:
    sound = voice(hz, 24_000)
    found = find_lag(sound)
    assert found is not None
    n = found.samples
    step = np.abs(np.diff(sound)).max()
    for made in (shorten(sound, n), lengthen(sound, n)):
        whole = np.concatenate((made, sound[2 * n :]))
        assert whole.size - sound.size in (n, -n)
        assert np.abs(np.diff(whole)).max() < 1.3 * step
        assert pitch(whole) == pytest.approx(pitch(sound), rel=0.002)


@pytest.mark.parametrize("hz, floor_db", [(200.0, 80.0), (3000.0, 65.0), (10_000.0, 55.0)])
def test_reading_a_little_faster_keeps_tones_clean(hz: float, floor_db: float) -> None:
    sound = np.asarray(10_000 * np.sin(2 * np.pi * hz * np.arange(20_000) / RATE), np.float32)
    step = 1.0 + 1e-4
    read = interpolate(sound, 50.25, step, 15_000)
    exact = 10_000 * np.sin(2 * np.pi * hz * (50.25 + step * np.arange(15_000)) / RATE)
    assert 10 * np.log10(np.mean(exact**2) / np.mean((read - exact) ** 2)) > floor_db


def test_whole_places_are_read_exactly() -> None:
    sound = np.arange(200, dtype=np.float32)
    np.testing.assert_allclose(interpolate(sound, float(REACH), 1.0, 100), sound[REACH : REACH + 100], atol=1e-4)


def filled(ms: float, hz: float = 150.0) -> SpeechLine:
    line = SpeechLine(1000.0)
    line.append(np.rint(voice(hz, int(ms * 48))).astype(np.int16))
    return line


def test_the_line_gives_what_it_got_with_its_media_time() -> None:
    line, sound = filled(200.0), np.rint(voice(150.0, 9600)).astype(np.int16)
    assert (line.fill_ms, line.media_ms, line.head_ms) == (200.0, 1000.0, 1200.0)
    np.testing.assert_array_equal(np.concatenate([line.take(), line.take()]), sound[:1920])
    assert line.media_ms == 1040.0
    with pytest.raises(ValueError, match="ready"):
        filled(15.0).take()


@pytest.mark.parametrize("longer", [True, False])
def test_media_time_follows_a_change_and_is_exact_again_after_it(longer: bool) -> None:
    line = filled(400.0)
    line.take()
    changed = line.lengthen(12.5) if longer else line.shorten(12.5)
    assert changed > 5.0
    assert line.fill_ms == pytest.approx(380.0 + (changed if longer else -changed))
    assert line.media_ms == pytest.approx(1020.0), "what leaves next is still what was next"
    assert line.lengthen(12.5) == line.shorten(12.5) == 0.0, "one change at a time"
    times = [line.media_ms]
    for _ in range(3):
        line.take()
        times.append(line.media_ms)
    steps = np.diff(times)
    assert (steps > 5.0).all() and (steps < 35.0).all()
    assert line.media_ms == pytest.approx(line.head_ms - line.fill_ms)


def test_a_short_line_is_not_made_shorter() -> None:
    assert filled(60.0).shorten(12.5) == 0.0


def test_noise_is_only_cut_in_haste() -> None:
    line = SpeechLine()
    line.append(np.random.default_rng(2).normal(0, 3000, 9600).astype(np.int16))
    assert line.shorten(12.5) == 0.0
    assert line.shorten(12.5, haste=True) > 0.0


def test_dropping_the_oldest_leaves_no_step() -> None:
    line = filled(500.0, 100.0)
    line.take()
    line.drop(203.0)
    assert line.media_ms == pytest.approx(1223.0)
    step = np.abs(np.diff(voice(100.0, 4800))).max()
    assert np.abs(np.diff(line.take().astype(float))).max() < 2 * step
    line.drop(10_000.0)
    assert 0.0 <= line.fill_ms <= 6.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e-3, 1e-3), st.sampled_from(["", "+", "-"])), min_size=5, max_size=60))
def test_any_mixture_keeps_time_rising_and_memory_small(steps: list[tuple[float, str]]) -> None:
    line, chunk = filled(120.0), np.rint(voice(150.0, 960)).astype(np.int16)
    last = line.media_ms
    for rate, change in steps:
        while line.fill_ms < 100.0:
            line.append(chunk)
        _ = line.lengthen(12.5) if change == "+" else line.shorten(12.5, haste=True) if change == "-" else 0.0
        line.take(rate)
        assert line.media_ms > last
        last = line.media_ms
        assert len(pickle.dumps(line)) < 4 * 48 * 200, "no more than 200 ms of float32"
