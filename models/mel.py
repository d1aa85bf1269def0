"""The mel features of Wav2Lip, without librosa.

Source of every constant: the public audio settings of Wav2Lip (Prajwal et al., "A Lip Sync Expert Is All You Need",
2020) and the Slaney mel scale (M. Slaney, Auditory Toolbox, 1998). `models.melstream` streams the same features.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""(n,) float32, mono, 16 kHz, full scale -1..1."""

Mel = NDArray[np.float32]
"""(80, k) float32, -4..4; column i is centred on sample 200 i."""

SAMPLE_RATE: Final = 16_000
WIN: Final = 800
"""Length of the analysis window and of the FFT, in samples (50 ms)."""

HOP: Final = 200
"""Spacing of mel columns in samples (12.5 ms)."""

N_MELS: Final = 80
FMIN_HZ: Final = 55.0
FMAX_HZ: Final = 7600.0
PREEMPHASIS: Final = 0.97

# 20 log10(S) - 20 dB, then -100..0 dB stretched to -4..4, is one line in log10(S).
_LOG_GAIN: Final = 1.6
_LOG_OFFSET: Final = 2.4
_FLOOR: Final = 1e-5
_LIMIT: Final = 4.0
SILENCE: Final = -_LIMIT
"""Value of every mel bin for digital silence."""

_BLOCK: Final = 1024
"""Columns computed at a time, so that an hour of sound needs megabytes, not gigabytes, of scratch memory."""


def melspectrogram(samples: Samples) -> Mel:
    """Compute Wav2Lip's mel spectrogram of a whole recording.

    Pre-emphasis 0.97, centred STFT (periodic Hann of 800, hop 200, reflect padding), magnitude, 80 Slaney mel bands of
    55..7600 Hz, decibels, stretched and clipped to -4..4. Digital silence is exactly -4.

    A recording shorter than 401 samples is reflected as often as the padding needs; an empty one gives one column of
    silence, so that the shape below always holds.

    Args:
        samples: (n,) mono at 16 kHz; any real dtype, computed in float64.

    Returns:
        float32 (80, 1 + n // 200).

    Raises:
        ValueError: when `samples` is not one-dimensional or holds NaN or infinity.
    """
    signal = preemphasize(samples, 0.0)
    if signal.size == 0:
        return np.full((N_MELS, 1), -_LIMIT, dtype=np.float32)
    return columns_of(np.pad(signal, WIN // 2, mode="reflect"))


def preemphasize(samples: Samples, previous: float) -> NDArray[np.float64]:
    """Return y[n] = x[n] - 0.97 x[n - 1] as float64 (n,), with `previous` for x[-1].

    Raises:
        ValueError: when `samples` is not one-dimensional or holds NaN or infinity.
    """
    signal = np.asarray(samples, dtype=np.float64)
    if signal.ndim != 1:
        raise ValueError(f"samples must be mono with shape (n,), not {signal.shape}: mix the channels down first")
    if not np.isfinite(signal).all():
        raise ValueError("samples hold NaN or infinity: replace them by 0 before the mel")
    delayed = np.empty_like(signal)
    delayed[:1] = previous
    delayed[1:] = signal[:-1]
    return signal - PREEMPHASIS * delayed


def columns_of(padded: NDArray[np.float64]) -> Mel:
    """Compute every whole column of an already padded and pre-emphasised signal.

    Args:
        padded: (m,) float64; column i covers samples 200 i to 200 i + 799 of it.

    Returns:
        float32 (80, max(0, 1 + (m - 800) // 200)).
    """
    if padded.size < WIN:
        return np.empty((N_MELS, 0), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WIN)[::HOP]
    blocks = [_levels(frames[at : at + _BLOCK]) for at in range(0, len(frames), _BLOCK)]
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _levels(frames: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn windows (k, 800) into normalised mel levels (k, 80)."""
    # float64 on purpose: beside loud speech the float32 rounding of the FFT shows in quiet bands.
    magnitude = np.abs(np.fft.rfft(frames * _WINDOW, axis=1)[:, _BINS])
    level = _LOG_GAIN * np.log10(np.maximum(magnitude @ _FILTERS, _FLOOR)) + _LOG_OFFSET
    clipped: NDArray[np.float32] = np.clip(level, -_LIMIT, _LIMIT).astype(np.float32)
    return clipped


def mel_filterbank(window: int = WIN, low_hz: float = FMIN_HZ, high_hz: float = FMAX_HZ) -> NDArray[np.float64]:
    """Return 80 triangular Slaney filters with unit area, float64 (80, window // 2 + 1), for an FFT of `window`."""
    corners = _mel_to_hz(np.linspace(_hz_to_mel(low_hz), _hz_to_mel(high_hz), N_MELS + 2))
    bins = np.fft.rfftfreq(window, 1.0 / SAMPLE_RATE)
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    scaled: NDArray[np.float64] = triangles * 2.0 / (high - low)
    return scaled


# Slaney's scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 mel for a factor of 6.4).
_HZ_PER_MEL: Final = 200.0 / 3.0
_BREAK_HZ: Final = 1000.0
_LOG_STEP: Final = float(np.log(6.4)) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return _BREAK_HZ / _HZ_PER_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mel - _BREAK_HZ / _HZ_PER_MEL
    logarithmic = _BREAK_HZ * np.exp(np.maximum(above, 0) * _LOG_STEP)
    hz: NDArray[np.float64] = np.where(above < 0, mel * _HZ_PER_MEL, logarithmic)
    return hz


# np.hanning is symmetric; one point more and the last dropped makes it periodic.
_WINDOW: Final = np.hanning(WIN + 1)[:-1]
# No filter reaches past 7600 Hz, so the bins above are not multiplied.
_BINS: Final = slice(0, int(FMAX_HZ * WIN / SAMPLE_RATE) + 1)
_FILTERS: Final = np.ascontiguousarray(mel_filterbank()[:, _BINS].T)
