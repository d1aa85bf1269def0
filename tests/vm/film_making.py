"""What the host makes for the guest, of the bundled caller: numbered pictures, speech; and what it hears from there."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.devices.api import Samples
from realtime.face.badge import Badge
from realtime.media_file import read_audio, read_video
from tests.vm.numbered_film import BIT, BITS, SPEECH, badge_name, film_name

RATE = 8_000
"""Speech is looked for at this rate."""


def make_film(folder: Path, clip: Path, size: tuple[int, int], count: int) -> None:
    """Write `count` pictures of `clip` as (count, H * 3 // 2, W) uint8 I420, each with its number in the lower left."""
    width, height = size
    film = np.empty((count, height * 3 // 2, width), np.uint8)
    for index, (frame, into) in enumerate(zip(read_video(clip, 25.0), film, strict=False)):
        image = cv2.resize(frame.image, size, interpolation=cv2.INTER_LINEAR)
        into[:] = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        for bit in range(BITS):
            into[height - BIT : height, bit * BIT : (bit + 1) * BIT] = 235 if index >> bit & 1 else 16
    np.save(folder / film_name(size), film)
    badge = Badge()
    grey = badge.draw(np.full((height, width, 3), 128, np.uint8))
    x0, y0, x1, y1 = badge.box(grey.shape)
    np.savez(folder / badge_name(size), box=[x0, y0, x1, y1], luma=grey[y0:y1, x0:x1, 1])


def make_speech(folder: Path, clip: Path) -> Samples:
    """Write the clip's sound, (N,) int16 at 48 kHz, and return it."""
    speech = (np.clip(read_audio(clip, 48_000), -1.0, 1.0) * 32767.0).astype(np.int16)
    np.save(folder / SPEECH, speech)
    return speech


def recognize(heard: Samples, speech: Samples, window_s: float = 0.25) -> NDArray[np.float64]:
    """Find where in `speech` each window of `heard` comes from.

    Returns:
        (n, 3) for each window that is not silent: its begin in `heard`, s; its begin in `speech`, s; how alike, 0..1.
    """
    step, size = 48_000 // RATE, round(window_s * RATE)
    there, known = (x[: x.size // step * step].reshape(-1, step).mean(axis=1) for x in (heard, speech))
    length = 1 << int(known.size + size).bit_length()
    spectrum = np.fft.rfft(known, length)
    power = np.concatenate([[0.0], np.cumsum(known**2)])
    energy = np.maximum(power[size:] - power[:-size], 1.0)
    found = []
    for begin in range(0, there.size - size, size):
        piece = there[begin : begin + size]
        norm = float(np.sum(piece**2))
        if norm < size * 200.0**2:
            continue
        match = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, length)), length)[: energy.size]
        alike = np.where(energy > norm / 10.0, match / np.sqrt(energy * norm), 0.0)
        best = int(np.argmax(alike))
        found.append((begin / RATE, best / RATE, float(alike[best])))
    return np.array(found, np.float64).reshape(-1, 3)
