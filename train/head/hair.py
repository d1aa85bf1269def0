"""Hair: strands drawn as stretched noise along their direction, lit with a band of sheen."""

from typing import Final

import cv2
import numpy as np

from train.head.appearance import Appearance
from train.head.skin import coverage, outline, polar
from train.head.surface import Array, Canvas, Light, linear, noise, step

_VOLUME: Final = {
    "short": 0.115, "side": 0.16, "crop": 0.045, "curly": 0.24, "bob": 0.17, "long": 0.15, "bun": 0.065, "bald": 0.0,
}  # fmt: skip
_SIDES: Final = {
    "short": 0.05,
    "side": 0.05,
    "crop": 0.03,
    "curly": 0.17,
    "bob": 0.22,
    "long": 0.16,
    "bun": 0.03,
    "bald": 0.0,
}
COVERS_EARS: Final = ("bob", "long")


def _strands(face: Appearance, canvas: Canvas, salt: int, along: Array, across: Array, fine: float) -> Array:
    """Return strands 0..1: noise that is fine over `across` and slow over `along` (both in units)."""
    rng = np.random.default_rng((face.seed, salt))
    tile = sum(
        cv2.resize(
            rng.standard_normal((6 * rows, 64 * columns)).astype(np.float32),
            (2048, 256),
            interpolation=cv2.INTER_LINEAR,
        )
        * weight
        for rows, columns, weight in ((1, 2, 0.8), (2, 8, 0.6), (4, 24, 0.35 * fine))
    )
    column = np.mod(across * 300.0 + 1024, 2047).astype(np.float32)
    row = np.mod(along * 50.0 + 128, 255).astype(np.float32)
    values = cv2.remap(np.asarray(tile, np.float32), column, row, cv2.INTER_LINEAR)
    return np.asarray(np.clip(0.5 + 0.33 * values, 0, 1))


def _lit(face: Appearance, strand: Array, round_: Array, sheen: Array, light: Light, side: Array) -> Array:
    """Return linear colour of hair; `round_` 0..1 darkens hollows, `sheen` 0..1 is the highlight band."""
    tone = linear(face.hair)
    key = 0.40 + 0.42 * np.clip(side * np.sign(face.light) * 0.6 + 0.5, 0, 1)
    body = tone * ((0.30 + 1.05 * strand) * key * round_)[..., None]
    shine = (sheen * strand**2 * (0.10 + 0.5 * float(tone.mean()))) * key
    return np.asarray(body * 1.15 + shine[..., None] * light.key_colour)


def _hairline(face: Appearance, canvas: Canvas) -> Array:
    """Return the height of the hairline at every px's x."""
    ax = np.abs(canvas.x)
    high = {"crop": -0.90, "bun": -0.86, "curly": -0.80, "bob": -0.72, "long": -0.86}.get(face.hair_style, -0.84)
    line = high + 0.10 * np.clip(ax - 0.35, 0, 1) + 1.25 * np.clip(ax - 0.66, 0, 1) ** 1.4
    line += 4.5 * np.clip(ax - 0.86, 0, 1)
    if face.hair_style in ("side", "bob", "long"):
        reach = np.abs(canvas.x - face.hair_part)
        line = line + 0.20 * np.clip(1 - reach / 1.3, 0, 1) * (np.clip(reach / 0.35, 0, 1) - 0.8)
    if face.hair_style == "short" and face.seed % 2:
        line = line + 0.17 * np.exp(-((ax / 0.6) ** 4)) + 0.05 * np.sin(canvas.x * 4 + face.seed)
    if face.hair_style == "bob" and face.seed % 2:
        line = np.maximum(line, -0.42 + 0.05 * np.cos(canvas.x * 5))
    return np.asarray(line + 0.30 * face.age**2 * np.exp(-(((ax - 0.5) / 0.2) ** 2)) * -0.5)


