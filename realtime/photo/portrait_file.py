"""Read a portrait picture and place its face in a frame as a webcam would show it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.generator import Image, Landmarks
from models.landmarks import eye_distance

MIN_EYES_PX: Final = 30.0
"""Distance of the outer eye corners below which a picture has too little of a face to speak."""

_SEARCH_PX: Final = 1280  # longest side on which faces are looked for
_GREY: Final = 128.0  # behind what is transparent
_EYES: Final = (0.17, 0.26)  # wanted eye distance, as shares of the frame's height
_ENLARGED: Final = 0.2  # and where the picture must be enlarged to reach it
_EYE_LINE: Final = 0.42  # height of the eyes in the frame
_FILL: Final = 0.05  # of the frame's width over which what is added around a picture turns soft


class PortraitError(ValueError):
    """A picture or clip cannot be used; the text gives the reason and the remedy in one line."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Placement of a picture in a frame of `size` (width, height): enlarged by `scale`, shifted by whole px."""

    scale: float
    x: int
    y: int
    size: tuple[int, int]

    def apply(self, image: Image) -> Image:
        """Return the frame (height, width, 3); where the picture does not reach, its edge goes on, blurred."""
        width, height = self.size
        inner = max(1, round(image.shape[1] * self.scale)), max(1, round(image.shape[0] * self.scale))
        how = cv2.INTER_AREA if self.scale < 1.0 else cv2.INTER_CUBIC
        scaled = image if inner == image.shape[1::-1] else cv2.resize(image, inner, interpolation=how)
        x0, y0 = max(self.x, 0), max(self.y, 0)
        x1, y1 = min(self.x + inner[0], width), min(self.y + inner[1], height)
        part = scaled[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
        if part.shape[:2] == (height, width):
            return np.array(part, dtype=np.uint8)
        edges = (y0, height - y1, x0, width - x1)
        return _soft_rim(np.asarray(cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE), dtype=np.uint8), edges)


def read_picture(path: str | Path) -> Image | None:
    """Return the picture (H, W, 3) uint8 BGR, upright as its EXIF data says, over grey; None when it is no picture.

    Raises:
        PortraitError: there is no such file, or it cannot be opened.
    """
    if not Path(path).is_file():
        raise PortraitError(f"there is no file {path}: check the path")
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise PortraitError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    if not data.size:
        raise PortraitError(f"{path} is empty: give another copy")
    try:
        whole = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if whole is None:
            return None
        if whole.ndim == 3 and whole.shape[2] == 4:
            return _over_grey(whole)
        # This flag, unlike the other, turns the picture as EXIF says; it makes three channels of 8 bits of any.
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PortraitError(f"{path} cannot be decoded: it is damaged or larger than 2^30 px") from error
    return None if picture is None else np.asarray(picture, dtype=np.uint8)


def find_faces(image: Image) -> list[Landmarks]:
    """Return the landmarks (468, 2) px of all faces, largest first; small ones are looked for more closely."""
    shrink = min(1.0, _SEARCH_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1.0 else image
    with FaceMesh(static=True, faces=4) as mesh:
        found = mesh.find_all(np.ascontiguousarray(small))
        if found:
            return [(face / shrink).astype(np.float32) for face in found]
        # The detector wants a face of a good share of what it is shown: one in a landscape is seen through a window.
        best: list[Landmarks] = []
        for part in (2, 4):
            for y0, x0, window in _windows(image, part):
                faces = [face + np.array([x0, y0], dtype=np.float32) for face in mesh.find_all(window)]
                best += [face.astype(np.float32) for face in faces]
            if best:
                break
    return sorted(best, key=lambda face: -eye_distance(face))[:1]


def place(image: Image, landmarks: Landmarks, size: tuple[int, int]) -> Placement:
    """Return how to put the face into a frame of `size` (width, height): as much of the picture as fits a call."""
    width, height = size
    cover = max(width / image.shape[1], height / image.shape[0])
    eyes = max(eye_distance(landmarks), 1e-6) / height
    least, most = _EYES[0] / eyes, _EYES[1] / eyes
    scale = _ENLARGED / eyes if cover < least else min(cover, most)
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    at = (landmarks[33] + landmarks[263]) / 2.0 * scale
    x = _shift(0.5 * width - float(at[0]), inner[0], width)
    y = _shift(_EYE_LINE * height - float(at[1]), inner[1], height)
    # Shoulders must not hover: what is missing is missing above.
    return Placement(scale, x, height - inner[1] if inner[1] < height else y, size)


def _shift(wanted: float, inner: int, outer: int) -> int:
    """Return the shift nearest to `wanted` at which the picture covers the frame, or lies in it when it is smaller."""
    return round(min(max(wanted, min(outer - inner, 0)), max(outer - inner, 0)))


def _windows(image: Image, parts: int) -> list[tuple[int, int, Image]]:
    """Return overlapping windows, `parts` of them in each side's length, with their upper left corners."""
    height, width = image.shape[:2]
    tall, wide = -(-height // parts), -(-width // parts)
    if min(tall, wide) < 96:
        return []
    corners = [
        (int(y), int(x))
        for y in np.linspace(0, height - tall, 2 * parts - 1)
        for x in np.linspace(0, width - wide, 2 * parts - 1)
    ]
    return [(y, x, np.ascontiguousarray(image[y : y + tall, x : x + wide])) for y, x in corners]


def _over_grey(picture: NDArray[Any]) -> Image:
    """Return BGRA of 8 or 16 bits over grey."""
    full = 65535.0 if picture.dtype == np.uint16 else 255.0
    share = picture[..., 3:].astype(np.float32) / full
    colour = picture[..., :3].astype(np.float32) * (255.0 / full)
    return np.asarray(_GREY + share * (colour - _GREY) + 0.5, dtype=np.uint8)


def _soft_rim(frame: Image, edges: tuple[int, int, int, int]) -> Image:
    """Blur what was added above, below, left and right (px), the more the further from the picture."""
    height, width = frame.shape[:2]
    top, bottom, left, right = edges
    ys, xs = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    above = np.maximum(np.maximum(top - ys, ys - (height - 1 - bottom)), 0.0)
    aside = np.maximum(np.maximum(left - xs, xs - (width - 1 - right)), 0.0)
    reach = _FILL * width
    share = np.clip(np.hypot(above[:, None], aside[None, :]) / reach, 0.0, 1.0)[..., None]
    soft = cv2.GaussianBlur(frame, (0, 0), 0.5 * reach).astype(np.float32)
    return np.asarray(frame + share * (soft - frame) + 0.5, dtype=np.uint8)
