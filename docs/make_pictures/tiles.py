"""Tiles of a strip of frames: a whole frame with words on it, mouth or eyes close up."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from models.landmarks import eye_distance

TILE = (240, 180)
CLOSE_UP = (240, 150)


def close_up(image: Image, face: NDArray[np.float32], eyes: bool) -> Image:
    """Cut out mouth or eyes and enlarge them."""
    middle = (face[33] + face[263]) / 2.0 if eyes else face[[13, 14]].mean(0)
    wide = (1.6 if eyes else 1.3) * eye_distance(face)
    scale = CLOSE_UP[0] / wide
    matrix = np.array(
        [[scale, 0, CLOSE_UP[0] / 2 - scale * middle[0]], [0, scale, CLOSE_UP[1] / 2 - scale * middle[1]]]
    )
    return np.asarray(cv2.warpAffine(image, matrix, CLOSE_UP, flags=cv2.INTER_CUBIC), dtype=np.uint8)


def labelled(image: Image, text: str) -> Image:
    """Return `image` as a tile with `text` on it."""
    tile = cv2.resize(image, TILE, interpolation=cv2.INTER_AREA)
    out = np.array(tile, dtype=np.uint8)
    cv2.rectangle(out, (0, tile.shape[0] - 22), (10 + 8 * len(text), tile.shape[0]), (0, 0, 0), -1)
    cv2.putText(out, text, (6, tile.shape[0] - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return out
