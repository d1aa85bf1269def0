"""Run the lite generator from ONNX and move the caller's pixels at the frame's own resolution. No torch here."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.generator import FaceImage, Image, Landmarks, Patch
from models.landmarks import Matrix, aligned_matrix, invert, transform
from models.lite.contract import POINTS, LiteConfig, shape_of, to_crop_px
from models.onnx.contract import OnnxContract
from models.runtime import open_session

CONFIG_KEY: Final = "lipline.lite"
"""Metadata property that holds the LiteConfig as JSON."""

ENCODER_KEY: Final = "lipline.encoder"
"""Metadata property that holds the encoder of past frames, an ONNX model in base64: one file is one generator."""

PERSONAL_KEY: Final = "lipline.personal"
"""Metadata property of a generator that was enrolled for one person: JSON of how much it learned from, no name."""

_LARGEST: Final = 3.0  # a face so close that its crop is 3 x 128 px wide is sharp enough; more costs time
_UNUSED: Final = 0.01  # a weight below this is not seen


def contract(config: LiteConfig) -> OnnxContract:
    """Return names and shapes of a lite file; shapes in eye distances, flow in shares of the aligned crop."""
    half, count = config.size // 2, config.sources
    height, width = config.region_hw
    return OnnxContract(
        kind="lite",
        inputs={
            "mel": (1, 80, config.columns),
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
        window=config.window,
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
        native: that crop at about the frame's own resolution, uint8 BGR; what the pixels are taken from.
    """

    landmarks: Landmarks
    matrix: Matrix
    shape: Landmarks
    features: NDArray[np.float32]
    native: Image


def aligned_crops(face: FaceImage, size: int) -> tuple[Matrix, Image, Image]:
    """Return the affine to the aligned crop of `size` px, that crop at about the frame's own resolution, and the crop.

    The larger crop is a square of `size` to 3 x `size` px over the same region.
    """
    matrix = aligned_matrix(face.landmarks, size)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    larger = round(size * min(max(1.0 / max(shrink, 1e-6), 1.0), _LARGEST))
    native = _cut(face.image, _scaled(matrix, larger / size), larger)
    small = native if larger == size else cv2.resize(native, (size, size), interpolation=cv2.INTER_AREA)
    return matrix, native, np.asarray(small, dtype=np.uint8)


