"""Planted clips for lite: the mouth opens as far as the sound is loud, over a face of smooth noise."""

import numpy as np

from models.facemesh import MESH
from models.lite.contract import POINTS, LiteConfig, to_crop_px
from train.data.clips import Clip
from train.data.shards import Sample, SampleInfo

SIZE = LiteConfig().size
TINY = {"width": 8, "coefficients": 3, "features": 6}


def planted_clip(name: str = "a", frames: int = 60, seed: int = 0, speaker: str = "someone") -> Clip:
    rng = np.random.default_rng(seed)
    around = np.arange(20) / 20 * 2 * np.pi
    rest = np.concatenate(
        [
            np.stack([-0.25 * np.cos(around), 0.85 + 0.10 * np.sin(around)], -1),
            np.stack([-0.18 * np.cos(around), 0.85 + 0.005 * np.sin(around)], -1),
            np.stack([np.linspace(-0.6, 0.6, 15), np.full(15, 1.3)], -1),
        ]
    )
    opening = np.clip(np.convolve(rng.normal(0, 1, frames + 8), np.ones(5) / 5, "same")[4:-4], 0, 1)
    down = np.maximum(rest[:, 1] - 0.85, 0)[:, None] * np.array([0.0, 2.0])
    shapes = (rest + opening[:, None, None] * down).astype(np.float32)
    landmarks = np.zeros((frames, 468, 2), np.float32)
    landmarks[:, list(POINTS)] = to_crop_px(shapes, SIZE)
    crops = np.clip(rng.normal(128, 40, (frames, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    loud = np.interp(np.arange(frames * 640) / 640.0, np.arange(frames), opening)
    samples = (10 ** (2 * loud - 2) * 0.3 * rng.normal(size=len(loud)) * 32767).clip(-32768, 32767).astype(np.int16)
    clip = Clip(f"{speaker}__{name}__00", speaker, name, crops, landmarks, samples, mesh=MESH)
    # Noise has its loud and its soft moments everywhere; all of it counts.
    clip.__dict__["speech"] = np.ones(frames, bool)
    return clip


def as_sample(clip: Clip) -> Sample:
    info = SampleInfo(clip.speaker, clip.source, "0" * 64, 0.0, len(clip), SIZE, None, None, 100.0, 0.0, clip.mesh)
    return Sample(clip.key, info, clip.crops, clip.landmarks, clip.samples)
