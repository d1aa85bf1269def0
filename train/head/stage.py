"""Everything about one person at one picture size that does not change from frame to frame."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.head import hair, room, skin
from train.head.appearance import Appearance
from train.head.eyes import EyePainter, paint_glasses
from train.head.mouth import HeadMouthPainter
from train.head.surface import Array, Canvas, Light, linear, noise, step, to_bytes

OVERSAMPLING = 1.5
"""Texture px per px of the frame."""

PIVOT_Y = 1.7
"""The head turns about this point of the neck, in face units below the eyes."""

_COARSE = 0.25


@dataclass(frozen=True)
class Layer:
    """A painted layer: `pixels` (h, w, 4) BGRA 8 bit, colour multiplied by coverage, over `canvas`."""

    canvas: Canvas
    pixels: NDArray[np.uint8]

    @classmethod
    def of(cls, canvas: Canvas, colour: Array, cover: Array) -> "Layer":
        """Pack linear colour (h, w, 3) and coverage (h, w)."""
        alpha = np.clip(cover, 0, 1)[..., None]
        colour8 = to_bytes(colour).astype(np.float32) * alpha
        return cls(canvas, np.dstack([colour8, alpha * 255]).round().astype(np.uint8))


def _over(colour: Array, cover: Array, below: Array, below_cover: Array) -> tuple[Array, Array]:
    """Lay one picture over another; returns colour and coverage."""
    total = cover + below_cover * (1 - cover)
    mixed = colour * cover[..., None] + below * (below_cover * (1 - cover))[..., None]
    return mixed / np.maximum(total, 1e-4)[..., None], total


class HeadStage:
    """The layers, fields and painters of one face at one size; costs about a second to make."""

    def __init__(self, face: Appearance, size: tuple[int, int]) -> None:
        """Paint `face` for frames of `size` (width, height) px."""
        self.face, self.size = face, size
        width, height = size
        self.unit = 0.204 * min(height, width * 0.95)
        self.centre = (0.5 * width, 0.425 * height)
        light = Light.of(face)
        scale = self.unit * OVERSAMPLING
        self.canvas = Canvas.make(scale, -1.6, -1.98, 1.6, 1.98)
        self.head, lit = self._paint_head(light)
        self.eyes = EyePainter(face, self.canvas, lit[0])
        self.mouth = HeadMouthPainter(face, self.canvas, lit[1])
        self.glasses = Layer.of(self.canvas, *paint_glasses(face, self.canvas)) if face.glasses else None
        back = Canvas.make(self.unit, -1.7, -2.0, 1.7, 3.0)
        colour, cover = hair.paint_back(face, back, light)
        self.back = Layer.of(back, colour, cover) if float(cover.max()) > 0 else None
        rim_x, rim_y = 0.5 * width / self.unit + 0.35, (height - self.centre[1]) / self.unit + 0.3
        body = Canvas.make(self.unit, -rim_x, 0.6, rim_x, rim_y)
        self.body = Layer.of(body, *room.paint_body(face, body, light))
        self.room = to_bytes(room.paint_room(face, width, height))
        self._fields()
        rng = np.random.default_rng((face.seed, 71))
        grain = noise(rng, (height + 64, width + 64), 2.0, 2)
        self.grain_up = np.clip(1.5 * grain, 0, 20).round().astype(np.uint8)[..., None].repeat(3, axis=2)
        self.grain_down = np.clip(-1.5 * grain, 0, 20).round().astype(np.uint8)[..., None].repeat(3, axis=2)

    def _paint_head(self, light: Light) -> tuple[Layer, tuple[Array, Array]]:
        face, canvas = self.face, self.canvas
        colour, cover = skin.paint_skin(face, canvas, light)
        front, front_cover = hair.paint_front(face, canvas, light)
        lit = (self._lit(colour, 0.0, 0.25), self._lit(colour, face.mouth_y + 0.28, 0.15))
        colour = colour * (1 - hair.shadow_on_skin(face, canvas, front_cover)[..., None] * (1 - front_cover[..., None]))
        if face.hair_style not in hair.COVERS_EARS:
            colour, cover = _over(colour, cover, *skin.paint_ears(face, canvas, light))
        colour, cover = _over(front, front_cover, colour, cover)
        return Layer.of(canvas, colour, cover), lit

    def _lit(self, colour: Array, y: float, reach: float) -> Array:
        """Return how much of white light the skin around height `y` gives back, (3,)."""
        rows, columns = self.canvas.part(-0.3, y - reach, 0.3, y + reach)[0]
        bare = np.median(colour[rows, columns].reshape(-1, 3), axis=0) / linear(self.face.skin)
        return np.asarray(np.clip(0.5 * bare + 0.5 * bare.mean(), 0.35, 1.15), np.float32)

    def _fields(self) -> None:
        """Prepare how skin moves with the jaw and the corners (lower face), and the depth for turning the head."""
        face = self.face
        self.lower_place, lower = self.canvas.part(-1.12, face.mouth_y - 0.34, 1.12, 1.97)
        y = lower.y - face.mouth_y
        aside = 1 - step(0.30, 1.08, np.abs(lower.x) + 0.25 * np.clip(0.35 - y, 0, 1))
        self.jaw_field = (step(-0.22, 0.36, y) * aside).astype(np.float32)
        self.corner_field = (
            np.sign(lower.x) * np.exp(-(((np.abs(lower.x) - 0.36) / 0.22) ** 2) - (y / 0.26) ** 2)
        ).astype(np.float32)
        rows, columns = self.lower_place
        grid_y, grid_x = np.mgrid[rows, columns]
        self.lower_x, self.lower_y = grid_x.astype(np.float32), grid_y.astype(np.float32)
        self.brow_place, brow = self.canvas.part(-1.02, -0.78, 1.02, -0.10)
        fade = step(-0.76, -0.52, brow.y) * (1 - step(-0.24, -0.12, brow.y)) * (1 - step(0.55, 0.98, np.abs(brow.x)))
        self.brow_field = fade.astype(np.float32)
        brow_y, brow_x = np.mgrid[self.brow_place]
        self.brow_x, self.brow_y = brow_x.astype(np.float32), brow_y.astype(np.float32)
        coarse = Canvas.make(self.canvas.scale * _COARSE, -1.6, -1.98, 1.6, 1.98)
        rho, _ = skin.polar(coarse, skin.outline(face))
        dome = 0.85 * np.sqrt(np.clip(1 - np.clip(rho / 1.15, 0, 1) ** 2.2, 0, 1))
        self.coarse = coarse
        relief = np.where(rho < 1, np.maximum(skin.relief(face, coarse), dome * 0.9), dome * 0.9)
        self.depth = cv2.GaussianBlur(np.asarray(relief, np.float32), (0, 0), 0.035 * coarse.scale)
