"""Recordings of noise that is as loud as a curve of a face is high."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def loudness(frames: int, seed: int) -> NDArray[np.float32]:
    return np.asarray(
        np.clip(np.convolve(np.random.default_rng(seed).normal(0.3, 1, frames), np.ones(5) / 3, "same"), 0, 1),
        np.float32,
    )


def write_recording(folder: Path, name: str, frames: int = 60, seed: int = 0) -> NDArray[np.float32]:
    """Write a recording of noise that is as loud as the second of its three curves is high, at 30 fps."""
    loud = loudness(frames, seed)
    count = frames * RATE // 30
    level = np.interp(np.arange(count) * 30 / RATE, np.arange(frames), loud)
    noise = 3000 * level * np.random.default_rng(seed).standard_normal(count)
    with av.open(str(folder / f"{name}.flac"), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise.clip(-32768, 32767).astype(np.int16)[None], "s16", "mono")
        frame.rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    curves: NDArray[np.float32] = np.stack([1.0 - loud, loud, np.zeros_like(loud)], 1)
    np.save(folder / f"{name}.npy", curves)
    return curves
