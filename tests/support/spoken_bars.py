"""Clips without a face: a bar in the place of the mouth that opens as far as noise is loud."""

import numpy as np
from numpy.typing import NDArray

from models.lite.contract import POINTS
from train.data.clips import Clip
from train.data.shards import Sample, SampleInfo

SIZE = 128
GROUND = 140


def opening(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return loudness (frames,) 0..1 that changes within 3 frames, silent at both ends."""
    knots = rng.uniform(0, 1, frames // 3 + 2)
    curve = np.interp(np.arange(frames), np.arange(len(knots)) * 3, knots)
    curve[: min(4, frames // 4)] = curve[frames - min(4, frames // 4) :] = 0.0
    return curve


def bar_clip(speaker: str, seed: int = 0, frames: int = 40) -> Clip:
    """Return a clip of `speaker`, whose picture and sound follow one another."""
    rng = np.random.default_rng((seed, frames))
    curve = opening(frames, rng)
    crops = np.full((frames, SIZE, SIZE, 3), GROUND, dtype=np.uint8)
    landmarks = np.full((frames, 468, 2), 64.0, dtype=np.float32)
    for crop, points, wide in zip(crops, landmarks, curve, strict=True):
        high = round(24 * wide)
        crop[76 - high // 2 : 76 + high - high // 2, 40:90] = (40, 30, 60)
        points[list(POINTS)] += np.linspace(-20, 20, len(POINTS))[:, None]
        points[13], points[14] = (64, 76 - 12 * wide), (64, 76 + 12 * wide)
    crops[..., 10:30, 90:] = 60  # not the same when mirrored
    loud = np.interp(np.arange(frames * 640) / 640.0 - 0.5, np.arange(frames), curve) ** 2
    samples = (loud * rng.normal(size=len(loud)) * 6000).clip(-32768, 32767).astype(np.int16)
    return Clip(f"{speaker}_{seed}", speaker, f"take{seed}", crops, landmarks, samples)


def bar_sample(speaker: str, seed: int, frames: int = 40) -> Sample:
    """Return `bar_clip` as a shard holds it."""
    clip = bar_clip(speaker, seed, frames)
    info = SampleInfo(speaker, clip.source, "0" * 64, 0.0, frames, SIZE, None, None, 100.0, 0.0)
    return Sample(clip.key, info, clip.crops, clip.landmarks, clip.samples)
