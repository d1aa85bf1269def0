"""The head without its eyes and lips: outline, relief, skin, ears, brows, beard."""

import cv2
import numpy as np

from train.head.appearance import Appearance
from train.head.surface import Array, Canvas, Light, both, bump, cavities, linear, noise, normals, shade, step

_ANGLES = (0, 30, 60, 90, 115, 135, 155, 170, 180)
_RADII = (1.36, 1.27, 1.11, 1.0, 1.0, 1.125, 1.31, 1.43, 1.45)


def outline(face: Appearance) -> Array:
    """Return the radius of the face's outline at 0..180 degrees from straight up, one value per degree."""
    radii = np.array(_RADII)
    radii[4:7] *= (1 + (face.jaw - 1) * 0.5, face.jaw, 1 + (face.jaw - 1) * 0.7)
    radii[4:6] += 0.03 * (face.cheek - 0.5)
    radii[5:] *= 1 + (face.length - 1) * np.array((0.5, 0.8, 0.95, 1.0))
    curve = np.interp(np.arange(181), _ANGLES, radii)
    padded = np.concatenate([curve[30:0:-1], curve, curve[-2:-32:-1]])
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 7.5) ** 2)
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), "same")[30:-30], np.float32)


def polar(canvas: Canvas, curve: Array) -> tuple[Array, Array]:
    """Return (distance over the outline's radius, outline's radius) for every px."""
    distance = np.hypot(canvas.x, canvas.y) + 1e-6
    angle = np.degrees(np.arccos(np.clip(-canvas.y / distance, -1, 1)))
    radius = np.interp(angle.ravel(), np.arange(181), curve).reshape(angle.shape).astype(np.float32)
    return distance / radius, radius


def coverage(canvas: Canvas, rho: Array, radius: Array, soft_px: float = 1.2) -> Array:
    """Return how much of each px lies inside the outline, 0..1."""
    return np.asarray(np.clip(0.5 + (1 - rho) * radius * canvas.scale / soft_px, 0, 1))


def relief(face: Appearance, canvas: Canvas) -> Array:
    """Return the height of the face towards the viewer, in units."""
    rho, _ = polar(canvas, outline(face))
    z = 0.92 * np.sqrt(np.clip(1 - np.clip(rho, 0, 1) ** 2.5, 0, 1))
    ex, nose, mouth, chin = face.eye_x, face.nose_y, face.mouth_y, face.chin_y
    z -= 0.13 * both(canvas, ex, -0.02, 0.27, 0.17)
    z += 0.075 * both(canvas, ex, 0.0, 0.20, 0.12)
    z += 0.05 * both(canvas, ex * 0.95, -0.27, 0.34, 0.10)
    z += (0.03 + 0.05 * face.cheek) * both(canvas, 0.56, 0.40, 0.26, 0.24)
    z += 0.07 * bump(canvas, 0, mouth, 0.42, 0.30)
    z += 0.075 * bump(canvas, 0, chin - 0.17, 0.24, 0.17) - 0.055 * bump(canvas, 0, mouth + 0.235, 0.24, 0.06)
    z -= 0.022 * bump(canvas, 0, nose + 0.12, 0.045, 0.09)
    z -= 0.028 * both(canvas, 0.45, mouth + 0.02, 0.06, 0.08)
    z += _nose(face, canvas)
    along = np.clip((canvas.y - nose + 0.08) / (mouth + 0.10 - nose + 0.08), 0, 1)
    fold = 0.20 * face.nose_width + 0.25 * along**0.8
    depth = (0.008 + 0.028 * face.age) * np.sin(np.pi * np.clip(along, 0.02, 0.98))
    z -= depth * np.exp(-(((np.abs(canvas.x) - fold) / 0.035) ** 2))
    for row, y in enumerate((-0.62, -0.50, -0.72)):
        wave = y + 0.03 * np.cos(canvas.x * 3 + row)
        z -= 0.014 * face.age**1.5 * np.exp(-(((canvas.y - wave) / 0.018) ** 2) - (canvas.x / 0.45) ** 2)
    z -= 0.02 * face.age * both(canvas, ex * 0.95, 0.20, 0.20, 0.03)
    return np.asarray(z, np.float32)


