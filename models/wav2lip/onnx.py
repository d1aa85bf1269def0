"""Speak with any Wav2Lip generator in ONNX: lipline's own export or files from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.alignment import WAV2LIP_WINDOW
from models.errors import ModelError
from models.generator import FaceImage, Landmarks, Patch
from models.landmarks import Matrix, box_matrix
from models.onnx.contract import WAV2LIP, WINDOW_KEY, Shape, window_from_json

SIZE: Final = 96
"""Side of the network's face crop in px."""

_DTYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True, slots=True, eq=False)
class Wav2LipFace:
    """A prepared face: the network's six channels (1, 6, 96, 96), where the crop lies, and the landmarks."""

    planes: NDArray[np.float32]
    matrix: Matrix
    landmarks: Landmarks


def looks_like_wav2lip(session: Any) -> bool:
    """Return whether an open ONNX session takes a Wav2Lip mel window and face, in any names and order."""
    return _find_inputs(session) is not None


class Wav2LipGenerator:
    """Paint the lower face with a stock Wav2Lip network; implements `models.generator.Generator`.

    The pose frame is its own reference, as in the public inference code: there the network has the same head position
    in both, and `references` go unused. The mel window is in training alignment unless the file says otherwise. The
    patch is 96x96 px for the whole face box, soft when enlarged: that is the network, not the pasting.
    """

    references_wanted = 1

    def __init__(self, session: Any, name: str = "wav2lip") -> None:
        """Take an open session (`models.runtime.open_session`) and try it once.

        Raises:
            ModelError: when inputs, outputs or metadata are not those of a Wav2Lip generator.
        """
        inputs = _find_inputs(session)
        if inputs is None:
            raise ModelError(f"{name} is no Wav2Lip generator: {describe_inputs(session)}, not a mel and a 96 px face")
        metadata = session.get_modelmeta().custom_metadata_map
        self.name = name
        self.hearing = window_from_json(metadata[WINDOW_KEY]) if WINDOW_KEY in metadata else WAV2LIP_WINDOW
        self._session = session
        self._mel, self._face = inputs
        self._dtypes = {value.name: _DTYPES[value.type] for value in inputs}
        self._output = session.get_outputs()[0].name
        self._try()

    def prepare(self, face: FaceImage) -> Wav2LipFace:
        """Cut the face box and lay out its six channels. The image is not kept."""
        matrix = box_matrix(face.landmarks, SIZE)
        crop = cv2.warpAffine(face.image, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        reference = crop.transpose(2, 0, 1).astype(np.float32) / 255.0
        masked = reference.copy()
        masked[:, SIZE // 2 :] = 0.0
        return Wav2LipFace(np.concatenate((masked, reference))[None], matrix, face.landmarks)

    def generate(self, window: NDArray[np.float32], pose: Wav2LipFace, references: Sequence[Wav2LipFace]) -> Patch:
        """Return the mouth for `window` (80, 16) of mel on `pose`; see `models.generator.Generator`.

        Raises:
            ValueError: when `window` has another shape.
        """
        if window.shape != (80, 16):
            raise ValueError(
                f"Wav2Lip hears mel windows of (80, 16), not {window.shape}: cut them with generator.hearing"
            )
        frame = self._run(window[None, None], pose.planes)
        image = np.rint(np.clip(frame, 0.0, 1.0) * 255.0).astype(np.uint8)
        return Patch(np.ascontiguousarray(image.transpose(1, 2, 0)), pose.matrix, pose.landmarks)

    def _run(self, mel: NDArray[np.float32], planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the frame (3, 96, 96) for one mel (1, 1, 80, 16) and face (1, 6, 96, 96)."""
        feeds = {
            self._mel.name: np.ascontiguousarray(mel, dtype=self._dtypes[self._mel.name]),
            self._face.name: np.ascontiguousarray(planes, dtype=self._dtypes[self._face.name]),
        }
        (frames,) = self._session.run([self._output], feeds)
        frame: NDArray[np.float32] = np.asarray(frames[0], dtype=np.float32)
        return frame

    def _try(self) -> None:
        """Run once on grey: shows a wrong output at once, and takes the slow first run out of the call."""
        grey = np.full((1, 6, SIZE, SIZE), 0.5, dtype=np.float32)
        try:
            frame = self._run(np.full((1, 1, 80, 16), -4.0, dtype=np.float32), grey)
        # ONNX Runtime's errors have no common class but Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{self.name} fails on a plain input ({reason}): convert it again") from error
        if frame.shape != (3, SIZE, SIZE) or not np.isfinite(frame).all() or abs(frame).max() > 2.0:
            raise ModelError(f"{self.name} puts out {frame.shape}, not a frame (3, 96, 96) in 0..1: convert it again")


def describe_inputs(session: Any) -> str:
    """Return the inputs of a session in words, for an error message."""
    return "it takes " + ", ".join(f"{value.name} {value.shape}" for value in session.get_inputs())


def _find_inputs(session: Any) -> tuple[Any, Any] | None:
    """Return the inputs (mel, face) of a session, or None."""
    inputs = session.get_inputs()
    if len(inputs) != 2 or any(value.type not in _DTYPES for value in inputs):
        return None
    mel, face = (
        next((value for value in inputs if _fits(value.shape, shape)), None) for shape in WAV2LIP.inputs.values()
    )
    return None if mel is None or face is None else (mel, face)


def _fits(shape: Sequence[Any], wanted: Shape) -> bool:
    """Return whether an ONNX shape is `wanted` after a batch dimension that is free or 1."""
    return tuple(shape[1:]) == wanted and (not isinstance(shape[0], int) or shape[0] == 1)
