"""Paint lips, teeth, tongue and the dark between them on the head's texture."""

import numpy as np
from numpy.typing import NDArray

from train.head.appearance import Appearance
from train.head.lips import Lips, lips_of
from train.head.pose import MouthShape
from train.head.surface import Array, Canvas, linear, noise

_TEETH = np.cumsum((0.0, 0.088, 0.066, 0.066, 0.055, 0.045, 0.04))
"""Distance of the gaps between the upper teeth from the midline, along the arch, in face units."""


class HeadMouthPainter:
    """Paint mouths of one face; what does not change is computed once."""

    def __init__(self, face: Appearance, canvas: Canvas, lit: Array) -> None:
        """Take the head's canvas and `lit` (3,), how bright white skin would be around the mouth."""
        self.face = face
        top, bottom = face.mouth_y - 0.36, face.mouth_y + 0.74
        self.place, self.canvas = canvas.part(-0.54, top, 0.54, bottom)
        self.x, self.y = self.canvas.x[0], self.canvas.y[:, :1]
        rng = np.random.default_rng((face.seed, 51))
        shape = self.canvas.x.shape
        self._grain = noise(rng, shape, 0.05 * canvas.scale, 2)
        stripes = noise(rng, (1, 200), 3.0, 2)[0]
        self._stripes = stripes
        red = 0.45 + 0.55 * face.lip
        tone = linear(face.skin) * (1 - red * np.array((0.40, 0.47, 0.16), np.float32))
        self._lip = (tone + face.lip * np.array((0.012, 0.0, 0.07), np.float32)) * lit
        bright = 0.88 + 0.26 * face.teeth
        self._tooth = np.array((bright - 0.16 + 0.06 * face.teeth, bright - 0.05, bright), np.float32) * np.minimum(
            lit, 1.0
        )
        self._gum = np.array((0.12, 0.10, 0.34), np.float32) * lit
        self._tongue = np.array((0.13, 0.11, 0.40), np.float32) * lit
        arch = np.arcsin(np.clip(np.abs(self.x) / 0.36, 0, 1)) * 0.36
        nearest = np.abs(arch[:, None] - _TEETH[None]).min(axis=1)
        self._split = (1 - 0.30 * np.exp(-((nearest / 0.0075) ** 2))).astype(np.float32)
        self._scallop = (0.005 * np.exp(-((nearest / 0.014) ** 2))).astype(np.float32)
        self._arch = np.clip(1 - (np.abs(self.x) / 0.34) ** 2.4, 0, 1).astype(np.float32)

    def paint(self, texture: NDArray[np.uint8], shape: MouthShape) -> None:
        """Paint the mouth on `texture` (h, w, 4) in place."""
        rows, columns = self.place
        lips = lips_of(self.face, shape, self.x)
        reach = max(float(np.max(lips.outer_lower)) - self.face.mouth_y, 0.1) + 0.06
        last = min(int((0.36 + reach) * self.canvas.scale), len(self.y))
        y = self.y[:last]
        target = texture[rows, columns][:last, :, :3]
        colour = (target.astype(np.float32) * (1 / 255)) ** 2
        skin = colour.copy()
        k = self.canvas.scale
        upper_cover = np.clip((y - lips.outer_upper) * (k / 2.4) + 0.5, 0, 1)
        lower_cover = np.clip((lips.outer_lower - y) * (k / 3.0) + 0.5, 0, 1)
        side = np.clip((1 - np.abs(lips.across)) * (lips.half * k / 3.0), 0, 1)
        cover = (upper_cover * lower_cover * side)[..., None]
        body = self._lip_colour(lips, shape, y)
        colour += (body - skin) * cover
        if lips.gap > 0.006:
            first = max(int((float(np.min(lips.inner_upper)) - self.canvas.top) * k) - 2, 0)
            end = min(int((float(np.max(lips.inner_lower)) - self.canvas.top) * k) + 3, last)
            strip = y[first:end]
            hole = np.clip((strip - lips.inner_upper) * (k / 1.4) + 0.3, 0, 1) * np.clip(
                (lips.inner_lower - strip) * (k / 1.4) + 0.3, 0, 1
            )
            colour[first:end] += (self._inside(lips, shape, strip) - colour[first:end]) * (hole * side)[..., None]
        self._seam(colour, lips, y, k)
        np.sqrt(np.clip(colour, 0, 1, out=colour), out=colour)
        target[:] = (colour * 255 + 0.5).astype(np.uint8)

    def _lip_colour(self, lips: Lips, shape: MouthShape, y: Array) -> Array:
        s = lips.across
        thick_upper = np.maximum(lips.inner_upper - lips.outer_upper, 0.004)
        thick_lower = np.maximum(lips.outer_lower - lips.inner_lower, 0.004)
        upper = np.clip((lips.inner_upper - y) / thick_upper, 0, 1)
        lower = np.clip((y - lips.inner_lower) / thick_lower, 0, 1)
        middle = 0.5 * (lips.inner_upper + lips.inner_lower)
        is_upper = y < middle
        tone = np.where(
            is_upper, 0.60 + 0.30 * upper, 0.78 + 0.42 * np.sin(np.pi * (0.12 + 0.75 * lower)) - 0.34 * lower**2.5
        )
        pad = 1 + 0.10 * np.exp(-(((np.abs(s) - 0.28) / 0.25) ** 2)) - 0.22 * np.clip(np.abs(s), 0, 1) ** 3
        tone = tone * (pad * (1 + 0.22 * self.face.light * s))
        wrinkle = self._stripes[np.clip((s * 90 + 100).astype(int), 0, 199)]
        tone *= 1 + 0.035 * wrinkle * (1 - 0.6 * shape.press) + 0.02 * self._grain[: len(y)]
        shine = (
            np.exp(-(((lower - 0.40) / 0.17) ** 2)) * np.exp(-(((s - 0.22 * self.face.light) / 0.42) ** 2)) * ~is_upper
        )
        shine = shine * np.clip(1 + 0.45 * wrinkle, 0.2, 2) * (0.055 + 0.03 * shape.rounding)
        edge = 0.02 * np.exp(-(((upper - 0.93) / 0.08) ** 2)) * is_upper * np.exp(-((s / 0.5) ** 2))
        return np.asarray(tone[..., None] * self._lip + (shine + edge)[..., None], np.float32)

    def _inside(self, lips: Lips, shape: MouthShape, y: Array) -> Array:
        """Return the colour inside the mouth for the rows `y`."""
        face, x = self.face, self.x
        m = face.mouth_y
        depth = np.clip(1 - (x / (lips.half * 1.05)) ** 2, 0, 1)
        dark = (
            np.array((0.010, 0.007, 0.026), np.float32)
            + np.array((0.014, 0.010, 0.055), np.float32) * (1 - depth)[:, None]
        )
        colour = np.broadcast_to(dark, (len(y), len(x), 3)).copy()
        self._add_lower(colour, lips, shape, y)
        below_lip = np.clip((y - lips.inner_upper) / 0.075, 0, 1)
        light = (0.62 + 0.38 * below_lip) * (0.40 + 0.60 * self._arch)
        edge = (
            m
            + 0.026 * (0.2 + 0.8 * self._arch)
            - 0.07 * shape.rounding
            + 0.03 * shape.tuck
            - self._scallop
            + 0.006 * shape.lift
        )
        tooth = np.clip((edge - y) * (self.canvas.scale / 1.5) + 0.5, 0, 1) * (self._arch > 0.02)
        gum_line = m - 0.115 + 4.0 * self._scallop
        gum = np.clip((gum_line - y) * (self.canvas.scale / 2.0) + 0.5, 0, 1)[..., None]
        enamel = self._tooth * (self._split * light * (0.93 + 0.07 * np.clip((edge - y) / 0.1, 0, 1)))[..., None]
        shown = enamel * (1 - gum) + gum * self._gum * light[..., None]
        colour += (shown - colour) * tooth[..., None]
        # A thin shadow under the edge of the upper teeth separates them from the tongue.
        fall = np.exp(-(((y - edge) / 0.035) ** 2)) * (y > edge)
        colour *= 1 - 0.45 * fall[..., None]
        return colour

    def _add_lower(self, colour: Array, lips: Lips, shape: MouthShape, y: Array) -> None:
        k, m, x = self.canvas.scale, self.face.mouth_y, self.x
        room = np.clip(lips.gap / 0.16, 0, 1)
        back = m + lips.down * 0.55 - shape.tongue * (0.62 * lips.gap + 0.02) + 0.10 * (x / 0.26) ** 2
        tongue = np.clip((y - back) * (k / 3.0) + 0.5, 0, 1) * np.clip((0.27 - np.abs(x)) * k / 5, 0, 1)
        rise = np.clip((y - back) / 0.10, 0, 1)
        groove = 1 - 0.18 * np.exp(-((x / 0.018) ** 2)) * (1 - 0.5 * shape.tongue)
        tone = (0.20 + 0.50 * rise - 0.25 * rise**3) * groove * (0.45 + 0.55 * room) * (0.55 + 0.45 * self._arch)
        wet = 0.05 * np.exp(-(((rise - 0.55) / 0.2) ** 2)) * np.exp(-(((np.abs(x) - 0.06) / 0.05) ** 2))
        painted = tone[..., None] * self._tongue + wet[..., None]
        colour += (painted - colour) * tongue[..., None]
        top = m + 0.92 * lips.down + 0.012 + 0.05 * (x / 0.25) ** 2 + 0.5 * self._scallop
        teeth = np.clip((y - top) * (k / 1.6) + 0.5, 0, 1) * np.clip((0.21 - np.abs(x)) * k / 4, 0, 1) * room
        enamel = self._tooth * (0.62 * self._split * (0.4 + 0.6 * self._arch))[:, None]
        colour += (enamel - colour) * (0.85 * teeth)[..., None]

    def _seam(self, colour: Array, lips: Lips, y: Array, k: float) -> None:
        """Darken where the lips meet, and the pits at the corners."""
        width = 0.010
        shut = np.clip(1 - lips.gap / 0.02, 0, 1)
        line = np.exp(-(((y - 0.5 * (lips.inner_upper + lips.inner_lower)) / width) ** 2)) * shut
        line = line * np.clip((1.03 - np.abs(lips.across)) * 6, 0, 1)
        top = np.exp(-(((y - lips.inner_upper) / 0.012) ** 2)) * (1 - shut) * 0.55 * (np.abs(lips.across) < 0.95)
        away = np.hypot((np.abs(lips.across) - 0.99) * lips.half / 0.035, (y - lips.inner_upper) / 0.022)
        pit = 0.45 * np.exp(-(away**2))
        dark = np.clip(0.78 * line + top + pit, 0, 0.85)[..., None]
        colour *= 1 - dark * np.array((0.95, 0.95, 0.80), np.float32)
