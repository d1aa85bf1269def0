"""Run the lite generator from ONNX and move the caller's pixels at the frame's own resolution. No torch here."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.callerlayer import CallerLayer
from models.ears.onnx import Ears, EarsHearing
from models.errors import ModelError
from models.generator import FaceImage, Image, Landmarks, Patch
from models.hearing import Columns
from models.landmarks import Matrix, aligned_matrix, invert, transform
from models.lite.contract import POINTS, LiteConfig, gap_of_basis, opening_scale, shape_of, to_crop_px
from models.lite.drawing import Pixels, mix, pixels_of
from models.onnx.contract import OnnxContract
from models.runtime import open_session

CONFIG_KEY: Final = "lipline.lite"
"""Metadata property that holds the LiteConfig as JSON."""

ENCODER_KEY: Final = "lipline.encoder"
"""Metadata property that holds the encoder of past frames, an ONNX model in base64: one file is one generator."""

VOICE_KEY: Final = "lipline.voice"
"""Metadata property that holds the voice, an ONNX model in base64."""

EARS_KEY: Final = "lipline.hearing"
"""Metadata property that holds the ears, an ONNX model in base64."""

BASIS_KEY: Final = "lipline.basis"
"""Metadata property that holds the basis of mouth motion, float32 (coefficients, 110) in base64."""

LAST_KEY: Final = "lipline.last"
"""Metadata property that holds the voice's last layer with its gain, float32 (hidden + 1, coefficients) in base64: the
row after the weights is the bias."""

PERSONAL_KEY: Final = "lipline.personal"
"""Metadata property of a generator that was enrolled for one person: JSON of how much it learned from, no name."""

_SEEN: Final = 3.0  # times the crop's size, at most, from which it is reduced: the network sees no more
_DRAWN: Final = (
    5.0  # times the crop's size, at most, at which a face is drawn (530 px from brow to chin): more costs time
)


def contract(config: LiteConfig) -> OnnxContract:
    """Return names and shapes of a lite file; shapes in eye distances, flow in shares of the aligned crop."""
    half, count = config.size // 2, config.sources
    height, width = config.region_hw
    return OnnxContract(
        kind="lite",
        inputs={
            "told": (config.coefficients,),
            "features": (count, half * half, config.features),
            "shapes": (count, len(POINTS), 2),
            "neutral": (len(POINTS), 2),
        },
        outputs={
            "shape": (len(POINTS), 2),
            "flow": (count, 2, height // 2, width // 2),
            "weights": (count, height // 2, width // 2),
            "residual": (3, height // 2, width // 2),
        },
    )


def voice_contract(config: LiteConfig) -> OnnxContract:
    """Return names and shapes of the voice inside a lite file."""
    return OnnxContract(
        kind="lite-voice",
        inputs={"heard": (config.heard, config.columns)},
        outputs={"hidden": (config.hidden,), "told": (config.coefficients,)},
    )


def encoder_contract(config: LiteConfig) -> OnnxContract:
    """Return names and shapes of the encoder inside a lite file."""
    half = config.size // 2
    return OnnxContract(
        kind="lite-encoder",
        inputs={"crop": (3, config.size, config.size)},
        outputs={"features": (half * half, config.features)},
    )


@dataclass(frozen=True, slots=True, eq=False)
class LiteSource:
    """What is computed once for a past frame.

    Attributes:
        landmarks: (468, 2) px of the frame.
        matrix: (2, 3), frame to aligned crop.
        shape: (55, 2) mouth shape.
        features: (S/2 * S/2, C) float32, what the network has seen of the aligned crop.
        pixels: the frame's own around it, that pictures are drawn with.
    """

    landmarks: Landmarks
    matrix: Matrix
    shape: Landmarks
    features: NDArray[np.float32]
    pixels: Pixels


def aligned_crop(face: FaceImage, size: int) -> tuple[Matrix, Image]:
    """Return the affine to the aligned crop of `size` px, and the crop (size, size, 3)."""
    matrix = aligned_matrix(face.landmarks, size)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    larger = round(size * min(max(1.0 / max(shrink, 1e-6), 1.0), _SEEN))
    # What is made smaller gains nothing from bicubic interpolation (56 dB apart), which takes 2 ms longer.
    how = cv2.INTER_CUBIC if shrink >= 0.7 or larger == size else cv2.INTER_LINEAR
    wide = _scaled(matrix, larger / size)
    native = cv2.warpAffine(face.image, wide, (larger, larger), flags=how, borderMode=cv2.BORDER_REPLICATE)
    small = native if larger == size else cv2.resize(native, (size, size), interpolation=cv2.INTER_AREA)
    return matrix, np.asarray(small, dtype=np.uint8)


_KEPT: Final = 0.13  # share of the pose frame's mouth that is still seen
_FOLLOWED: Final = 0.95  # share of what is asked for that is seen


class LiteGenerator:
    """Make mouths with a lite ONNX file (a `models.callerlayer.TeachableGenerator`). Not thread-safe.

    Attributes:
        config: sizes.
        basis: (coefficients, 110) float32, the mouth motion that each coefficient stands for, in eye distances.
        last: (hidden + 1, coefficients) float32, by which the coefficients follow from the hidden numbers and a 1.
        caller: a caller's own layer in place of `last`; None is `last`.
        hearing: how it hears.
    """

    name = "lite"

    def __init__(self, session: Any) -> None:
        """Take an open onnxruntime session of an exported lite generator.

        Raises:
            ModelError: the file's metadata is not that of a lite generator.
        """
        metadata = session.get_modelmeta().custom_metadata_map
        try:
            self.config = LiteConfig.from_json(json.loads(metadata[CONFIG_KEY]))
            keys = (ENCODER_KEY, VOICE_KEY, EARS_KEY, BASIS_KEY, LAST_KEY)
            parts = {key: base64.b64decode(metadata[key], validate=True) for key in keys}
            coefficients, hidden = self.config.coefficients, self.config.hidden
            self.basis = np.frombuffer(parts[BASIS_KEY], "<f4").reshape(coefficients, 2 * len(POINTS))
            self.last = np.frombuffer(parts[LAST_KEY], "<f4").reshape(hidden + 1, coefficients)
        except (KeyError, ValueError, TypeError) as error:
            if CONFIG_KEY in metadata and EARS_KEY not in metadata:
                raise ModelError(
                    "it was made by lipline 0.1, which heard otherwise: train or enrol it again"
                ) from error
            raise ModelError(f"the file's {CONFIG_KEY} cannot be read: export the model again") from error
        self.caller: CallerLayer | None = None
        self._session = session
        # A past frame is seen once, in a millisecond: more threads would only take turns.
        self._encoder = open_session(parts[ENCODER_KEY], threads=1)
        self._voice = open_session(parts[VOICE_KEY], threads=1)
        self.hearing = EarsHearing(Ears(parts[EARS_KEY]), self.config.columns, self.config.lookahead_ms)
        self.references_wanted = self.config.sources - 1

    def prepare(self, face: FaceImage) -> LiteSource:
        """Show the network a frame's aligned crop, and keep the pixels around it: a view, not to be written to."""
        size = self.config.size
        matrix, small = aligned_crop(face, size)
        crop = np.ascontiguousarray(small.transpose(2, 0, 1), dtype=np.float32) / np.float32(255.0)
        shape = shape_of(transform(matrix, face.landmarks), size)
        (features,) = self._encoder.run(["features"], {"crop": crop[None]})
        return LiteSource(face.landmarks, matrix, shape, features[0], pixels_of(face.image, matrix, size, _DRAWN))

    @property
    def opens(self) -> NDArray[np.float32]:
        """How far each coefficient opens the inner lips, (coefficients,) in eye distances."""
        return gap_of_basis(self.basis)

    def hear(self, windows: Columns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the hidden numbers (k, hidden) and the general coefficients (k, coefficients) for some windows.

        Args:
            windows: (k, heard, columns), cut with `hearing`.

        Raises:
            ValueError: windows of another shape.
        """
        wanted = (self.config.heard, self.config.columns)
        if windows.shape[1:] != wanted:
            got = windows.shape[1:]
            raise ValueError(f"the window is {got}, this generator hears {wanted}: cut it with its hearing")
        hidden, told = self._voice.run(["hidden", "told"], {"heard": windows.astype(np.float32)})
        return hidden, told

    def told(self, window: Columns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the hidden numbers (hidden,) and the general coefficients (coefficients,) for a window.

        Raises:
            ValueError: a window of another shape.
        """
        hidden, told = self.hear(window[None])
        return hidden[0], told[0]

    def mouth(self, landmarks: Landmarks) -> NDArray[np.float32]:
        """Return the mouth of a face (468, 2) px in the basis, (coefficients,); a closed mouth's are not zero."""
        size = self.config.size
        shape = shape_of(transform(aligned_matrix(landmarks, size), landmarks), size)
        return np.asarray(self.basis @ shape.reshape(-1), np.float32)

    def generate(self, window: Columns, pose: LiteSource, references: Sequence[LiteSource]) -> Patch:
        """Return the mouth for `window` on `pose`; references from closed to open, the first is the neutral.

        Raises:
            ValueError: no reference, or a window of another shape.
        """
        if not references:
            raise ValueError("generate needs at least one reference; the pose frame itself will do")
        hidden, told = self.told(window)
        if self.caller is not None:
            told = self.caller(hidden, told)
        else:
            told = told * np.float32(opening_scale(references[0].shape, references[-1].shape, self.config.opening))
        return self.draw(told, pose, references)

    def draw(self, told: NDArray[np.float32], pose: LiteSource, references: Sequence[LiteSource]) -> Patch:
        """Return the mouth with the coefficients `told` on `pose`; at least one reference, as for `generate`."""
        sources = [pose, *references][: self.config.sources]
        sources += [sources[-1]] * (self.config.sources - len(sources))
        asked = asked_for(told, self.basis @ (pose.shape - references[0].shape).reshape(-1))
        shape, flow, weights, residual = self._session.run(
            ["shape", "flow", "weights", "residual"],
            {
                "told": asked[None],
                "features": np.stack([source.features for source in sources])[None],
                "shapes": np.stack([source.shape for source in sources])[None],
                "neutral": references[0].shape[None],
            },
        )
        pixels = [source.pixels for source in sources]
        image, to_patch = mix(self.config, pixels, flow[0], weights[0], residual[0])
        landmarks = pose.landmarks.copy()
        wanted = shape[0] + ((told - asked) @ self.basis).reshape(-1, 2)
        landmarks[list(POINTS)] = transform(invert(pose.matrix), to_crop_px(wanted, self.config.size))
        return Patch(image, to_patch, landmarks)


def asked_for(told: NDArray[np.float32], shown: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the coefficients to ask the painter for, so that `told` is what is seen.

    Pixels of the pose frame remain in what is drawn, and with them a share of its mouth `shown`, (coefficients,) like
    `told`, both against the closed mouth. Fitted on held-out clips of GRID s1 and s4 (docs/results/lite.md).
    """
    return np.asarray((told - _KEPT * shown) / _FOLLOWED, np.float32)


def _scaled(matrix: Matrix, ratio: float) -> Matrix:
    """Return `matrix` to a crop `ratio` times as large; px are squares, so their centres move by half of it."""
    return np.asarray(ratio * matrix + np.array([[0.0, 0.0, 0.5 * ratio - 0.5]] * 2))
