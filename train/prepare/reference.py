"""Whether a clip shows the person of a reference picture: local binary patterns over eyes and nose.

A texture descriptor from before learnt ones; it needs no weights and tells people of one recording apart, not twins and
not one person over the years. docs/design/data.md has its figures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.generator import FaceImage, Image
from models.lite.onnx import aligned_crop

LOOKS: Final = 8
"""Frames of a clip that are described."""

_SIZE: Final = 128
_ROWS, _COLUMNS = slice(4, 84), slice(16, 112)  # brows to nose: no background, hair or speaking mouth
_GRID: Final = (8, 9)
_RADIUS: Final = 3
_BLUR: Final = 1.5  # px: compression and grain are not the person
_PATTERNS: Final = 59  # uniform ones, and one for the rest


class ReferenceError(ValueError):
    """Why a reference picture cannot be used."""


def describe(crops: Sequence[Image] | NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the descriptor (4248,) of one person's aligned crops, of unit length; a few spread frames are enough.

    Source: T. Ahonen, A. Hadid, M. Pietikainen, "Face Description with Local Binary Patterns", IEEE TPAMI 28(12),
    2006; compared by the Bhattacharyya coefficient (square roots of the histograms).
    """
    chosen = np.unique(np.linspace(0, len(crops) - 1, LOOKS).round().astype(int))
    mean = np.mean([_histograms(crops[place]) for place in chosen], axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), dtype=np.float16)


def likeness(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    """Return how alike two descriptors are, 0 to 1."""
    return float(one.astype(np.float64) @ other.astype(np.float64))


def read_reference(path: Path) -> NDArray[np.float16]:
    """Return the descriptor of the face in a picture.

    Raises:
        ReferenceError: the file is no picture, or shows no face or several.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise ReferenceError(f"{path} is not a picture: give a JPEG or PNG of the face")
    picture = np.asarray(image, dtype=np.uint8)
    with FaceMesh(static=True, faces=2) as mesh:
        faces = mesh.find_all(picture)
    if len(faces) != 1:
        raise ReferenceError(f"{path.name} shows {'several faces' if faces else 'no face'}: give a picture of one")
    _, crop = aligned_crop(FaceImage(picture, faces[0]), _SIZE)
    return describe([crop])


def _histograms(crop: Image) -> NDArray[np.float64]:
    # scikit-image takes a while to import, and only this needs it.
    from skimage.feature import local_binary_pattern

    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    if grey.shape[0] != _SIZE:
        grey = cv2.resize(grey, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(grey, (0, 0), _BLUR)
    found = local_binary_pattern(grey, 8, _RADIUS, "nri_uniform")  # type: ignore[no-untyped-call]
    patterns: NDArray[np.intp] = found.astype(np.intp)[_ROWS, _COLUMNS]
    cells = [cell for row in np.array_split(patterns, _GRID[0]) for cell in np.array_split(row, _GRID[1], axis=1)]
    shares = [np.bincount(cell.ravel(), minlength=_PATTERNS) / cell.size for cell in cells]
    return np.asarray(np.sqrt(np.concatenate(shares)))
