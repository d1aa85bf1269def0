"""Paint eyes that look and blink on the head's texture."""

import numpy as np
from numpy.typing import NDArray

from train.head.appearance import Appearance
from train.head.pose import HeadPose
from train.head.surface import Array, Canvas, linear, noise, step


class EyePainter:
    """Paint the two eyes of one face."""

    def __init__(self, face: Appearance, canvas: Canvas, lit: Array) -> None:
        """Take the head's canvas and `lit` (3,), how bright white skin would be around the eyes."""
        self.face, self.lit = face, lit
        self._sides = [self._side(canvas, sign) for sign in (-1.0, 1.0)]

    def _side(self, canvas: Canvas, sign: float) -> tuple[tuple[slice, slice], Array, Array, float]:
        face = self.face
        centre = sign * face.eye_x
        place, part = canvas.part(centre - 0.36, -0.27, centre + 0.36, 0.25)
        return place, part.x - centre, part.y, sign

    def paint(self, texture: NDArray[np.uint8], head: HeadPose) -> None:
        """Paint both eyes on `texture` (h, w, 4) in place."""
        for place, x, y, sign in self._sides:
            target = texture[place][:, :, :3]
            colour = (target.astype(np.float32) * (1 / 255)) ** 2
            target[:] = (np.sqrt(np.clip(self._eye(colour, x, y, sign, head), 0, 1)) * 255 + 0.5).astype(np.uint8)

    def _eye(self, skin: Array, x: Array, y: Array, sign: float, head: HeadPose) -> Array:
        face = self.face
        k = x.shape[1] / 0.72
        size, half = face.eye_size, face.eye_half
        s = x[0] * sign / half  # -1 at the nose, 1 at the temple
        a = np.clip(np.abs(s), 0, 1)
        line = 0.012 - 0.022 * s
        lid_down = 0.25 * np.clip(head.gaze_y, 0, 1)
        arch = (1 - a**2.3) ** 0.85 * (1 - 0.12 * s)
        low = 0.062 * size * (1 - a**2) * (1 + 0.15 * s)
        high = 0.104 * size * arch
        shut = min(head.blink + lid_down * 0.4, 1.0)
        upper = line - high * (1 - shut) + low * 0.80 * shut
        lower = line + low * (1 - 0.12 * shut)
        inside = (
            np.clip((y - upper) * k / 1.5 + 0.3, 0, 1) * np.clip((lower - y) * k / 1.5 + 0.3, 0, 1) * (np.abs(s) < 1)
        )
        colour = self._crease(skin, y, line - high, upper, s, shut)
        colour = colour + (self._ball(x, y, upper, s, sign, head) - colour) * inside[..., None]
        return self._lashes(colour, y, upper, lower, s, k)

    def _crease(self, skin: Array, y: Array, open_edge: Array, upper: Array, s: Array, shut: float) -> Array:
        wide = np.clip((1.12 - np.abs(s)) * 5, 0, 1)
        at = open_edge - 0.046 - 0.012 * s
        fold = np.exp(-(((y - at) / 0.013) ** 2)) * wide * (0.42 - 0.22 * shut)
        lid = step(0, 0.02, y - at) * (1 - step(-0.01, 0.01, y - upper)) * wide
        warm = np.array((0.10, 0.08, 0.03), np.float32)
        socket = 0.16 * np.exp(-(((y - at + 0.035) / 0.05) ** 2)) * wide
        return np.asarray(
            skin
            * (1 - (fold + socket)[..., None] * np.array((1.0, 0.95, 0.8), np.float32))
            * (1 - lid[..., None] * warm)
        )

    def _ball(self, x: Array, y: Array, upper: Array, s: Array, sign: float, head: HeadPose) -> Array:
        face = self.face
        px, py = 0.055 * head.gaze_x - 0.008 * sign, 0.04 * head.gaze_y - 0.016
        radius = 0.115 * (0.5 + 0.5 * face.eye_size)
        far = np.hypot(x - px, y - py) / radius
        white = np.array((0.70, 0.71, 0.73), np.float32) * self.lit
        curve = np.clip(1 - 0.42 * (x / 0.22) ** 2 - 0.10 * ((y - 0.0) / 0.12) ** 2, 0.2, 1)
        pink = np.clip(np.abs(s) - 0.55, 0, 1)[:, None] * np.array((0.40, 0.40, 0.0), np.float32)
        ball = white * curve[..., None] * (1 - pink)
        duct = np.exp(-(((s + 0.97) / 0.13) ** 2))[:, None] * 0.8
        ball = ball * (1 - duct) + duct * np.array((0.16, 0.15, 0.42), np.float32) * self.lit
        tone = linear(face.iris) * (0.50 + 0.95 * np.clip(0.5 + (y - py) / radius * 0.6, 0, 1))[..., None] * self.lit
        angle = np.arctan2(y - py, x - px)
        tone = tone * (1 + 0.14 * np.sin(angle * 23 + 2 * np.sin(angle * 7)) * step(0.35, 0.6, far))[..., None]
        tone = (
            tone
            * (1 - 0.72 * step(0.74, 1.0, far))[..., None]
            * (0.75 + 0.5 * np.exp(-(((far - 0.5) / 0.16) ** 2)))[..., None]
        )
        iris = (1 - step(0.93, 1.06, far))[..., None]
        ball = ball * (1 - iris) + tone * iris
        ball = ball * (1 - 0.97 * (1 - step(0.36, 0.46, far)))[..., None]
        shadow = 0.34 + 0.66 * step(-0.005, 0.075, y - upper)
        ball = ball * shadow[..., None]
        spot = np.exp(-(((x - px - 0.038 * np.sign(face.light)) / 0.020) ** 4) - (((y - py + 0.040) / 0.022) ** 4))
        low = (
            0.16
            * np.exp(-(((x - px + 0.04 * np.sign(face.light)) / 0.025) ** 2) - (((y - py - 0.05) / 0.02) ** 2))
            * iris[..., 0]
        )
        return np.asarray(ball + (0.9 * spot + low)[..., None])

    def _lashes(self, colour: Array, y: Array, upper: Array, lower: Array, s: Array, k: float) -> Array:
        wide = np.clip((1.06 - np.abs(s)) * 8, 0, 1)
        thick = 0.013 + 0.010 * np.clip(s + 0.4, 0, 1.4)
        top = np.exp(-(np.abs((y - upper + 0.006) / thick) ** 2.2)) * wide * 0.88
        wing = np.exp(-(((y - upper + 0.10 * (s - 0.85)) / 0.014) ** 2)) * np.exp(-(((s - 1.03) / 0.12) ** 2)) * 0.55
        bottom = np.exp(-(((y - lower - 0.004) / 0.010) ** 2)) * wide * (0.20 + 0.12 * np.clip(s, 0, 1))
        rim = np.exp(-(((y - lower + 0.008) / 0.008) ** 2)) * wide * 0.25
        dark = np.clip(top + wing + bottom, 0, 0.92)[..., None]
        ink = linear(self.face.hair) * 0.12 + 0.004
        colour = colour + rim[..., None] * np.array((0.03, 0.03, 0.06), np.float32) * self.lit
        return np.asarray(colour * (1 - dark) + ink * dark)


