"""Fields over a picture of the head, and light on them: noise, relief, normals, shading.

Everything here is painted once per person; `Array` is float32 unless said otherwise, colours are linear
light (gamma 2).
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.head.appearance import Appearance, Colour

Array = NDArray[Any]


@dataclass(frozen=True)
class Canvas:
    """Lay a pixel grid over face units: `x`, `y` (h, w) in units, `scale` px per unit, `left`, `top` of px (0, 0)."""

    scale: float
    left: float
    top: float
    x: Array
    y: Array

    @classmethod
    def make(cls, scale: float, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """Cover the rectangle given in units with px of 1 / `scale` units."""
        width, height = round((right - left) * scale), round((bottom - top) * scale)
        x, y = np.meshgrid(left + np.arange(width) / scale, top + np.arange(height) / scale)
        return cls(scale, left, top, x.astype(np.float32), y.astype(np.float32))

    def part(self, left: float, top: float, right: float, bottom: float) -> tuple[tuple[slice, slice], "Canvas"]:
        """Return the slices of a rectangle given in units, and the canvas over it."""
        columns = slice(round((left - self.left) * self.scale), round((right - self.left) * self.scale))
        rows = slice(round((top - self.top) * self.scale), round((bottom - self.top) * self.scale))
        x, y = self.x[rows, columns], self.y[rows, columns]
        return (rows, columns), Canvas(self.scale, float(x[0, 0]), float(y[0, 0]), x, y)


def step(low: Any, high: Any, value: Any) -> Array:
    """Rise smoothly from 0 to 1 while `value` goes from `low` to `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def bump(canvas: Canvas, x: float, y: float, width: float, height: float) -> Array:
    """Return a Gaussian hill of height 1 at (`x`, `y`)."""
    return np.asarray(np.exp(-(((canvas.x - x) / width) ** 2) - ((canvas.y - y) / height) ** 2))


def both(canvas: Canvas, x: float, y: float, width: float, height: float) -> Array:
    """Return two hills, mirrored at the midline."""
    return bump(canvas, x, y, width, height) + bump(canvas, -x, y, width, height)


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell: float, octaves: int = 3) -> Array:
    """Return smooth noise about 0, standard deviation about 1; `cell` is the coarsest grain in px."""
    total = np.zeros(shape[:2], np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        rows, columns = int(shape[0] / size) + 3, int(shape[1] / size) + 3
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        total += cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total


def linear(colour: Colour) -> Array:
    """Return an sRGB colour as linear light (gamma 2, which is close enough and cheap)."""
    return np.asarray(colour, np.float32) ** 2


def normals(relief: Array, scale: float) -> Array:
    """Return unit normals (h, w, 3) of a relief given in units, `scale` px per unit; z points to the viewer."""
    gy, gx = np.gradient(relief)
    stack = np.dstack([-gx * scale, -gy * scale, np.ones_like(relief)])
    return np.asarray(stack / np.linalg.norm(stack, axis=2, keepdims=True), np.float32)


@dataclass(frozen=True)
class Light:
    """A soft key light, a fill from the other side and ambient light; colours are linear."""

    key: Array
    half: Array
    fill: Array
    key_colour: Array
    fill_colour: Array
    ambient: Array

    @classmethod
    def of(cls, face: Appearance) -> "Light":
        """Light a person as a window or a lamp beside the screen does."""
        key = np.array([0.75 * face.light, -0.55, 0.75], np.float32)
        key /= np.linalg.norm(key)
        half = key + np.array([0, 0, 1], np.float32)
        fill = np.array([-0.8 * np.sign(face.light), -0.1, 0.6], np.float32)
        warm = face.warmth
        return cls(
            key,
            half / np.linalg.norm(half),
            fill / np.linalg.norm(fill),
            np.array([1.0 - 0.16 * warm, 1.0, 1.0 + 0.12 * warm], np.float32) * 0.85,
            np.array([1.0 + 0.12 * warm, 1.0, 1.0 - 0.10 * warm], np.float32) * 0.20,
            np.array([1.04, 1.0, 0.99], np.float32) * 0.20,
        )


def shade(
    albedo: Array, normal: Array, light: Light, cavity: Array, gloss: Array | float, power: float = 14.0
) -> Array:
    """Light a surface.

    Args:
        albedo: (h, w, 3) linear.
        normal: (h, w, 3).
        light: the lights.
        cavity: (h, w) 0..1, how much of the ambient light arrives.
        gloss: strength of the highlight.
        power: sharpness of the highlight.

    Returns:
        (h, w, 3) linear light.
    """
    facing = normal @ light.key
    # Skin scatters red light furthest: the terminator is soft and warm (wrap lighting, per channel).
    wrap = np.array([0.22, 0.30, 0.48], np.float32)
    key = np.clip((facing[..., None] + wrap) / (1 + wrap), 0, None) ** 1.25 * light.key_colour
    fill = np.clip((normal @ light.fill + 0.35) / 1.35, 0, None)[..., None] * light.fill_colour
    ambient = (0.84 - 0.18 * normal[..., 1:2]) * light.ambient
    body = albedo * (key * (0.45 + 0.55 * cavity[..., None]) + (fill + ambient) * cavity[..., None])
    shine = np.clip(normal @ light.half, 0, 1) ** power * gloss
    rim = np.clip(1 - normal[..., 2], 0, 1) ** 3 * 0.06 * np.clip(normal @ light.fill + 0.4, 0, 1)
    return np.asarray(body + (shine + rim)[..., None] * light.key_colour)


def cavities(relief: Array, scale: float) -> Array:
    """Return 0..1, lower where the relief lies deeper than what is around it (ambient occlusion, roughly)."""
    dark = np.zeros_like(relief)
    for reach, weight in ((0.05, 2.2), (0.14, 1.5)):
        around = cv2.GaussianBlur(relief, (0, 0), reach * scale)
        dark += weight * np.clip(around - relief, 0, 0.3)
    return np.asarray(np.clip(1.0 - dark, 0.35, 1.0))


def to_bytes(colour: Array) -> NDArray[np.uint8]:
    """Return linear light as 8-bit sRGB."""
    return np.asarray(np.sqrt(np.clip(colour, 0, 1)) * 255 + 0.5).astype(np.uint8)
