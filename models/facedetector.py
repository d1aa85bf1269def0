"""Find where faces are in a picture: MediaPipe's short-range face detector (BlazeFace), run by ONNX Runtime."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.catalog import WEIGHTS
from models.generator import Image
from models.runtime import open_session

_SIDE: Final = 128  # px of the picture that the network sees
_GRIDS: Final = ((16, 2), (8, 6))  # cells a side, and guesses a cell
_RIGHT_EYE, _LEFT_EYE = 2, 3  # rows of a guess, after its centre and size
_SURE: Final = 0.0  # logit from which a guess counts: a probability of one half
_SAME: Final = 0.3  # overlap, intersection over union, from which two guesses are one face
_ROOM: Final = 1.5  # sides of the detected box that the landmark network wants to see


@dataclass(frozen=True, slots=True)
class FacePlace:
    """A square around a face, as the landmark network wants to see it.

    Attributes:
        x: its centre, px.
        y: its centre, px.
        side: its side, px.
        angle: how far the line of the eyes is turned from the horizontal, radians, clockwise.
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def around(
        cls, low: NDArray[Any], high: NDArray[Any], right_eye: NDArray[Any], left_eye: NDArray[Any]
    ) -> "FacePlace":
        """Return the place of a face between the corners `low` and `high`, level with the eyes (as seen), all (2,)."""
        x, y = (low + high) / 2.0
        across = left_eye - right_eye
        return cls(float(x), float(y), _ROOM * float((high - low).max()), float(np.arctan2(across[1], across[0])))

    def overlap(self, other: "FacePlace") -> float:
        """Return intersection over union of both squares, their turn left out."""
        reach = (self.side + other.side) / 2.0
        wide, tall = (
            max(min(reach - apart, self.side, other.side), 0.0)
            for apart in (abs(self.x - other.x), abs(self.y - other.y))
        )
        return wide * tall / (self.side**2 + other.side**2 - wide * tall)


class FaceDetector:
    """Find faces that fill a good share of a picture. Its network may be shared; any thread may call it."""

    def __init__(self) -> None:
        """Open the bundled network.

        Raises:
            ModelError: ONNX Runtime or the file is missing.
        """
        self._session = open_session(WEIGHTS / "face_detector.onnx", threads=1)
        self._centres = np.concatenate([_centres(cells, guesses) for cells, guesses in _GRIDS])

    def __call__(self, image: Image) -> list[FacePlace]:
        """Return the faces in `image` (H, W, 3) uint8 BGR, the surest first."""
        height, width = image.shape[:2]
        side = max(height, width)
        edge = np.array([(side - width) / 2.0, (side - height) / 2.0])
        shrink = _SIDE / side
        into = np.array([[shrink, 0.0, edge[0] * shrink], [0.0, shrink, edge[1] * shrink]])
        small = cv2.warpAffine(image, into, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        boxes, scores = self._session.run(["boxes", "scores"], {"image": small[None]})
        sure = np.flatnonzero(scores[0, :, 0] > _SURE)
        guesses = boxes[0, sure].reshape(-1, 8, 2) / _SIDE
        guesses[:, 0] += self._centres[sure]
        guesses[:, _RIGHT_EYE:] += self._centres[sure, None]
        chances = 1.0 / (1.0 + np.exp(-np.clip(scores[0, sure, 0], -100.0, 100.0)))
        return [_place(face * side - edge) for face in _merged(guesses, chances)]


@lru_cache(maxsize=1)
def shared_detector() -> FaceDetector:
    """Return the detector of this process."""
    return FaceDetector()


def _centres(cells: int, guesses: int) -> NDArray[np.float32]:
    """Return the middle of every cell of a grid, once for each guess of it, (cells * cells * guesses, 2)."""
    y, x = np.mgrid[:cells, :cells]
    middle = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
    return np.repeat(middle, guesses, axis=0).astype(np.float32)


def _merged(guesses: NDArray[np.float32], chances: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return one face (8, 2) for all guesses of it, their mean weighted by what they are sure of.

    Rows: lower corner, upper corner, then the points. Source: V. Bazarevsky et al., "BlazeFace", 2019, section 4.
    """
    half = guesses[:, 1] / 2.0
    faces = np.concatenate([(guesses[:, 0] - half)[:, None], (guesses[:, 0] + half)[:, None], guesses[:, 2:]], axis=1)
    left, found = np.argsort(-chances, kind="stable"), []
    while left.size:
        best = faces[left[0]]
        shared = np.minimum(faces[left, 1], best[1]) - np.maximum(faces[left, 0], best[0])
        common = np.clip(shared, 0.0, None).prod(axis=1)
        total = (faces[left, 1] - faces[left, 0]).prod(axis=1) + (best[1] - best[0]).prod() - common
        same = common > _SAME * total
        same[0] = True
        weight = chances[left[same]]
        found.append(np.tensordot(weight / weight.sum(), faces[left[same]], axes=1))
        left = left[~same]
    return found


def _place(face: NDArray[np.float32]) -> FacePlace:
    return FacePlace.around(face[0], face[1], face[_RIGHT_EYE], face[_LEFT_EYE])
