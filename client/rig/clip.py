"""Make the clip that the caller plays: a talking face, 25 frames and 48,000 samples a second, as long as the call."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from client.errors import UsageError
from client.rig.sound import AUDIO_RATE, Samples
from models.facemesh import FaceMesh
from models.generator import Image
from realtime.media_file import probe, read_audio, read_video, write_media

FPS = 25
MAX_SIDE = 640
MIN_FACE_SHARE = 0.8
MIN_LEVEL = 50.0
"""RMS of int16 samples under which a sound track is silence."""

_CHECK_EVERY = 5


@dataclass(frozen=True, slots=True)
class PlayedClip:
    """The caller's clip.

    Attributes:
        path: prepared file that the caller's process plays.
        images: (n, H, W, 3) uint8 BGR frames, 25 a second.
        samples: int16 48 kHz mono sound.
        cuts: indices of the frames before which another piece ends: the step into them is nobody's motion.
        warnings: sentences that the person should read about the clip.
    """

    path: Path
    images: NDArray[np.uint8]
    samples: Samples
    cuts: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


def prepare(sources: Sequence[Path], seconds: float, path: Path) -> PlayedClip:
    """Join `sources`, loop or cut them to `seconds`, check that there are a face and a voice, and write `path`.

    Raises:
        UsageError: a file has no sound, only silence, or no face; says what to do.
        MediaError: a file cannot be read or has no picture.
    """
    pictures, sounds = [], []
    size: tuple[int, int] | None = None
    for source in sources:
        images, samples = _read(source, size, seconds)
        size = (images.shape[2], images.shape[1])
        pictures.append(images)
        sounds.append(samples)
    images, samples = np.concatenate(pictures), np.concatenate(sounds)
    _check_sound(samples, sources)
    _check_face(images, sources)
    wanted = round(seconds * FPS)
    warnings = []
    if len(images) < wanted:
        warnings.append(
            f"the clip lasts {len(images) / FPS:.1f} s and the call {seconds:.0f} s: it is played again from the start "
            "(several --clip of one speaker are joined)"
        )
    starts = np.cumsum([0, *(len(piece) for piece in pictures)])
    cuts = [start + len(images) * turn for turn in range(wanted // len(images) + 1) for start in starts]
    images = np.resize(images, (wanted, *images.shape[1:]))
    samples = np.resize(samples, round(seconds * AUDIO_RATE))
    write_media(path, images, FPS)
    np.save(_sound_of(path), samples, allow_pickle=False)
    inner = tuple(sorted({int(cut) for cut in cuts if 0 < cut < wanted}))
    return PlayedClip(path, images, samples, inner, tuple(warnings))


def load(path: Path) -> tuple[NDArray[np.uint8], Samples]:
    """Read a clip that `prepare` wrote: (n, H, W, 3) BGR frames and int16 samples."""
    images = np.stack([frame.image for frame in read_video(path, FPS)])
    return images, np.load(_sound_of(path), allow_pickle=False)


def _sound_of(path: Path) -> Path:
    # Beside the picture and uncompressed: an audio codec would shift it by its own delay.
    return path.with_suffix(".npy")


def _read(source: Path, size: tuple[int, int] | None, seconds: float) -> tuple[NDArray[np.uint8], Samples]:
    found = probe(source)
    if not found.has_audio:
        raise UsageError(f"{source} has no sound; use a video in which the speaker can be heard")
    width, height = size or _fit(found.width, found.height)
    frames = itertools.islice(read_video(source, FPS), round(seconds * FPS))
    images = np.stack([_scaled(frame.image, width, height) for frame in frames])
    samples = np.zeros(len(images) * AUDIO_RATE // FPS, np.int16)
    heard = (np.clip(read_audio(source, AUDIO_RATE), -1.0, 1.0) * 32767.0).astype(np.int16)[: len(samples)]
    samples[: len(heard)] = heard
    return images, samples


def _fit(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(width, height, 1))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _scaled(image: Image, width: int, height: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _check_sound(samples: Samples, sources: Sequence[Path]) -> None:
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
    if level < MIN_LEVEL:
        raise UsageError(f"{_names(sources)}: the sound track is silent; use a video in which the speaker can be heard")


def _check_face(images: NDArray[np.uint8], sources: Sequence[Path]) -> None:
    with FaceMesh() as mesh:
        looked = images[::_CHECK_EVERY]
        found = sum(mesh.find(image) is not None for image in looked)
    if found < MIN_FACE_SHARE * len(looked):
        raise UsageError(
            f"{_names(sources)}: a face was found in only {found} of {len(looked)} frames looked at; "
            "use a video in which one person faces the camera, at least 100 px wide"
        )


def _names(sources: Sequence[Path]) -> str:
    return ", ".join(source.name for source in sources)
