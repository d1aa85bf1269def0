"""Draw a face as an illustrator would: flat colours, outlines, a shelf behind it. For strips and tests."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image

_FINE = 16  # positions in sixteenths of a px
_INK, _HAIR, _SKIN, _SHADE = (52, 40, 58), (48, 62, 128), (170, 200, 240), (140, 170, 220)


def drawn_face(width: int = 640, height: int = 480) -> Image:
    """Return an illustration (H, W, 3) uint8 BGR of a person before a shelf; drawn twice as large and reduced."""
    canvas = np.full((2 * height, 2 * width, 3), (206, 196, 178), dtype=np.uint8)
    _Pen(canvas, 2.0 * height / 480.0, (width, 0.86 * height)).portrait()
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


class _Pen:
    """Draw in units of 1/480 of the picture's height, the origin between the eyes."""

    def __init__(self, canvas: Image, unit: float, origin: tuple[float, float]) -> None:
        self.canvas, self.unit, self.origin = canvas, unit, origin

    def portrait(self) -> None:
        """Draw wall, person, face, from back to front."""
        self.shelf()
        self.blob([(-98, 30), (-112, -60), (-70, -128), (0, -146), (70, -128), (112, -60), (98, 30), (112, 150),
                   (60, 190), (-60, 190), (-112, 150)], _HAIR)  # fmt: skip
        self.blob([(-190, 330), (-170, 218), (-60, 180), (60, 180), (170, 218), (190, 330)], (120, 96, 60))
        self.blob([(-38, 110), (38, 110), (46, 196), (0, 216), (-46, 196)], _SHADE)
        self.blob([(-84, -60), (-88, 20), (-76, 82), (-44, 126), (0, 140), (44, 126), (76, 82), (88, 20), (84, -60),
                   (44, -102), (-44, -102)], _SKIN)  # fmt: skip
        self.blob([(-92, 0), (-84, -74), (-30, -86), (26, -70), (84, -74), (92, 0), (104, -70), (62, -132), (0, -144),
                   (-62, -132), (-104, -70)], _HAIR)  # fmt: skip
        for side in (-1, 1):
            self.blob([(side * x, y) for x, y in ((48, 44), (66, 36), (72, 54), (54, 62))], (158, 178, 240), line=False)
            self.eye(side)
        self.stroke([(6, -4), (14, 40), (17, 52), (8, 58), (-6, 57)], 2.2, (110, 134, 186))
        self.mouth()

    def shelf(self) -> None:
        """Draw straight lines and books: what a warp would bend."""
        for row, top in enumerate((-190, -70, 50)):
            self.box(-330, top + 96, 330, top + 104, (120, 150, 172))
            for index, x in enumerate(range(-320, 320, 26)):
                tall = 62 + (index * 37 + row * 53) % 30
                self.box(x, top + 96 - tall, x + 21, top + 96, [(150, 120, 90), (96, 128, 164), (128, 160, 138)][
                    (index + row) % 3
                ])  # fmt: skip

    def eye(self, side: int) -> None:
        """Draw one eye with lid, lashes and brow; `side` is -1 or 1."""

        def at(x: float, y: float) -> tuple[float, float]:
            return side * (38 + x), y

        upper = [at(-21, 4), at(-12, -9), at(2, -13), at(14, -7), at(22, 1)]
        lower = [at(14, 9), at(0, 12), at(-12, 9)]
        self.blob(upper + lower, (246, 248, 250), line=False)
        white = np.zeros(self.canvas.shape[:2], dtype=np.uint8)
        cv2.fillPoly(white, [self.smooth(upper + lower)], (255,), cv2.LINE_AA, 4)
        before = self.canvas.copy()
        for radius, colour in ((11.5, (92, 74, 40)), (9.5, (150, 124, 70)), (5.2, (30, 24, 24))):
            self.dot(at(0, -2), radius, colour)
        self.dot((side * 38 - 4, -6), 2.6, (255, 255, 255))
        share = white[..., None].astype(np.float32) / 255.0
        self.canvas[:] = (before + share * (self.canvas.astype(np.float32) - before) + 0.5).astype(np.uint8)
        self.stroke(upper, 3.6, _INK)
        self.stroke([at(-18, 6), *lower[::-1], at(20, 3)], 1.4, (96, 110, 150))
        self.stroke([at(-18, -14), at(0, -21), at(18, -14)], 1.6, (112, 138, 190))
        self.stroke([at(-24, -32), at(-4, -40), at(26, -32)], 6.0, _HAIR)

    def mouth(self) -> None:
        """Draw closed lips."""
        self.blob([(-30, 88), (-12, 81), (0, 84), (12, 81), (30, 88), (14, 101), (0, 104), (-14, 101)],
                  (112, 104, 206), line=False)  # fmt: skip
        self.stroke([(-31, 88), (-14, 90), (0, 91), (14, 90), (31, 88)], 2.2, (70, 58, 130))

    def smooth(self, points: list[tuple[float, float]], closed: bool = True) -> NDArray[np.int32]:
        """Return a Catmull-Rom curve through `points`, in sixteenths of a px."""
        p = np.array(points, dtype=np.float64)
        around = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
        t = np.linspace(0.0, 1.0, 12, endpoint=False)[:, None]
        pieces = [
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            for a, b, c, d in zip(around, around[1:], around[2:], around[3:], strict=False)
        ]
        curve = np.concatenate([*pieces, p[:1] if closed else p[-1:]])
        return np.asarray(np.round((curve * self.unit + self.origin) * _FINE), dtype=np.int32)

    def blob(self, points: list[tuple[float, float]], colour: tuple[int, int, int], line: bool = True) -> None:
        """Fill a smooth outline, and ink it."""
        curve = self.smooth(points)
        cv2.fillPoly(self.canvas, [curve], colour, cv2.LINE_AA, 4)
        if line:
            cv2.polylines(self.canvas, [curve], True, _INK, round(1.6 * self.unit), cv2.LINE_AA, 4)

    def stroke(self, points: list[tuple[float, float]], wide: float, colour: tuple[int, int, int]) -> None:
        """Draw a smooth open line."""
        curve = self.smooth(points, closed=False)
        cv2.polylines(self.canvas, [curve], False, colour, max(1, round(wide * self.unit)), cv2.LINE_AA, 4)

    def dot(self, at: tuple[float, float], radius: float, colour: tuple[int, int, int]) -> None:
        """Fill a circle."""
        x, y = np.round((np.array(at) * self.unit + self.origin) * _FINE).astype(int)
        cv2.circle(self.canvas, (int(x), int(y)), round(radius * self.unit * _FINE), colour, -1, cv2.LINE_AA, 4)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        """Fill a rectangle."""
        corners = np.round(np.array([(x0, y0), (x1, y1)]) * self.unit + self.origin).astype(int)
        cv2.rectangle(self.canvas, tuple(corners[0].tolist()), tuple(corners[1].tolist()), colour, -1)
