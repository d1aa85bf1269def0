"""Turn talking-face videos into clips to train on: `python -m train.prepare --out DIR [--speaker NAME] VIDEO...`.

Each video becomes `SPEAKER__STEM.npz` in DIR: aligned crops at 25 fps, their landmarks, and 16 kHz speech. A video that
is already there is left alone, so that the command can be run again after it was stopped.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.generator import FaceImage, Image
from models.landmarks import transform
from models.lite_contract import LiteConfig
from models.lite_onnx import aligned_crops
from models.mel import SAMPLE_RATE
from realtime.media_file import MediaError, read_audio, read_video
from train.npz import FPS

SHORTEST = 25
"""Frames a clip must have: closed and open mouths must both be in it."""


class FaceLostError(ValueError):
    """Say at which frame no face was found."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Hold a clip to be written: crops (T, S, S, 3) uint8, landmarks (T, 468, 2) crop px, speech int16 at 16 kHz."""

    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    speech: NDArray[np.int16]

    def save(self, out: Path) -> None:
        """Write the clip; the file appears when it is complete."""
        partial = out.with_suffix(".partial.npz")
        np.savez(partial, crops=self.crops, landmarks=self.landmarks, speech=self.speech)
        partial.replace(out)


def prepare(frames: Iterable[Image], speech: NDArray[np.float32], size: int) -> Prepared:
    """Track and crop `frames` (25 fps); `speech` is float32 mono at 16 kHz.

    Raises:
        FaceLostError: a frame shows no face, or there are fewer than 25 frames.
    """
    crops, landmarks = [], []
    with FaceMesh() as mesh:
        for number, image in enumerate(frames):
            found = mesh.find(image)
            if found is None:
                raise FaceLostError(f"no face in frame {number}")
            matrix, _, crop = aligned_crops(FaceImage(image, found), size)
            crops.append(crop)
            landmarks.append(transform(matrix, found))
    if len(crops) < SHORTEST:
        raise FaceLostError(f"only {len(crops)} frames, at least {SHORTEST} are needed")
    samples = np.clip(speech * 32767.0, -32768, 32767).astype(np.int16)
    return Prepared(np.stack(crops), np.stack(landmarks), samples)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 when not one video could be used."""
    parser = argparse.ArgumentParser(prog="python -m train.prepare", description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--speaker", help="who speaks in all of them (default: each video's folder)")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    kept, dropped = 0, []
    for number, video in enumerate(args.videos, 1):
        out = args.out / f"{args.speaker or video.resolve().parent.name}__{video.stem}.npz"
        try:
            if not out.exists():
                frames = (frame.image for frame in read_video(video, FPS))
                prepare(frames, read_audio(video, SAMPLE_RATE), LiteConfig().size).save(out)
            kept += 1
        except (MediaError, FaceLostError) as error:
            dropped.append(f"{video.name}: {error}")
        print(f"\r{number}/{len(args.videos)} videos, {kept} clips", end="", flush=True)
    print()
    for line in dropped:
        print(f"left out: {line}")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
