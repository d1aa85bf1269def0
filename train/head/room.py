"""What is around the head: neck, shoulders, clothes, and a room out of focus."""

import cv2
import numpy as np

from train.head.appearance import Appearance
from train.head.surface import Array, Canvas, Light, bump, linear, noise, normals, shade, step


def _shoulder_line(face: Appearance, x: Array) -> Array:
    """Return the height of the shoulders at `x`."""
    ax = np.abs(x)
    slope = 1.78 + 0.34 * np.clip((ax - 0.45) / 1.3, 0, 1) ** 0.9 + 0.75 * np.clip((ax - 1.55) / 0.75, 0, None) ** 2.2
    return np.asarray(slope + 0.06 * (face.length - 1) - 0.55 * np.clip(0.75 - ax, 0, 1) ** 1.5)


def _neckline(face: Appearance, canvas: Canvas) -> Array:
    """Return the height of the clothes' upper edge at every px."""
    ax = np.abs(canvas.x)
    if face.clothes == "vneck":
        return np.asarray(2.62 - 1.35 * np.clip(ax, 0, 0.66) - 3.0 * np.clip(ax - 0.62, 0, 1) ** 1.2)
    if face.clothes == "shirt":
        return np.asarray(2.42 - 1.55 * np.clip(ax, 0, 0.60) - 4.0 * np.clip(ax - 0.6, 0, 1))
    return np.asarray(2.08 - 0.62 * np.clip(ax / 0.66, 0, 1.2) ** 2.4)


def _neck(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    ax = np.abs(canvas.x)
    slim = 0.88 if face.hair_style in ("bob", "long", "bun") and face.beard == "none" else 1.0
    half = (
        slim * (0.55 + 0.3 * (face.jaw - 1))
        + 0.02 * np.clip(canvas.y - 1.4, 0, 1)
        + 0.55 * np.clip(canvas.y - 1.72, 0, 1) ** 1.5
    )
    z = 0.8 * np.sqrt(np.clip(1 - (ax / half) ** 2, 0, 1))
    cord = 0.20 + 0.30 * np.clip(2.2 - canvas.y, 0, 1)
    z += 0.035 * np.exp(-(((ax - cord) / 0.08) ** 2)) - 0.04 * bump(canvas, 0, 2.22, 0.12, 0.10)
    z += 0.10 * np.exp(-(((canvas.y - 2.25 + 0.10 * ax) / 0.06) ** 2)) * step(0.12, 0.3, ax) * 0.5
    z = np.asarray(cv2.GaussianBlur(np.asarray(z, np.float32), (0, 0), 0.03 * canvas.scale))
    albedo = np.broadcast_to(linear(face.skin) * np.array([0.88, 0.90, 0.98], np.float32), (*ax.shape, 3))
    dark = 1 - 0.62 * np.exp(-((np.clip(canvas.y - face.chin_y - 0.10 + 0.35 * ax**2, 0, 9) / 0.34) ** 2))
    colour = shade(albedo, normals(z, canvas.scale), light, np.ones_like(z), 0.02)
    inside = np.clip((half - ax) * canvas.scale / 1.5, 0, 1) * step(0.7, 0.8, canvas.y)
    return np.asarray(colour * dark[..., None] * 0.92), np.asarray(inside)


def _cloth(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    rng = np.random.default_rng((face.seed, 31))
    ax, top = np.abs(canvas.x), _shoulder_line(face, canvas.x)
    below = canvas.y - top
    z = 0.55 * np.sqrt(np.clip(below / 0.9, 0, 1)) - 0.10 * (ax / 1.6) ** 2
    folds = noise(rng, ax.shape, 0.55 * canvas.scale, 2)
    z += 0.022 * folds + 0.02 * np.sin(7 * (ax - 0.5 * canvas.y)) * bump(canvas, 0, 2.9, 2.2, 0.6)
    edge = canvas.y - _neckline(face, canvas)
    z -= 0.03 * np.exp(-(((edge - 0.11) / 0.015) ** 2))
    if face.clothes == "shirt":
        lapel = step(0.0, 0.02, 0.34 - 0.28 * np.clip(canvas.y - 1.8, 0, 1) - edge * 0.8)
        z += 0.05 * lapel
        z -= 0.03 * np.exp(-((canvas.x / 0.02) ** 2)) * step(2.3, 2.5, canvas.y)
    z = np.asarray(cv2.GaussianBlur(np.asarray(z, np.float32), (0, 0), 0.015 * canvas.scale))
    weave = 1 + 0.03 * noise(rng, ax.shape, 3.0, 2)
    albedo = linear(face.cloth) * weave[..., None]
    shadow = 1 - 0.35 * np.exp(-((np.clip(canvas.y - 1.9, 0, 9) / 0.4) ** 2) - (ax / 0.8) ** 2)
    colour = shade(albedo, normals(z, canvas.scale), light, np.ones_like(z), 0.012, 8.0) * shadow[..., None]
    cover = np.clip(below * canvas.scale / 1.5, 0, 1) * np.clip(edge * canvas.scale / 1.5, 0, 1)
    return np.asarray(colour), np.asarray(cover)


def paint_body(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    """Paint neck, shoulders and clothes; linear colour (h, w, 3) and coverage (h, w)."""
    skin, bare = _neck(face, canvas, light)
    shoulder = np.clip((canvas.y - _shoulder_line(face, canvas.x)) * canvas.scale / 1.5, 0, 1)
    bare = np.maximum(bare, shoulder)
    cloth, dressed = _cloth(face, canvas, light)
    rim = cv2.GaussianBlur(np.asarray(dressed, np.float32), (0, 0), 0.05 * canvas.scale)
    skin = skin * (1 - 0.4 * rim[..., None])
    colour = skin * (1 - dressed[..., None]) + cloth * dressed[..., None]
    return np.asarray(colour), np.maximum(bare, dressed)


def paint_room(face: Appearance, width: int, height: int) -> Array:
    """Paint a wall with a few things on it, far out of focus; linear colour (height, width, 3)."""
    rng = np.random.default_rng((face.seed, 41))
    wall = linear(face.wall)
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    glow = 0.62 + 0.30 * np.exp(-((x - 1.1 * face.light) ** 2) / 0.9 - (y + 0.4) ** 2 / 1.4)
    picture = wall * glow[..., None]
    unit = height / 480
    for _ in range(int(rng.integers(4, 8))):
        left, top = rng.uniform(-0.1, 1.0) * width, rng.uniform(-0.1, 0.75) * height
        wide, tall = rng.uniform(20, 120) * unit, rng.uniform(40, 190) * unit
        colour = wall * rng.uniform(0.25, 1.5) * rng.uniform(0.75, 1.2, 3)
        corner, far = (int(left), int(top)), (int(left + wide), int(top + tall))
        cv2.rectangle(picture, corner, far, colour.tolist(), -1)
    shelf = int(rng.uniform(0.45, 0.75) * height)
    cv2.rectangle(picture, (0, shelf), (width, shelf + int(14 * unit)), (wall * 0.45).tolist(), -1)
    lamp = (int((0.5 - 0.42 * np.sign(face.light)) * width), int(0.22 * height))
    cv2.circle(picture, lamp, int(26 * unit), (0.55, 0.72, 0.86), -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 11 * unit) * 0.88)
