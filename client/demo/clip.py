"""Make the clip that the caller plays: a talking face, 25 frames and 48,000 samples a second, as long as the call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from client.demo.sound import AUDIO_RATE, Samples
from client.errors import UsageError
from models.facemesh import FaceMesh
from models.generator import Image

FPS = 25
MAX_SIDE = 640
MIN_FACE_SHARE = 0.8
MIN_LEVEL = 50.0
"""RMS of int16 samples under which a sound track is silence."""

_CHECK_EVERY = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """Hold the caller's clip: file, (n, H, W, 3) BGR frames at 25 a second, int16 48 kHz mono sound, and warnings."""

    path: Path
    images: NDArray[np.uint8]
    samples: Samples
    warnings: tuple[str, ...] = ()


def prepare(sources: Sequence[Path], seconds: float, path: Path) -> Clip:
    """Join `sources`, loop or cut them to `seconds`, check that there are a face and a voice, and write `path`.

    Raises:
        UsageError: a file cannot be read, or has no picture, no sound, only silence, or no face; says what to do.
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
    images = np.resize(images, (wanted, *images.shape[1:]))
    samples = np.resize(samples, round(seconds * AUDIO_RATE))
    write(path, images, samples, crf=14, lossless_sound=True)
    return Clip(path, images, samples, tuple(warnings))


def write(
    path: Path, images: NDArray[np.uint8] | Iterator[Image], samples: Samples, *, crf: int, lossless_sound: bool = False
) -> None:
    """Write BGR `images` at 25 frames a second with 48 kHz mono `samples`: H.264 with AAC or PCM, format by `path`."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
        sound = container.add_stream("pcm_s16le" if lossless_sound else "aac", rate=AUDIO_RATE)
        sound.layout = "mono"
        block = AUDIO_RATE // FPS
        for index, image in enumerate(images):
            if index == 0:
                video.height, video.width = image.shape[:2]
                video.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
            piece = samples[index * block : (index + 1) * block]
            if len(piece):
                heard = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = AUDIO_RATE, index * block, Fraction(1, AUDIO_RATE)
                container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def _read(source: Path, size: tuple[int, int] | None, seconds: float) -> tuple[NDArray[np.uint8], Samples]:
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise UsageError(f"{source} has no picture; use a video of a talking face")
            if not container.streams.audio:
                raise UsageError(f"{source} has no sound; use a video in which the speaker can be heard")
            images = np.stack(list(_pictures(container, size, seconds)))
        with av.open(str(source)) as container:
            samples = _sound(container)
    except FileNotFoundError as error:
        raise UsageError(f"{source} does not exist") from error
    except (av.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{source} cannot be read as video ({getattr(error, 'strerror', None) or error}); convert it to MP4 first"
        ) from error
    wanted = len(images) * AUDIO_RATE // FPS
    padded = np.zeros(wanted, np.int16)
    padded[: min(wanted, len(samples))] = samples[:wanted]
    return images, padded


def _pictures(
    container: av.container.InputContainer, size: tuple[int, int] | None, seconds: float
) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture due at each 25th of a second; broken packets are passed over."""
    width, height = size or _fit(container.streams.video[0])
    start: float | None = None
    due = 0
    last: NDArray[np.uint8] | None = None
    for frame in container.decode(video=0):
        time = frame.time if frame.time is not None else 0.0
        start = time if start is None else start
        while last is not None and due / FPS < time - start - 1e-4:
            yield last
            due += 1
            if due >= seconds * FPS:
                return
        last = np.asarray(frame.to_ndarray(format="bgr24", width=width, height=height), np.uint8)
    if last is not None:
        yield last


def _fit(stream: av.video.stream.VideoStream) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(stream.width, stream.height, 1))
    return max(2, int(stream.width * scale) // 2 * 2), max(2, int(stream.height * scale) // 2 * 2)


def _sound(container: av.container.InputContainer) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE)
    pieces = [np.zeros(0, np.int16)]
    for frame in container.decode(audio=0):
        pieces += [np.asarray(part.to_ndarray()[0], np.int16) for part in resampler.resample(frame)]
    pieces += [np.asarray(part.to_ndarray()[0], np.int16) for part in resampler.resample(None)]
    return np.concatenate(pieces)


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


def load(path: Path) -> tuple[NDArray[np.uint8], Samples]:
    """Read a clip that `prepare` wrote: (n, H, W, 3) BGR frames and int16 samples."""
    with av.open(str(path)) as container:
        images = np.stack(
            [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
        )
    with av.open(str(path)) as container:
        return images, _sound(container)
