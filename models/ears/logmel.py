"""The log-mel of Whisper, without its package: what the teacher and its student hear.

Source of every constant: A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, and its
public code (openai/whisper, audio.py, MIT): 16 kHz, periodic Hann windows of 400 samples every 160, power, 80 Slaney
bands of 0 to 8000 Hz, log10, (x + 4) / 4.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.mel import N_MELS, SAMPLE_RATE, Samples, mel_filterbank

LogMel = NDArray[np.float32]
"""(80, k) float32; column i is centred on sample 160 i."""

WIN: Final = 400
"""Length of the analysis window and of the FFT, in samples (25 ms)."""

HOP: Final = 160
"""Spacing of columns in samples (10 ms)."""

_RANGE: Final = 8.0  # decades below the loudest that the teacher hears
_LEAST: Final = 1e-10

FLOOR: Final = -0.75
"""Least value of a column of the student: power 1e-7, which is digital silence to it.

The teacher's floor follows the loudest moment of its 30 s. A stream does not know it, and a floor that moves would make
what is heard depend on when the stream began.
"""


def whisper_log_mel(samples: Samples) -> LogMel:
    """Compute the teacher's log-mel of a whole recording, normalised by its loudest moment.

    Args:
        samples: (n,) mono at 16 kHz, -1..1, at least 201.

    Returns:
        float32 (80, n // 160).
    """
    padded = np.pad(samples.astype(np.float64), WIN // 2, mode="reflect")
    levels = np.log10(np.maximum(_powers(padded), _LEAST))[: len(samples) // HOP]
    levels = np.maximum(levels, levels.max() - _RANGE)
    return np.ascontiguousarray(((levels + 4.0) / 4.0).astype(np.float32).T)


def columns_of(padded: NDArray[np.float64]) -> LogMel:
    """Compute every whole column of the student's log-mel of an already padded signal.

    Args:
        padded: (m,) float64; column i covers samples 160 i to 160 i + 399 of it.

    Returns:
        float32 (80, max(0, 1 + (m - 400) // 160)), at least FLOOR.
    """
    if padded.size < WIN:
        return np.empty((N_MELS, 0), dtype=np.float32)
    levels = (np.log10(np.maximum(_powers(padded), _LEAST)) + 4.0) / 4.0
    return np.ascontiguousarray(np.maximum(levels, FLOOR).astype(np.float32).T)


def log_mel(samples: Samples) -> LogMel:
    """Compute the student's log-mel of a whole recording: silence before it, its last column still whole.

    Returns:
        float32 (80, k): column i is centred on sample 160 i.
    """
    return columns_of(np.pad(np.asarray(samples, np.float64), (WIN // 2, 0)))


class LogMelStream:
    """Compute the student's log-mel from chunks of any length; joined, equal to `log_mel` of the joined samples.

    Column i comes with the push that brings sample 160 i + 199. At most 399 samples are kept. Not thread-safe.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.float64] = np.zeros(WIN // 2)

    def push(self, samples: Samples) -> LogMel:
        """Take the next samples (n,), mono at 16 kHz, and return the columns (80, k) that they complete."""
        self._kept = np.concatenate((self._kept, np.asarray(samples, np.float64)))
        columns = columns_of(self._kept)
        self._kept = self._kept[columns.shape[1] * HOP :].copy()
        return columns


def _powers(padded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power in each band, (k, 80)."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, WIN)[::HOP]
    # One window at a time gives the same numbers as many at once: only the product below could differ, and float64
    # leaves that far under float32's last place.
    spectra = np.fft.rfft(frames * _WINDOW, axis=1)
    powers: NDArray[np.float64] = (spectra.real**2 + spectra.imag**2) @ _FILTERS
    return powers


_WINDOW: Final = np.hanning(WIN + 1)[:-1]
_FILTERS: Final = np.ascontiguousarray(mel_filterbank(WIN, 0.0, SAMPLE_RATE / 2).T)
