"""How clean a tone came through: its amplitude, and the share of it without clicks or gaps."""

import numpy as np
from numpy.typing import NDArray

RATE, TONE = 48_000, 997.0
WINDOW = 2_400
"""50 ms: so short that a clock 0.05 % off moves the phase by nothing."""


def tone(index: int, amplitude: float = 16_000.0) -> NDArray[np.int16]:
    """Return block number `index` of a steady tone."""
    places = np.arange(960 * index, 960 * (index + 1))
    return np.asarray(amplitude * np.sin(2.0 * np.pi * TONE * places / RATE), np.int16)


def judge(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median amplitude, and the share of windows in which less than 2 % of it is anything else."""
    waves = np.stack([f(2.0 * np.pi * TONE * np.arange(WINDOW) / RATE) for f in (np.sin, np.cos)]).T
    amplitudes, rests = [], []
    for begin in range(0, samples.size - WINDOW, WINDOW):
        piece = samples[begin : begin + WINDOW]
        found = np.linalg.lstsq(waves, piece, rcond=None)[0]
        amplitudes.append(float(np.hypot(*found)))
        rests.append(float(np.sqrt(np.mean((piece - waves @ found) ** 2))))
    amplitude = float(np.median(amplitudes))
    return amplitude, float(np.mean(np.array(rests) < 0.02 * amplitude))
