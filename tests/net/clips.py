"""A clip that is long enough for a call: the bundled talking head, several times over, small."""

from pathlib import Path

import cv2
import numpy as np

from models.generator import Image
from realtime.media_file import read_audio, read_video, write_media

SIZE = 320, 240
FPS = 25
RATE = 48_000


def repeated(clip: Path, seconds: float, path: Path) -> Path:
    """Write `clip` to `path`, over and over for `seconds`, at 320x240: real networks want real time, also on two cores.

    `lipline call --clip` plays a file over and over by itself, but the second time from a media time of 0.
    """
    images: list[Image] = []
    for frame in read_video(clip, FPS):
        images.append(np.asarray(cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA), np.uint8))
    sound = read_audio(clip, RATE)
    whole = min(len(images) / FPS, len(sound) / RATE)
    images, sound = images[: int(whole * FPS)], sound[: int(whole * FPS) * RATE // FPS]
    times = int(np.ceil(seconds / whole))
    write_media(path, images * times, FPS, np.tile(sound, times), RATE)
    return path
