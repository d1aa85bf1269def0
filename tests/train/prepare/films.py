"""Faces, films and sounds that the tests of `lipline prepare` share."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models import landmarks as index

RATE = 16_000


def face_at(x: float, y: float, eyes: float = 60.0) -> NDArray[np.float32]:
    """Return landmarks (468, 2) of a frontal face with its eyes' middle at (x, y) px."""
    unit = np.zeros((468, 2))
    around = np.arange(20) / 20 * 2 * np.pi
    for group, width, height in ((index.LIPS_OUTER, 0.25, 0.12), (index.LIPS_INNER, 0.18, 0.03)):
        unit[list(group)] = np.stack([-width * np.cos(around), 0.85 + height * np.sin(around)], -1)
    unit[list(index.JAW)] = np.stack([np.linspace(-0.6, 0.6, 15), np.full(15, 1.3)], -1)
    unit[list(index.STABLE)] = index._TEMPLATE / np.ptp(index._TEMPLATE[[0, 3], 0])
    unit[[234, 454]] = [(-0.75, 0.1), (0.75, 0.1)]
    return np.asarray(unit * eyes + (x, y), dtype=np.float32)


def loudness(*seconds_db: tuple[float, float]) -> NDArray[np.float32]:
    """Return dB per frame from (seconds, dB) pairs."""
    return np.concatenate([np.full(round(s * 25), db, np.float32) for s, db in seconds_db])


def write_click_film(path: Path, *, picture_late_s: float, rate: int = RATE) -> None:
    """Write a film of 2 s: white from 1 s of the clock on, and a click at 1 s; the picture begins late."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = film.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number in range(50 - round(picture_late_s * 25)):
            at_ms = round(picture_late_s * 1000) + number * 40
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 255 * (at_ms >= 1000), np.uint8), format="bgr24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        sound = np.zeros((1, 2 * rate), np.int16)
        sound[0, rate : rate + 160] = 20_000
        for first in range(0, 2 * rate, rate // 10):
            block = av.AudioFrame.from_ndarray(sound[:, first : first + rate // 10], format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = rate, first, Fraction(1, rate)
            film.mux(audio.encode(block))
        film.mux(audio.encode(None))
