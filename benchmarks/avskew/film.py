"""The caller's film: a talking face, and every 490 ms a beep with a patch that lights up at the same instant.

Two tones and two patches take turns, so that a beep and its flash can be told from their neighbours even when they lie
half a second apart. 490 ms is no multiple of the frame interval: the flash meets the frames at all phases. A camera
exposes for a whole interval; so the patch is as bright as the beep's share of that interval is long.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from client.doctor.checks import CALLER
from models.generator import Image
from realtime.media import AUDIO_RATE
from realtime.media_file import read_audio, read_video

FPS: Final = 25
FRAME_MS: Final = 1000.0 / FPS
EVENT_MS: Final = 490.0
BEEP_MS: Final = 80.0
TONES_HZ: Final = (1000.0, 1600.0)
BEEP_AMPLITUDE: Final = 0.35
SPEECH_RMS: Final = 0.05
NOISE_RMS: Final = 0.007
"""-43 dBFS: speech with pauses would close the speech gate, and with it the mouth, between two beeps."""
NOTCH_HZ: Final = 200.0
DARK, LIT = 20, 230


def beep_start_ms(number: int) -> float:
    """Return when beep `number` (from 0) begins, in ms of the film; the first after half an event."""
    return (number + 0.5) * EVENT_MS


def tone_of(number: int) -> int:
    """Return which tone, and so which patch, beep `number` uses: 0 or 1."""
    return number % len(TONES_HZ)


def paint(image: Image, patch: int, brightness: float) -> None:
    """Fill patch 0 (top left), 1 (top right) or 2 (bottom left) of `image` in place; brightness 0..1."""
    height, width = image.shape[:2]
    side = patch_side(image)
    top = height - side if patch == 2 else 0
    left = width - side if patch == 1 else 0
    image[top : top + side, left : left + side] = round(DARK + (LIT - DARK) * brightness)


def patch_side(image: Image) -> int:
    """Return the side of a patch in px: a multiple of the codec's block of 16."""
    height, width = image.shape[:2]
    return int(max(32, min(height, width) // 5 // 16 * 16))


def brightness(image: Image, patch: int) -> float:
    """Return how bright a patch is, about 0..1, from its inner half."""
    height, width = image.shape[:2]
    side = patch_side(image)
    top = (height - side if patch == 2 else 0) + side // 4
    left = (width - side if patch == 1 else 0) + side // 4
    inner = image[top : top + side // 2, left : left + side // 2]
    return (float(inner.mean()) - DARK) / (LIT - DARK)


@dataclass(frozen=True, slots=True)
class Film:
    """A film.

    Attributes:
        faces: pictures (h, w, 3) uint8 BGR, shown to and fro.
        samples: the whole sound, int16 48 kHz mono.
    """

    faces: tuple[Image, ...]
    samples: NDArray[np.int16]

    def image(self, index: int) -> Image:
        """Return frame `index`, taken at `index` * 40 ms."""
        turn = index % (2 * len(self.faces) - 2)
        image = self.faces[min(turn, 2 * len(self.faces) - 2 - turn)].copy()
        share = exposure(index * FRAME_MS)
        for patch in (0, 1):
            paint(image, patch, share[patch])
        paint(image, 2, 0.0)
        return image


def exposure(at_ms: float) -> tuple[float, float]:
    """Return for both patches which share (0..1) of the frame interval centred at `at_ms` its beep sounds."""
    share = [0.0, 0.0]
    near = round(at_ms / EVENT_MS - 0.5)
    for number in range(max(0, near - 1), near + 2):
        begin, end = beep_start_ms(number), beep_start_ms(number) + BEEP_MS
        overlap = min(end, at_ms + FRAME_MS / 2) - max(begin, at_ms - FRAME_MS / 2)
        share[tone_of(number)] += max(0.0, overlap) / FRAME_MS
    return share[0], share[1]


def make_film(seconds: float, *, size: tuple[int, int] = (320, 240), seed: int = 0) -> Film:
    """Make `seconds` of film from the bundled caller; `size` is width and height in px."""
    frames = [frame for _, frame in zip(range(100), read_video(CALLER, FPS), strict=False)]
    faces = tuple(np.asarray(cv2.resize(f.image, size, interpolation=cv2.INTER_AREA), np.uint8) for f in frames)
    count = round(seconds * AUDIO_RATE)
    speech = np.resize(_notched(read_audio(CALLER, AUDIO_RATE)), count)
    hiss = _notched(np.random.default_rng(seed).standard_normal(count).astype(np.float32))
    sound = speech * (SPEECH_RMS / _rms(speech)) + hiss * (NOISE_RMS / _rms(hiss)) + beeps(seconds)
    return Film(faces, np.asarray(np.clip(sound, -1.0, 1.0) * 32767.0, np.int16))


def beeps(seconds: float) -> NDArray[np.float32]:
    """Return the beeps alone, float32 (n,) at 48 kHz, with ramps of 4 ms around their edges so that none clicks."""
    count = round(seconds * AUDIO_RATE)
    sound = np.zeros(count, np.float32)
    ramp_ms = 4.0
    for number in range(int(seconds * 1000.0 / EVENT_MS) + 1):
        first = round((beep_start_ms(number) - ramp_ms / 2) * AUDIO_RATE / 1000.0)
        length = round((BEEP_MS + ramp_ms) * AUDIO_RATE / 1000.0)
        if first + length > count:
            break
        t = np.arange(length) / AUDIO_RATE
        edge = np.minimum(np.minimum(t, t[::-1]) * 1000.0 / ramp_ms, 1.0)
        tone = np.sin(2 * np.pi * TONES_HZ[tone_of(number)] * t) * edge * BEEP_AMPLITUDE
        sound[first : first + length] += tone.astype(np.float32)
    return sound


def _notched(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove what lies near the tones, so that nothing else is taken for a beep, and what no voice has."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1.0 / AUDIO_RATE)
    for tone in TONES_HZ:
        spectrum[np.abs(hz - tone) < NOTCH_HZ] = 0.0
    spectrum[(hz < 80.0) | (hz > 4000.0)] = 0.0
    return np.asarray(np.fft.irfft(spectrum, len(sound)), np.float32)


def _rms(sound: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) + 1e-9
