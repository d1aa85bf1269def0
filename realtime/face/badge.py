"""The mark that every synthetic frame carries."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image

GENERATED: Final = "AI-generated video"
PAUSED: Final = "Video paused"

_FONT: Final = cv2.FONT_HERSHEY_DUPLEX
_MIN_TEXT_PX: Final = 12
_OVERSAMPLE: Final = 4  # OpenCV's stroke fonts are only legible at small sizes when drawn large and reduced


class Badge:
    """Draw a text on a rounded dark plate in the upper right corner. Plates are kept per frame size."""

    def __init__(self, text: str = GENERATED) -> None:
        """Prepare a badge that says `text` (ASCII)."""
        self.text = text
        self._plate: tuple[tuple[int, int], NDArray[np.float32], NDArray[np.float32]] | None = None

    def draw(self, image: Image) -> Image:
        """Return a copy of `image` (H, W, 3) uint8 BGR with the badge; too small an image gets as much as fits."""
        out = image.copy()
        height, width = image.shape[:2]
        if self._plate is None or self._plate[0] != (height, width):
            self._plate = ((height, width), *_render(self.text, height, width))
        _, colour, alpha = self._plate
        x0, y0, x1, y1 = self.box(image.shape)
        under = out[y0:y1, x0:x1].astype(np.float32)
        part = alpha[: y1 - y0, : x1 - x0]
        out[y0:y1, x0:x1] = (under + part * (colour[: y1 - y0, : x1 - x0] - under) + 0.5).astype(np.uint8)
        return out

    def box(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return x0, y0, x1, y1 of the plate in an image of `shape` (H, W, ...)."""
        height, width = shape[:2]
        plate_w, plate_h, margin = _plate_size(self.text, height, width)
        x0 = max(0, width - margin - plate_w)
        y0 = min(margin, max(0, height - plate_h))
        return x0, y0, min(width, x0 + plate_w), min(height, y0 + plate_h)


def _text_px(height: int, width: int) -> int:
    return max(_MIN_TEXT_PX, round(min(height, width) * 0.032))


def _plate_size(text: str, height: int, width: int) -> tuple[int, int, int]:
    """Return the plate's width and height and its margin to the frame, px."""
    px = _text_px(height, width)
    scale = cv2.getFontScaleFromHeight(_FONT, px * _OVERSAMPLE, _OVERSAMPLE)
    (text_w, _), _ = cv2.getTextSize(text, _FONT, scale, _OVERSAMPLE)
    return round(text_w / _OVERSAMPLE) + 2 * round(px * 0.8), round(px * 2.1), max(6, round(min(height, width) * 0.025))


def _render(text: str, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the plate's colour (h, w, 3) in 0..255 and its opacity (h, w, 1) in 0..1."""
    px = _text_px(height, width)
    plate_w, plate_h, _ = _plate_size(text, height, width)
    big_w, big_h, radius = plate_w * _OVERSAMPLE, plate_h * _OVERSAMPLE, plate_h * _OVERSAMPLE // 2
    plate = np.zeros((big_h, big_w), dtype=np.uint8)
    cv2.rectangle(plate, (radius, 0), (big_w - radius, big_h), (255,), cv2.FILLED)
    for x in (radius, big_w - radius - 1):
        cv2.circle(plate, (x, radius), radius - 1, (255,), cv2.FILLED)
    letters = np.zeros_like(plate)
    scale = cv2.getFontScaleFromHeight(_FONT, px * _OVERSAMPLE, _OVERSAMPLE)
    origin = (round(px * 0.8) * _OVERSAMPLE, (plate_h + px) * _OVERSAMPLE // 2)
    cv2.putText(letters, text, origin, _FONT, scale, (255,), _OVERSAMPLE + 1, cv2.LINE_AA)
    size = (plate_w, plate_h)
    plate_f = cv2.resize(plate, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255.0
    letters_f = cv2.resize(letters, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255.0
    colour = np.float32(24.0) + np.repeat(letters_f, 3, axis=2) * np.float32(231.0)
    return colour.astype(np.float32), np.maximum(plate_f * np.float32(0.62), letters_f).astype(np.float32)