def _nose(face: Appearance, canvas: Canvas) -> Array:
    tip, wide = face.nose_y - 0.09, face.nose_width
    t = np.clip((canvas.y + 0.22) / (tip + 0.22), 0, 1)
    height = 0.05 + 0.23 * t**1.4
    half = (0.10 + 0.03 * t) * wide
    ridge = height * np.exp(-((np.abs(canvas.x) / half) ** 2.2)) * step(-0.45, -0.05, canvas.y)
    ridge = ridge * (1 - step(tip - 0.04, tip + 0.19, canvas.y))
    ball = 0.13 * bump(canvas, 0, tip, 0.12 * wide, 0.115)
    wings = 0.15 * both(canvas, 0.15 * wide, tip + 0.04, 0.068 * wide, 0.07)
    return np.asarray(ridge + ball + wings)


def _mottled(face: Appearance, canvas: Canvas) -> Array:
    """Return the colour of clean skin (h, w, 3), linear."""
    rng = np.random.default_rng((face.seed, 1))
    shape, unit = canvas.x.shape, canvas.scale
    albedo = np.broadcast_to(linear(face.skin), (*shape, 3)).copy()
    albedo *= (
        1 + 0.025 * noise(rng, shape, 0.25 * unit)[..., None] + 0.018 * noise(rng, shape, 0.03 * unit, 2)[..., None]
    )
    red = 0.55 * both(canvas, 0.56, 0.40, 0.24, 0.20) + 0.6 * bump(canvas, 0, face.nose_y - 0.08, 0.2, 0.14)
    red += 0.35 * bump(canvas, 0, face.chin_y - 0.15, 0.25, 0.15) + 0.08 * noise(rng, shape, 0.12 * unit)
    red += 0.35 * both(canvas, face.eye_x, 0.07, 0.27, 0.10)
    albedo *= 1 - red[..., None] * np.array([0.17, 0.15, 0.02], np.float32)
    tired = both(canvas, face.eye_x * 0.95, 0.15, 0.19, 0.06) * (0.10 + 0.22 * face.age)
    albedo *= 1 - tired[..., None] * np.array([0.7, 1.0, 1.0], np.float32)
    if face.freckles > 0:
        spots = np.clip(noise(rng, shape, 0.024 * unit, 1) - 1.2, 0, 1) * both(canvas, 0.42, 0.33, 0.34, 0.2)
        albedo *= 1 - np.clip(spots * face.freckles, 0, 0.45)[..., None] * np.array([0.8, 0.6, 0.4], np.float32)
    return np.asarray(albedo, np.float32)


