import numpy as np
import pytest

from client.rig.sound import AUDIO_RATE, Samples, audio_delay, speaking, speech_lost
from client.rig.timeline import Span


def speech(seconds: float, seed: int = 1) -> Samples:
    """Return noise with syllables: 4 Hz bursts, so that loudness and content both have structure."""
    n = int(seconds * AUDIO_RATE)
    noise = np.random.default_rng(seed).normal(size=n)
    smooth = np.convolve(noise, np.ones(24) / 24, mode="same")
    bursts = np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / AUDIO_RATE), 0, 1)
    samples: Samples = (smooth * bursts * 20000).astype(np.int16)
    return samples


def delayed(samples: Samples, ms: float) -> Samples:
    return np.concatenate([np.zeros(int(ms * AUDIO_RATE / 1000), np.int16), samples])


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