def paint_front(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    """Paint the hair before the head; linear colour (h, w, 3) and coverage (h, w)."""
    if face.hair_style == "bald":
        return np.zeros((*canvas.x.shape, 3), np.float32), np.zeros(canvas.x.shape, np.float32)
    rng = np.random.default_rng((face.seed, 11))
    rho, radius = polar(canvas, outline(face))
    top = step(0.15, -0.75, canvas.y)
    grow = _SIDES[face.hair_style] * (1 - top) + _VOLUME[face.hair_style] * top
    if face.hair_style == "side":
        grow = grow + 0.07 * top * np.exp(-(((canvas.x - face.hair_part * -0.5) / 0.5) ** 2))
    lumps = {"curly": 0.030, "crop": 0.003}.get(face.hair_style, 0.008)
    grow = grow + lumps * noise(rng, rho.shape, (0.22 if face.hair_style == "curly" else 0.10) * canvas.scale)
    outer = rho / (1 + grow)
    part_x = 0.0 if face.hair_style in ("curly", "crop", "short", "bun") else face.hair_part
    dx, dy = canvas.x - part_x, canvas.y + (1.02 if face.hair_style != "bun" else 1.25)
    angle, away = np.arctan2(dx, -dy + 0.35), np.hypot(dx, dy)
    curl = (
        0.035 * noise(rng, rho.shape, 0.13 * canvas.scale, 2)
        if face.hair_style == "curly"
        else 0.012 * noise(rng, rho.shape, 0.2 * canvas.scale)
    )
    strand = _strands(
        face, canvas, 12, away + curl, angle * 1.1 + curl, 1.6 if face.hair_style in ("short", "crop") else 1.0
    )
    edge = 0.05 * (strand - 0.5) + 0.006 * noise(rng, rho.shape, 0.05 * canvas.scale)
    inner = step(-0.06, 0.06, _hairline(face, canvas) - canvas.y + edge * 1.3)
    low = {"bob": 1.05, "long": 1.6}.get(face.hair_style, 0.16)
    ends = 1 - step(low - 0.10, low + 0.10, canvas.y + edge * 1.3)
    cover = coverage(canvas, outer + edge * 0.18, radius, 3.0) * inner * ends
    if face.hair_style == "crop":
        cover = cover * (0.62 + 0.36 * step(0.0, 0.2, _hairline(face, canvas) - canvas.y))
    band = np.exp(-(((outer - 0.80 + 0.06 * strand) / 0.10) ** 2)) * step(0.3, -0.5, canvas.y)
    round_ = np.clip(1.25 - 0.75 * np.clip(outer, 0, 1) ** 6, 0.3, 1.1) * (
        0.72 + 0.28 * step(0.0, 0.22, _hairline(face, canvas) - canvas.y)
    )
    return _lit(face, strand, round_, band, light, canvas.x), np.asarray(cover)


def shadow_on_skin(face: Appearance, canvas: Canvas, cover: Array) -> Array:
    """Return 0..1, how dark the hair's soft shadow lies on the skin."""
    soft = cv2.GaussianBlur(np.asarray(cover, np.float32), (0, 0), 0.07 * canvas.scale)
    shift = np.array([[1, 0, -0.03 * face.light * canvas.scale], [0, 1, 0.06 * canvas.scale]], np.float32)
    moved = cv2.warpAffine(soft, shift, (soft.shape[1], soft.shape[0]))
    return np.asarray(0.55 * moved)


def paint_back(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    """Paint the hair behind head and neck; linear colour (h, w, 3) and coverage (h, w)."""
    cover = np.zeros(canvas.x.shape, np.float32)
    rng = np.random.default_rng((face.seed, 21))
    wave = 0.05 * noise(rng, cover.shape, 0.5 * canvas.scale, 2)
    if face.hair_style in ("bob", "long"):
        low = 1.45 if face.hair_style == "bob" else 2.75
        half = 1.15 + 0.10 * step(0.0, 1.0, canvas.y) - 0.12 * step(1.4, 2.7, canvas.y)
        half = half * np.sqrt(np.clip(1 - (np.clip(-canvas.y, 0, 1.3) / 1.3) ** 2, 0, 1))
        strand = _strands(face, canvas, 22, canvas.y, canvas.x * 0.9 + wave, 1.0)
        inside = (half - np.abs(canvas.x) + wave + 0.04 * (strand - 0.5)) * canvas.scale / 3
        ends = (low - canvas.y + 0.14 * (strand - 0.5)) * canvas.scale / 6
        cover = np.clip(np.minimum(inside, ends), 0, 1)
        cover = cover * step(-1.28, -1.12, canvas.y)
    elif face.hair_style == "curly":
        strand = _strands(face, canvas, 22, canvas.y + 2 * wave, canvas.x + 2 * wave, 1.0)
        far = np.hypot(canvas.x / 1.25, (canvas.y + 0.25) / 1.15) + 0.6 * wave + 0.05 * (strand - 0.5)
        cover = np.clip((1 - far) * canvas.scale / 3, 0, 1)
    elif face.hair_style == "bun":
        away = np.hypot(canvas.x / 0.42, (canvas.y + 1.52) / 0.34)
        strand = _strands(face, canvas, 22, away * 0.3, np.arctan2(canvas.x, canvas.y + 1.5) * 0.5 + away, 1.0)
        cover = np.clip((1 - away) * 0.4 * canvas.scale / 2, 0, 1)
        return _lit(
            face, strand, np.clip(1.15 - 0.5 * away**4, 0.4, 1), np.exp(-(((away - 0.5) / 0.2) ** 2)), light, canvas.x
        ), cover
    else:
        strand = cover
    shade_ = np.clip(0.42 + 0.42 * step(0.75, 1.2, np.abs(canvas.x)), 0, 1) * (1 - 0.15 * step(-0.2, 1.0, canvas.y))
    band = 0.5 * np.exp(-(((canvas.y - 0.1 + 0.1 * wave) / 0.25) ** 2))
    return _lit(face, strand, shade_, band, light, canvas.x), np.asarray(cover, np.float32)