def paint_glasses(face: Appearance, canvas: Canvas) -> tuple[Array, Array]:
    """Paint a thin frame with a faint reflection; linear colour (h, w, 3) and coverage (h, w)."""
    rng = np.random.default_rng((face.seed, 61))
    ex, wide, tall = face.eye_x + 0.015, 0.315, float(rng.uniform(0.21, 0.27))
    power = float(rng.uniform(2.2, 4.5))
    ax = np.abs(canvas.x)
    far = (np.abs((ax - ex) / wide) ** power + np.abs((canvas.y - 0.035) / tall) ** power) ** (1 / power)
    rim = np.exp(-(np.abs((far - 1) * 0.27 / float(rng.uniform(0.014, 0.024))) ** 3))
    bridge = np.exp(-(np.abs((canvas.y + 0.03 + 0.10 * (0.1 - ax)) / 0.016) ** 3)) * (ax < ex - wide + 0.01)
    arm = np.exp(-(np.abs((canvas.y + 0.05) / 0.018) ** 3)) * (ax > ex + wide - 0.01) * (ax < 1.03)
    glint = (
        0.05
        * step(0.0, 0.25, 1 - far)
        * step(-0.02, 0.02, 0.07 - np.abs(canvas.x * 0.8 + canvas.y - 0.3 * np.sign(canvas.x)))
    )
    frame = np.clip(rim + bridge + arm, 0, 1)
    ink = np.array(((0.02, 0.02, 0.025), (0.02, 0.05, 0.12), (0.18, 0.19, 0.20))[int(rng.integers(3))], np.float32)
    light = 0.7 + 0.6 * step(0.1, -0.2, canvas.y) + 0.05 * noise(rng, ax.shape, 9.0, 1)
    cover = np.clip(frame + glint, 0, 1)
    mixed = (ink * light[..., None] * frame[..., None] + glint[..., None]) / np.maximum(cover, 1e-4)[..., None]
    return np.asarray(mixed), np.asarray(cover)