def hairs(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> Array:
    """Return short upright hairs, 0..1: fine grain stretched downwards."""
    grain = noise(rng, shape, cell, 2)
    return np.asarray(np.clip(0.55 + 0.45 * cv2.blur(grain, (1, max(int(cell * 2.2), 1))), 0, 1))


def _with_beard(face: Appearance, canvas: Canvas, albedo: Array) -> Array:
    if face.beard == "none":
        return albedo
    rng = np.random.default_rng((face.seed, 2))
    ax, mouth, nose = np.abs(canvas.x), face.mouth_y, face.nose_y
    ragged = 0.016 * noise(rng, canvas.x.shape, 0.06 * canvas.scale)
    cheek = np.interp(
        ax.ravel(), (0, 0.3, 0.42, 0.62, 0.8, 0.93), (mouth + 0.05, mouth, mouth - 0.03, mouth - 0.22, 0.45, 0.1)
    )
    area = step(-0.05, 0.10, canvas.y - cheek.reshape(ax.shape).astype(np.float32) + ragged)
    under = mouth + 0.15 * face.lip_full
    bare = np.exp(-(((canvas.y - under) / 0.075) ** 2) - (ax / 0.30) ** 4)
    area = area * (1 - 0.92 * bare)
    lip = step(nose + 0.05, nose + 0.12, canvas.y + ragged + 0.10 * np.clip(0.1 - ax, 0, 1)) * (
        1 - step(0.26, 0.40, ax + ragged)
    )
    top_lip = mouth - 0.125 * face.lip_full
    lip = lip * (1 - step(top_lip - 0.07, top_lip + 0.01, canvas.y + ragged - 0.25 * ax**2))
    mask = lip if face.beard == "moustache" else np.maximum(lip, area)
    strength = {"stubble": 0.34, "short": 0.58, "moustache": 0.6}[face.beard]
    cover = np.clip(mask * (0.6 + 0.55 * hairs(rng, ax.shape, 0.014 * canvas.scale)), 0, 1) * strength
    shadow = linear(face.hair) * 0.8 + linear(face.skin) * 0.04
    return np.asarray(albedo * (1 - cover[..., None]) + shadow * cover[..., None])


def brows(face: Appearance, canvas: Canvas) -> Array:
    """Return how much eyebrow hair covers each px, 0..1."""
    rng = np.random.default_rng((face.seed, 3))
    across = (np.abs(canvas.x) - 0.15) / (0.60 * face.eye_spacing)
    arch = -0.285 - 0.05 * face.brow_height - 0.088 * np.sin(np.pi * np.clip(0.10 + 0.90 * across, 0, 1) ** 1.15 * 0.85)
    arch = arch + 0.025 * face.brow_tilt * (across - 0.5) + 0.05 * np.clip(across - 0.75, 0, 1)
    half = 0.042 * face.brow_weight * np.clip(1.1 - 0.75 * np.clip(across, 0, 1) ** 1.5, 0.1, 1)
    body = (
        np.exp(-(np.abs((canvas.y - arch) / half) ** 2.4)) * step(-0.10, 0.05, across) * (1 - step(0.86, 1.04, across))
    )
    slanted = cv2.warpAffine(
        hairs(rng, (canvas.x.shape[0] * 2, canvas.x.shape[1]), 0.024 * canvas.scale),
        np.array([[1, 0, 0], [-0.9, 1, 0.2 * canvas.scale]], np.float32)[:, :],
        (canvas.x.shape[1], canvas.x.shape[0]),
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(np.clip(body * (0.55 + 0.55 * slanted), 0, 1) * 0.88)


def paint_skin(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    """Paint the bare head.

    Returns:
        Linear colour (h, w, 3) and coverage (h, w) 0..1.
    """
    rho, radius = polar(canvas, outline(face))
    z = relief(face, canvas)
    albedo = _with_beard(face, canvas, _mottled(face, canvas))
    nostrils = np.clip(both(canvas, 0.078 * face.nose_width, face.nose_y - 0.008, 0.044, 0.022) * 1.5, 0, 1)
    oily = 0.5 * bump(canvas, 0, -0.55, 0.45, 0.28) + both(canvas, 0.55, 0.28, 0.22, 0.16)
    oily += 1.0 * bump(canvas, 0, face.nose_y - 0.14, 0.10, 0.16)
    dull = 0.35 if face.beard == "short" else 1.0
    gloss = (0.025 + 0.06 * oily) * np.where(canvas.y > face.nose_y + 0.1, dull, 1.0)
    smooth = cv2.GaussianBlur(z, (0, 0), 0.020 * canvas.scale)
    colour = shade(albedo, normals(smooth, canvas.scale), light, cavities(z, canvas.scale), gloss)
    colour *= 1 - 0.80 * nostrils[..., None] * np.array([1.0, 1.0, 0.93], np.float32)
    under = bump(canvas, 0.03 * -np.sign(face.light), face.nose_y + 0.05, 0.19, 0.06)
    colour *= 1 - 0.12 * under[..., None]
    hair = brows(face, canvas)[..., None]
    colour = colour * (1 - hair) + hair * linear(face.hair) * 0.42
    return np.asarray(colour), coverage(canvas, rho, radius)


def paint_ears(face: Appearance, canvas: Canvas, light: Light) -> tuple[Array, Array]:
    """Paint both ears, to lie behind the face; colour (h, w, 3) linear and coverage (h, w)."""
    ax = np.abs(canvas.x)
    tilt = (ax - 1.0) - 0.12 * (0.1 - canvas.y)
    rho = np.sqrt((tilt / 0.145) ** 2 + ((canvas.y - 0.12) / (0.30 - 0.05 * step(0.1, 0.4, canvas.y))) ** 2)
    z = 0.14 * np.sqrt(np.clip(1 - rho**2, 0, 1)) - 0.09 * np.exp(-(((rho - 0.55) / 0.16) ** 2)) * step(
        0.0, 0.05, 0.36 - canvas.y
    )
    red = linear(face.skin) * np.array([0.80, 0.82, 1.0], np.float32)
    albedo = np.broadcast_to(red, (*ax.shape, 3))
    z = cv2.GaussianBlur(np.asarray(z, np.float32), (0, 0), 0.012 * canvas.scale)
    colour = shade(albedo, normals(z, canvas.scale), light, cavities(z, canvas.scale), 0.03) * 0.88
    return colour, np.asarray(np.clip(0.5 + (1 - rho) * 0.14 * canvas.scale, 0, 1))
