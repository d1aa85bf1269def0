"""Face landmarks: the detector and the mesh of MediaPipe's Face Landmarker, run by ONNX Runtime.

`models/weights/face.md` says where the networks come from, `docs/results/eyes.md` what they see.
"""

from functools import lru_cache
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np

from models.catalog import WEIGHTS
from models.facedetector import FacePlace, shared_detector
from models.generator import Image, Landmarks
from models.runtime import open_session

POINTS: Final = 468
"""Landmarks of a face; the network's ten points of the irises are left out."""

MESH: Final = 2
"""Number of these landmarks where they are stored: 1 are those of FaceMesh 0.10.21, which saw smaller mouths."""

_SIDE: Final = 256  # px of the face that the network sees
_SURE: Final = 0.0  # logit from which a face is there: a probability of one half
_SAME: Final = 0.5  # overlap from which a detected face is one that is followed already
_EYE_CORNERS: Final = (33, 263)


class FaceMesh:
    """Find face landmarks in single images or along a video. One thread makes, uses and closes one instance.

    With `static` False the faces found last are followed from image to image, each looked for where it was, and the
    detector only runs while fewer than `faces` are known; with `static` True every image stands alone. The networks
    are opened once in a process. One face takes about 5 ms of one core, the detector 1.
    """

    def __init__(self, static: bool = False, faces: int = 1) -> None:
        """Open the networks; `faces` is the most faces that `find_all` returns.

        Raises:
            ModelError: ONNX Runtime or a network's file is missing.
        """
        self._static, self._most = static, faces
        self._places: list[FacePlace] = []
        self._detector, self._mesh = shared_detector(), _mesh()
        self._closed = False

    def __enter__(self) -> "FaceMesh":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, image: Image) -> Landmarks | None:
        """Return the landmarks of the face in `image` (H, W, 3) uint8 BGR, (468, 2) float32 px, or None."""
        found = self.find_all(image)
        return found[0] if found else None

    def find_all(self, image: Image) -> list[Landmarks]:
        """Return the landmarks of all faces found, the largest first.

        Raises:
            ValueError: `image` is not (H, W, 3) uint8.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"want a BGR image (H, W, 3) uint8, got {image.shape} {image.dtype}")
        if self._closed:
            raise RuntimeError("this FaceMesh is closed")
        found = self._followed(image)
        if len(found) < self._most:
            found += self._detected(image, [place for place, _ in found])[: self._most - len(found)]
        self._places = [] if self._static else [place for place, _ in found]
        return sorted((face for _, face in found), key=lambda face: -float(np.prod(np.ptp(face, axis=0))))

    def reset(self) -> None:
        """Forget the faces that are being followed."""
        self._places = []

    def close(self) -> None:
        """Forget the faces and refuse further images. Safe to call twice."""
        self._closed, self._places = True, []

    def _followed(self, image: Image) -> list[tuple[FacePlace, Landmarks]]:
        """Return the faces still where they were, each with its place now."""
        faces = [self._look(image, place) for place in self._places]
        return [(_around(face), face) for face in faces if face is not None]

    def _detected(self, image: Image, known: list[FacePlace]) -> list[tuple[FacePlace, Landmarks]]:
        """Return the faces that the detector finds and that are not among the known ones."""
        new = [place for place in self._detector(image) if all(place.overlap(one) < _SAME for one in known)]
        faces = [self._look(image, place) for place in new[: self._most]]
        return [(_around(face), face) for face in faces if face is not None]

    def _look(self, image: Image, place: FacePlace) -> Landmarks | None:
        """Return the landmarks of the face at `place`; None when there is none."""
        scale = place.side / _SIDE
        cosine, sine = scale * np.cos(place.angle), scale * np.sin(place.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        # Px of the network's picture to px of the image.
        back = np.column_stack([turn, np.array([place.x, place.y]) - turn @ (_SIDE / 2.0, _SIDE / 2.0)])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(image, back, (_SIDE, _SIDE), flags=how, borderMode=cv2.BORDER_REPLICATE)
        points, presence = self._mesh.run(["points", "presence"], {"image": crop[None]})
        if presence.item() < _SURE:
            return None
        seen = points.reshape(-1, 3)[:POINTS, :2]
        return np.asarray(seen @ turn.T + back[:, 2], dtype=np.float32)


def _around(face: Landmarks) -> FacePlace:
    """Return where to look for a face next time."""
    right, left = (face[corner] for corner in _EYE_CORNERS)
    return FacePlace.around(face.min(axis=0), face.max(axis=0), right, left)


@lru_cache(maxsize=1)
def _mesh() -> Any:
    """Return the session of the landmark network; any thread may run it."""
    return open_session(WEIGHTS / "face_mesh.onnx", threads=1)
