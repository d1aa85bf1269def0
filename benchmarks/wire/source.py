"""The clip that is played in every call: the bundled caller, at the size that the machine carries."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from client.doctor.checks import CALLER
from client.rig import clip as rig_clip
from client.rig.clip import FPS
from client.rig.picture import brightness, planar, shrunk
from client.rig.sound import AUDIO_RATE, Samples
from realtime.media_file import read_audio, read_video, write_media


@dataclass(frozen=True, slots=True)
class Source:
    """What was played; times in ms of the call.

    Attributes:
        path: the prepared file.
        times_ms: (n,) time of each of its frames.
        small: (n, 36, 48) uint8 brightness of each frame.
        samples: int16 48 kHz mono.
    """

    path: Path
    times_ms: NDArray[np.float64]
    small: NDArray[np.uint8]
    samples: Samples


def prepare(size: tuple[int, int], seconds: float, folder: Path) -> Source:
    """Make the clip of `seconds` at `size` (width, height) in `folder`.

    Raises:
        UsageError: no face or no voice is found in it at that size.
    """
    scaled = folder / f"caller-{size[0]}x{size[1]}.mp4"
    frames = (cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA) for frame in read_video(CALLER, FPS))
    write_media(
        scaled, (np.asarray(frame, np.uint8) for frame in frames), FPS, read_audio(CALLER, AUDIO_RATE), AUDIO_RATE
    )
    path = folder / "clip.mp4"
    rig_clip.prepare([scaled], seconds, path)
    # As the caller will play it: what its file lost is no fault of the call.
    images, samples = rig_clip.load(path)
    small = np.stack([shrunk(brightness(planar(image))) for image in images])
    return Source(path, np.arange(len(images)) * 1000.0 / FPS, small, samples)
