"""Draw what comes before a mouth (hand, fist, cup, microphone, mask), and what must not count (glasses, beard).

Every shape is given in eye distances around the mouth of a face, shaded and grained, and drawn with soft edges, so that
nothing but its look tells it from the face below.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import JAW, LIPS_INNER, LIPS_OUTER, NOSE_BASE, eye_distance
from realtime.face.compose import lower_face

Alpha = NDArray[np.float32]
_FOREHEAD: Final = (151, 108, 337, 9)
_CHEEKS: Final = (50, 280, 205, 425)


class FrameCanvas:
    """Collect shapes over one frame in coordinates of its face: origin between the lips, unit the eye distance."""

    def __init__(self, image: Image, landmarks: Landmarks, seed: int = 0) -> None:
        """Draw over `image` (H, W, 3) uint8 BGR whose face has `landmarks` (468, 2) px; `seed` fixes the grain."""
        self.image = image.astype(np.float32)
        self.alpha = np.zeros(image.shape[:2], np.float32)
        self._landmarks = landmarks
        self._origin = landmarks[list(LIPS_OUTER)].mean(0)
        self._unit = eye_distance(landmarks)
        self._across = (landmarks[263] - landmarks[33]) / max(self._unit, 1e-6)
        self._rng = np.random.default_rng(seed)

    def px(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return px of `points` (n, 2) in eye distances."""
        across, down = self._across, np.array([-self._across[1], self._across[0]])
        return np.asarray(self._origin + self._unit * (points[:, :1] * across + points[:, 1:] * down))

    def skin(self, where: Sequence[int] = _FOREHEAD) -> NDArray[np.float64]:
        """Return the colour of the face (3,) BGR around the landmarks `where`."""
        radius = max(1, round(0.05 * self._unit))
        colours = []
        for x, y in self._landmarks[list(where)].astype(int):
            part = self.image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            if part.size:
                colours.append(part.reshape(-1, 3).mean(0))
        return np.asarray(np.median(colours, axis=0), dtype=np.float64)

    def polygon(self, points: NDArray[np.float64], colour: NDArray[np.float64], relief: float = 0.25) -> None:
        """Fill the polygon `points` (n, 2) in eye distances; its middle is lighter than its rim by `relief`."""
        mask = np.zeros(self.alpha.shape, np.uint8)
        cv2.fillPoly(mask, [np.round(self.px(points) * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
        self._lay(mask, colour, relief, 0.12)

    def limb(self, a: Sequence[float], b: Sequence[float], width: float, colour: NDArray[np.float64]) -> None:
        """Draw a rounded rod from `a` to `b`, as wide as `width` eye distances."""
        ends = np.round(self.px(np.array([a, b], dtype=np.float64))).astype(int)
        mask = np.zeros(self.alpha.shape, np.uint8)
        thick = max(1, round(width * self._unit))
        cv2.line(mask, tuple(ends[0].tolist()), tuple(ends[1].tolist()), (255,), thick, cv2.LINE_AA)
        self._lay(mask, colour, 0.45, width / 3.0)

    def _lay(self, mask: Image, colour: NDArray[np.float64], relief: float, depth: float) -> None:
        if not mask.any():
            return
        inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        height = np.clip(inside / max(depth * self._unit, 1.0), 0.0, 1.0)
        light = 1.0 - relief + relief * np.sqrt(height)
        coarse = self._rng.normal(0.0, 0.04, (1 + mask.shape[0] // 6, 1 + mask.shape[1] // 6)).astype(np.float32)
        grain = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        grain = grain + self._rng.normal(0.0, 0.015, mask.shape).astype(np.float32)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.008 * self._unit)).astype(np.float32) / 255.0
        shaded = colour[None, None] * (light * (1.0 + grain))[..., None]
        self.image += soft[..., None] * (np.clip(shaded, 0, 255) - self.image)
        self.alpha = np.maximum(self.alpha, soft)

    def result(self) -> tuple[Image, Alpha]:
        """Return the picture (H, W, 3) uint8 and how much of each px is covered, (H, W) in 0..1."""
        return np.clip(self.image + 0.5, 0, 255).astype(np.uint8), self.alpha


Draw = Callable[[FrameCanvas, float, float, np.random.Generator], None]
"""Draw a thing on a canvas; its middle is moved by (x, y) eye distances from the mouth."""


def _hand(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A flat hand, fingers up, as one that hides a yawn or a whisper."""
    tone = canvas.skin() * rng.uniform(0.85, 1.1)
    slant = rng.uniform(-0.5, 0.5)
    palm = np.array([[-0.42, 0.1], [0.42, 0.05], [0.38, 0.95], [0.25, 1.9], [-0.25, 1.9], [-0.4, 0.9]])
    palm[:, 0] += slant * palm[:, 1] * 0.4
    canvas.polygon(palm + (x, y), tone)
    for k, (base, long) in enumerate(zip((-0.32, -0.11, 0.1, 0.31), (0.65, 0.8, 0.78, 0.6), strict=True)):
        spread = 0.12 * (k - 1.5) - 0.3 * slant
        canvas.limb((x + base, y + 0.15), (x + base + spread * long, y - long), 0.2, tone * rng.uniform(0.93, 1.04))
    canvas.limb((x + 0.35, y + 0.8), (x + 0.75, y + 0.25), 0.22, tone)


def _fist(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A fist or folded fingers at the lips, as one who thinks."""
    tone = canvas.skin() * rng.uniform(0.85, 1.1)
    canvas.polygon(
        np.array([[-0.45, -0.1], [0.4, -0.15], [0.5, 0.6], [0.3, 1.8], [-0.3, 1.8], [-0.5, 0.6]]) + (x, y), tone
    )
    for k in range(4):
        along = -0.36 + 0.24 * k
        canvas.limb((x + along, y - 0.15), (x + along + 0.02, y + 0.35), 0.25, tone * rng.uniform(0.92, 1.05))
    canvas.limb((x - 0.4, y + 0.45), (x + 0.2, y + 0.4), 0.22, tone)


def _cup(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A mug at the lips with the fingers that hold it."""
    colour = rng.uniform(20, 240, 3)
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    canvas.polygon(np.array([[-0.5, 0.0], [0.5, 0.0], [0.44, 1.1], [-0.44, 1.1]]) + (x, y), colour, 0.4)
    canvas.polygon(np.stack([0.5 * np.cos(turn), 0.13 * np.sin(turn)], 1) + (x, y), colour * 0.75, 0.2)
    tone = canvas.skin() * rng.uniform(0.85, 1.1)
    for k in range(3):
        canvas.limb((x + 0.2, y + 0.35 + 0.22 * k), (x + 0.62, y + 0.4 + 0.22 * k), 0.2, tone)


def _microphone(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A hand-held microphone: a dark ball before the lips and its stem."""
    grey = np.full(3, rng.uniform(20, 90))
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    canvas.limb((x + 0.05, y + 0.4), (x + 0.25, y + 1.8), 0.28, grey * 0.7)
    canvas.polygon(np.stack([0.36 * np.cos(turn), 0.36 * np.sin(turn)], 1) + (x, y + 0.15), grey, 0.6)


def _mask(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A surgical mask, pulled up from below."""
    colour = np.array([(225, 210, 170), (240, 240, 240), (40, 40, 45)][int(rng.integers(3))], dtype=np.float64)
    shape = np.array(
        [
            [-0.72, -0.3],
            [-0.3, -0.42],
            [0.3, -0.42],
            [0.72, -0.3],
            [0.66, 0.35],
            [0.3, 0.72],
            [-0.3, 0.72],
            [-0.66, 0.35],
        ]
    )
    canvas.polygon(shape + (x, y), colour, 0.15)
    for k in range(3):
        canvas.limb((x - 0.6, y - 0.12 + 0.2 * k), (x + 0.6, y - 0.12 + 0.2 * k), 0.02, colour * 0.85)


def _paper(canvas: FrameCanvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A telephone or a sheet of paper, one plain colour."""
    colour = rng.uniform(15, 245) * rng.uniform(0.9, 1.1, 3)
    tilt = rng.uniform(-0.2, 0.2)
    shape = np.array([[-0.45, -0.45 + tilt], [0.45, -0.45 - tilt], [0.5, 1.2], [-0.5, 1.2]])
    canvas.polygon(shape + (x, y), np.clip(colour, 5, 250), 0.05)


OCCLUDERS: Final[dict[str, Draw]] = {
    "hand": _hand, "fist": _fist, "cup": _cup, "microphone": _microphone, "mask": _mask, "paper": _paper,
}  # fmt: skip


def occlude(image: Image, landmarks: Landmarks, kind: str, x: float, y: float, seed: int = 0) -> tuple[Image, Alpha]:
    """Return `image` with a thing of `kind` before the face, and its alpha.

    Args:
        image: (H, W, 3) uint8 BGR; it is left as it is.
        landmarks: (468, 2) px of the uncovered face.
        kind: a key of `OCCLUDERS`.
        x: how far its middle lies to the right of the mouth, eye distances.
        y: how far below.
        seed: fixes colour, slant and grain.
    """
    canvas = FrameCanvas(image, landmarks, seed)
    OCCLUDERS[kind](canvas, x, y, np.random.default_rng(seed))
    return canvas.result()


def covered(alpha: Alpha, landmarks: Landmarks) -> float:
    """Return the share of the area that the compositor paints that lies under `alpha`, 0 to 1."""
    area = np.zeros(alpha.shape, np.uint8)
    hull = cv2.convexHull(lower_face(landmarks).astype(np.int32))
    cv2.fillConvexPoly(area, hull, (1,))
    inside = area > 0
    return float((alpha[inside] > 0.5).mean()) if inside.any() else 0.0


def add_glasses(image: Image, landmarks: Landmarks) -> Image:
    """Return `image` with dark spectacle frames around the eyes."""
    out = image.copy()
    thick = max(1, round(0.035 * eye_distance(landmarks)))
    for inner, outer in ((133, 33), (362, 263)):
        centre = landmarks[[inner, outer]].mean(0)
        axes = (round(0.26 * eye_distance(landmarks)), round(0.2 * eye_distance(landmarks)))
        cv2.ellipse(out, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, (25, 25, 30), thick, cv2.LINE_AA)
    for a, b in ((133, 362), (33, 127), (263, 356)):
        ends = [tuple(landmarks[i].astype(int).tolist()) for i in (a, b)]
        cv2.line(out, ends[0], ends[1], (25, 25, 30), thick, cv2.LINE_AA)
    return np.asarray(out, dtype=np.uint8)


def add_beard(image: Image, landmarks: Landmarks, seed: int = 0) -> Image:
    """Return `image` with a full beard: jaw, chin and moustache darkened by hairs, the lips left free."""
    area = np.zeros(image.shape[:2], np.uint8)
    moustache = landmarks[[*NOSE_BASE, 291, 61]]
    cv2.fillPoly(area, [landmarks[[*JAW, 291, *LIPS_OUTER[:10][::-1], 61]].astype(np.int32)], (255,))
    cv2.fillConvexPoly(area, cv2.convexHull(moustache.astype(np.int32)), (255,))
    cv2.fillPoly(area, [landmarks[list(LIPS_OUTER)].astype(np.int32)], (0,))
    cv2.fillPoly(area, [landmarks[list(LIPS_INNER)].astype(np.int32)], (0,))
    unit = eye_distance(landmarks)
    soft = cv2.GaussianBlur(area, (0, 0), max(0.8, 0.04 * unit)).astype(np.float32)[..., None] / 255.0
    # Hairs move with the face: the grain is laid in its own coordinates.
    grain = np.random.default_rng(seed).normal(0.0, 0.3, (128, 128)).astype(np.float32)
    matrix = np.array([[unit / 64.0, 0.0, landmarks[2, 0] - unit], [0.0, unit / 64.0, landmarks[2, 1] - 0.4 * unit]])
    hairs = cv2.warpAffine(grain, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)[..., None]
    dark = image.astype(np.float32) * np.clip(0.35 + 0.25 * hairs, 0.1, 0.9)
    return np.asarray(np.clip(image + 0.85 * soft * (dark - image) + 0.5, 0, 255), dtype=np.uint8)


def coarse(image: Image) -> Image:
    """Return `image` as a starved encoder would send it: half the size, coarsely quantised, enlarged again."""
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 12])
    again = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(cv2.resize(again, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
