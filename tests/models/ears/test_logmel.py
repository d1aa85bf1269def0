"""The log-mel that teacher and student hear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ears.logmel import FLOOR, LogMelStream, log_mel, whisper_log_mel


def speechlike(count: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.asarray(0.1 * rng.standard_normal(count) * np.abs(np.sin(np.arange(count) / 900.0)), np.float32)


def slaney_hz(mel: float) -> float:
    return mel * 200.0 / 3.0 if mel < 15.0 else 1000.0 * 6.4 ** ((mel - 15.0) / 27.0)


def slaney_filter(band: int, hz: float) -> float:
    """Height at `hz` of one of 80 triangles of area 1 from 0 to 8000 Hz."""
    top = 15.0 + 27.0 * np.log(8.0) / np.log(6.4)
    low, middle, high = (slaney_hz(top * (band + step) / 81.0) for step in range(3))
    return float(max(0.0, min((hz - low) / (middle - low), (high - hz) / (high - middle))) * 2.0 / (high - low))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=12))
def test_streamed_columns_equal_those_of_the_whole(sizes: list[int]) -> None:
    sound = speechlike(sum(sizes))
    stream = LogMelStream()
    parts = [stream.push(part) for part in np.split(sound, np.cumsum(sizes))]
    assert np.array_equal(np.concatenate(parts, 1), log_mel(sound))


def test_a_column_comes_with_the_last_sample_of_its_window() -> None:
    stream = LogMelStream()
    assert stream.push(speechlike(160 * 3 + 199)).shape[1] == 3
    assert stream.push(speechlike(1)).shape[1] == 1


def test_silence_lies_at_the_floor_and_nothing_below_it() -> None:
    assert log_mel(np.zeros(4000, np.float32)).max() == FLOOR
    assert log_mel(speechlike(16000) * np.float32(1e-3)).min() >= FLOOR


def test_whispers_log_mel_follows_its_formula() -> None:
    sound = speechlike(3200)
    found = whisper_log_mel(sound)
    assert found.shape == (80, 20)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(400) / 400.0)
    around = np.concatenate([sound[200:0:-1], sound, sound[-2:-202:-1]]).astype(np.float64)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400.0)
    filters = np.array([[slaney_filter(band, bin_ * 40.0) for bin_ in range(201)] for band in range(80)])
    spectra = [turns @ (window * around[160 * at : 160 * at + 400]) for at in range(20)]
    levels = np.log10(np.maximum(filters @ (np.abs(np.array(spectra).T) ** 2), 1e-10))
    assert found == pytest.approx((np.maximum(levels, levels.max() - 8.0) + 4.0) / 4.0, abs=2e-4)


def test_the_teacher_hears_eight_decades_below_the_loudest() -> None:
    sound = np.zeros(16000, np.float32)
    sound[8000:9000] = speechlike(1000)
    assert np.ptp(whisper_log_mel(sound)) == pytest.approx(2.0, abs=1e-5)