class LiteGenerator:
    """Make mouths with a lite ONNX file (a `models.generator.Generator`). Not thread-safe."""

    name = "lite"

    def __init__(self, session: Any) -> None:
        """Take an open onnxruntime session of an exported lite generator.

        Raises:
            ModelError: the file's metadata is not that of a lite generator.
        """
        metadata = session.get_modelmeta().custom_metadata_map
        try:
            self.config = LiteConfig.from_json(json.loads(metadata[CONFIG_KEY]))
            encoder = base64.b64decode(metadata[ENCODER_KEY], validate=True)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"the file's {CONFIG_KEY} cannot be read: export the model again") from error
        self._session = session
        # A past frame is seen once, in a millisecond: more threads would only take turns.
        self._encoder = open_session(encoder, threads=1)
        self.window = self.config.window
        self.references_wanted = self.config.sources - 1

    def prepare(self, face: FaceImage) -> LiteSource:
        """Cut a frame's aligned crops, small for the network, which sees it now, and large for the pixels."""
        size = self.config.size
        matrix, native, small = aligned_crops(face, size)
        crop = np.ascontiguousarray(small.transpose(2, 0, 1), dtype=np.float32) / np.float32(255.0)
        shape = shape_of(transform(matrix, face.landmarks), size)
        (features,) = self._encoder.run(["features"], {"crop": crop[None]})
        return LiteSource(face.landmarks, matrix, shape, features[0], native)

    def generate(self, mel: NDArray[np.float32], pose: LiteSource, references: Sequence[LiteSource]) -> Patch:
        """Return the mouth for `mel` (80, columns) on `pose`; references from closed to open, the first is the neutral.

        Raises:
            ValueError: no reference, or a window of another width.
        """
        if not references:
            raise ValueError("generate needs at least one reference; the pose frame itself will do")
        if mel.shape != (80, self.window.columns):
            raise ValueError(f"mel is {mel.shape}, this generator hears (80, {self.window.columns})")
        sources = [pose, *references][: self.config.sources]
        sources += [sources[-1]] * (self.config.sources - len(sources))
        shape, flow, weights, residual = self._session.run(
            ["shape", "flow", "weights", "residual"],
            {
                "mel": mel[None, None].astype(np.float32),
                "features": np.stack([source.features for source in sources])[None],
                "shapes": np.stack([source.shape for source in sources])[None],
                "neutral": references[0].shape[None],
            },
        )
        image, to_patch = self._draw(sources, flow[0], weights[0], residual[0])
        landmarks = pose.landmarks.copy()
        landmarks[list(POINTS)] = transform(invert(pose.matrix), to_crop_px(shape[0], self.config.size))
        return Patch(image, _join(to_patch, pose.matrix), landmarks)

    def _draw(
        self,
        sources: Sequence[LiteSource],
        flow: NDArray[np.float32],
        weights: NDArray[np.float32],
        residual: NDArray[np.float32],
    ) -> tuple[Image, Matrix]:
        """Mix the sources' own pixels; return the region's picture and the affine from aligned-crop px to it."""
        size, (left, top, _, _) = self.config.size, self.config.region
        scale = sources[0].native.shape[0] / size
        height, width = (round(side * scale) for side in self.config.region_hw)
        enlarged = (width, height)
        total: NDArray[np.float32] = np.asarray(cv2.resize(residual.transpose(1, 2, 0), enlarged) * np.float32(255.0))
        places = _places(self.config, enlarged)
        for source, moved, weight in zip(sources, flow, weights, strict=True):
            share = np.asarray(cv2.resize(weight, enlarged), dtype=np.float32)
            box = _used(share)
            if box is None:
                continue
            edge = np.float32(source.native.shape[0])
            xs, ys = (
                (cv2.resize(axis, enlarged)[box] + place[box]) * edge - np.float32(0.5)
                for axis, place in zip(moved, places, strict=True)
            )
            taken = cv2.remap(source.native, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            # Multiplied by a picture of three channels: broadcasting over a last axis of three is slow.
            part = share[box]
            total[box] += taken * cv2.merge([part, part, part])
        total += np.float32(0.5)
        image = np.clip(total, 0, 255, out=total).astype(np.uint8)
        x, y = width / self.config.region_hw[1], height / self.config.region_hw[0]
        to_patch = np.array([[x, 0.0, (0.5 - left) * x - 0.5], [0.0, y, (0.5 - top) * y - 0.5]])
        return image, to_patch


@lru_cache(maxsize=4)
def _places(config: LiteConfig, enlarged: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where the pixels of a region drawn at (width, height) lie, x and y in shares of the aligned crop."""
    left, top, right, bottom = config.region
    xs = (left + (np.arange(enlarged[0]) + 0.5) * (right - left) / enlarged[0]) / config.size
    ys = (top + (np.arange(enlarged[1]) + 0.5) * (bottom - top) / enlarged[1]) / config.size
    across, down = np.meshgrid(xs.astype(np.float32), ys.astype(np.float32))
    return across, down


def _used(weight: NDArray[np.float32]) -> tuple[slice, slice] | None:
    """Return the rows and columns in which a source weighs anything; None when it nowhere does.

    Most references are wanted for the mouth alone, a quarter of the region.
    """
    counts = weight > _UNUSED
    rows, columns = np.flatnonzero(counts.any(1)), np.flatnonzero(counts.any(0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _scaled(matrix: Matrix, ratio: float) -> Matrix:
    """Return `matrix` to a crop `ratio` times as large; px are squares, so their centres move by half of it."""
    return np.asarray(ratio * matrix + np.array([[0.0, 0.0, 0.5 * ratio - 0.5]] * 2))


def _join(outer: Matrix, inner: Matrix) -> Matrix:
    linear = outer[:, :2] @ inner[:, :2]
    joined: Matrix = np.hstack([linear, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]])
    return joined


def _cut(image: Image, matrix: Matrix, size: int) -> Image:
    # What is made smaller gains nothing from bicubic interpolation (56 dB apart), which takes 2.6 ms longer.
    how = cv2.INTER_CUBIC if abs(np.linalg.det(matrix[:, :2])) >= 0.9 else cv2.INTER_LINEAR
    cut = cv2.warpAffine(image, matrix, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, dtype=np.uint8)
