"""Speech that is made up, written to files, and a tiny teacher with random weights."""

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
WIDTH = 64


def babble(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Return coloured noise whose loudness goes up and down as that of speech does, without a period."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    turns = np.arange(0, count + 1600, 1600)
    loud = np.interp(np.arange(count), turns, rng.uniform(0.05, 1.0, turns.size))
    smooth = np.convolve(rng.standard_normal(count), np.ones(3) / 3, "same")
    return np.asarray(0.2 * loud * smooth, np.float32)


def write_wav(path: Path, sound: NDArray[np.float32]) -> Path:
    """Write a recording, and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.clip(sound * 32767.0, -32768, 32767).astype("<i2").tobytes())
    return path


def write_teacher(path: Path, seed: int = 0) -> Path:
    """Write an encoder of one layer as CTranslate2 names its arrays."""
    rng = np.random.default_rng(seed)
    layer = "layer_0."
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (WIDTH, 80, 3),
        "conv1.bias": (WIDTH,),
        "conv2.weight": (WIDTH, WIDTH, 3),
        "conv2.bias": (WIDTH,),
        "position_encodings.encodings": (1500, WIDTH),
        f"{layer}self_attention.linear_0.weight": (3 * WIDTH, WIDTH),
        f"{layer}self_attention.linear_0.bias": (3 * WIDTH,),
        f"{layer}self_attention.linear_1.weight": (WIDTH, WIDTH),
        f"{layer}self_attention.linear_1.bias": (WIDTH,),
        f"{layer}ffn.linear_0.weight": (4 * WIDTH, WIDTH),
        f"{layer}ffn.linear_0.bias": (4 * WIDTH,),
        f"{layer}ffn.linear_1.weight": (WIDTH, 4 * WIDTH),
        f"{layer}ffn.linear_1.bias": (WIDTH,),
    }
    arrays: dict[str, Any] = {
        name: (0.1 * rng.standard_normal(shape)).astype(np.float16) for name, shape in shapes.items()
    }
    for norm in ("layer_norm", f"{layer}self_attention.layer_norm", f"{layer}ffn.layer_norm"):
        arrays[f"{norm}.gamma"] = np.ones(WIDTH, np.float16)
        arrays[f"{norm}.beta"] = np.zeros(WIDTH, np.float16)
    arrays["num_heads"] = np.array(1)
    np.savez(path, **arrays)
    return path
