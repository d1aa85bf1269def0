"""Write mel_golden.npz: Wav2Lip's features by librosa, the reference for models/mel.py.

Run `python tests/assets/make_mel_golden.py` where librosa 0.11 and scipy are installed; lipline itself needs neither.
"""

from pathlib import Path
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.signal import chirp, lfilter

RATE = 16_000


def features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Follow the public settings step by step, in float64, in their own (unfolded) formulas."""
    signal = lfilter([1, -0.97], [1], samples.astype(np.float64))
    stft = librosa.stft(
        y=signal, n_fft=800, hop_length=200, win_length=800, center=True, pad_mode="reflect", dtype=np.complex128
    )
    basis = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600, dtype=np.float64)
    decibels = 20 * np.log10(np.maximum(1e-5, basis @ np.abs(stft))) - 20
    return np.asarray(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4), np.float32)


def signals() -> dict[str, NDArray[np.float64]]:
    """Cover loud and quiet, tonal and noisy, silence, an impulse, clipping, and short lengths."""
    rng = np.random.default_rng(2020)
    time = np.arange(8_137) / RATE
    voiced = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30)) * (
        0.2 + 0.2 * np.sin(2 * np.pi * 4 * time)
    )
    impulse = np.zeros(1_200)
    impulse[555] = 1.0
    sweep = chirp(np.arange(6_000) / RATE, 40, 6_000 / RATE, 7_900, method="logarithmic")
    return {
        "voiced": voiced,
        "sweep": 0.9 * sweep,
        "noise": 1e-3 * rng.standard_normal(3_001),
        "loud": np.clip(2 * rng.standard_normal(2_000), -1, 1),
        "silence": np.zeros(1_000),
        "impulse": impulse,
        "shortest_reflected_once": 0.3 * rng.standard_normal(401),
    }


def main() -> None:
    """Write the file beside this script; samples are int16 so that they are exact in every dtype."""
    arrays: dict[str, Any] = {}  # not of arrays: `savez_compressed` has a keyword of its own
    for name, signal in signals().items():
        pcm = np.round(np.clip(signal, -1, 1) * 32_767).astype(np.int16)
        arrays[f"{name}.pcm"] = pcm
        arrays[f"{name}.mel"] = features(np.asarray(pcm.astype(np.float32) / 32_768, np.float32))
    np.savez_compressed(Path(__file__).with_name("mel_golden.npz"), **arrays)


if __name__ == "__main__":
    main()
