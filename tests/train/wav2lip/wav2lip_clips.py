"""Planted clips: a face whose mouth opens as far as its sound is loud, in crops that tell their frame's number."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from models.expert.contract import ExpertConfig
from models.expert.network import SyncNet
from train.data.clips import Clip
from train.wav2lip.config import ExpertFile, LossConfig, Wav2LipTraining

SIZE = 128


def planted_clip(key: str = "a", frames: int = 24, seed: int = 0, size: int = SIZE) -> Clip:
    """Return a clip of `frames`: the mouth is a dark bar, open as far as it is loud; the rest is a smooth gradient."""
    rng = np.random.default_rng(seed)
    opening = np.clip(np.convolve(rng.normal(0.3, 0.8, frames + 4), np.ones(5) / 5, "valid"), 0.02, 1.0)
    ys, xs = np.mgrid[0:size, 0:size] / size
    face = np.stack([0.3 + 0.5 * xs, 0.3 + 0.4 * ys, 0.8 - 0.3 * xs * ys], -1)
    crops = np.repeat(face[None], frames, 0)
    for crop, wide in zip(crops, opening, strict=True):
        crop[np.abs(ys - 0.7) < 0.01 + 0.06 * wide] *= 0.3
    loud = np.repeat(opening, 640)
    samples = loud * 0.3 * np.sin(np.arange(frames * 640) * 2 * math.pi * 220 / 16000)
    return Clip(
        key,
        "someone",
        key,
        (crops * 255).astype(np.uint8),
        np.stack([landmarks(wide, size) for wide in opening]),
        (samples * 32767).astype(np.int16),
    )


def landmarks(opening: float, size: int = SIZE) -> NDArray[np.float32]:
    """Return 468 points on an oval that is longer the farther the mouth opens."""
    angle = np.arange(468) / 468 * 2 * np.pi
    points = np.stack([0.5 + 0.35 * np.sin(angle), 0.45 - 0.4 * np.cos(angle)], -1)
    points[:, 1] += 0.06 * opening * np.clip(points[:, 1] - 0.45, 0, None) / 0.4
    return np.asarray(points * size, np.float32)


def planted_mel(clip: Clip, values: NDArray[np.float32]) -> Clip:
    """Give the clip a mel whose columns hold `values`, in every band."""
    clip.__dict__["mel"] = np.repeat(values[None].astype(np.float32), 80, 0)
    return clip


def tiny_expert(frames: int = 5) -> SyncNet:
    """Return an untrained expert of 8 channels a layer."""
    torch.manual_seed(3)
    return SyncNet(ExpertConfig(frames=frames, width=0.01))


def training(**changes: object) -> Wav2LipTraining:
    """Return a configuration of a tiny run."""
    values: dict[str, object] = {
        "expert": ExpertFile(file="expert.onnx"),
        "loss": LossConfig(),
        "batch": 2,
        "width": 0.05,
        "held_out": 3,
    }
    return Wav2LipTraining.model_validate(values | changes)
