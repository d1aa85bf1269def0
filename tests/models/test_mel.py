"""The offline mel against librosa's figures."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.mel import FMAX_HZ, FMIN_HZ, mel_filterbank, melspectrogram

GOLDEN = np.load(Path(__file__).parents[1] / "assets" / "mel_golden.npz")
NAMES = sorted(name[: -len(".pcm")] for name in GOLDEN if name.endswith(".pcm"))


@pytest.mark.parametrize("name", NAMES)
def test_equals_librosa(name: str) -> None:
    mel = melspectrogram(GOLDEN[f"{name}.pcm"].astype(np.float32) / 32_768)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, GOLDEN[f"{name}.mel"], rtol=0, atol=1e-6)


def test_silence_is_exactly_minus_four() -> None:
    assert (melspectrogram(np.zeros(3_000, dtype=np.float32)) == -4).all()


@pytest.mark.parametrize("n", [0, 1, 2, 199, 200, 399, 400, 401, 799, 800, 1_000])
def test_shape_holds_for_every_length(n: int) -> None:
    mel = melspectrogram(np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32))
    assert mel.shape == (80, 1 + n // 200)
    assert np.isfinite(mel).all() and (mel >= -4).all() and (mel <= 4).all()


def test_empty_is_silence() -> None:
    assert (melspectrogram(np.empty(0, dtype=np.float32)) == -4).all()


def test_blocks_do_not_show() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, 200 * 1_100).astype(np.float32)
    whole = melspectrogram(noise)
    # Column 1,030 lies behind the first block's edge; the same sound near the start of a recording lies before it.
    part = melspectrogram(noise[200 * 1_000 :])
    np.testing.assert_allclose(whole[:, 1_005:1_095], part[:, 5:95], rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [np.zeros((2, 800)), np.array([0.0, np.nan]), np.array([np.inf])])
def test_refuses_what_is_not_a_mono_signal(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="samples"):
        melspectrogram(bad.astype(np.float32))


def test_filters_stay_inside_the_band() -> None:
    filters = mel_filterbank()
    hz = np.fft.rfftfreq(800, 1 / 16_000)
    assert filters.shape == (80, 401)
    assert not filters[:, (hz <= FMIN_HZ) | (hz >= FMAX_HZ)].any()
    assert (filters.sum(axis=1) > 0).all()
