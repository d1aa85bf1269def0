"""Tiny ONNX files with the outside of a generator, whose output is known by arithmetic."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Input = tuple[str, list[str | int]]
"""Name and shape of an input; a size that is free has a name."""

MEL: Input = ("mel", ["N", 1, 80, 16])
FACE: Input = ("face", ["N", 6, 96, 96])


def write_slicer(
    path: Path,
    channels: tuple[int, int] = (3, 6),
    inputs: tuple[Input, ...] = (MEL, FACE),
    dtype: int = TensorProto.FLOAT,
    metadata: dict[str, str] | None = None,
    gain: float = 1.0,
) -> Path:
    """Write a network whose frame is some channels of its face times `gain`; the mel is read but counts for nothing."""
    mel = next(name for name, shape in inputs if shape[1:] == [1, 80, 16])
    face = next(name for name, shape in inputs if name != mel)
    float_type = helper.tensor_dtype_to_np_dtype(dtype)
    constants = {
        "begin": np.array([channels[0]]),
        "end": np.array([channels[1]]),
        "axis": np.array([1]),
        "zero": np.array(0, float_type),
        "gain": np.array(gain, float_type),
    }
    nodes = [
        helper.make_node("Slice", [face, "begin", "end", "axis"], ["part"]),
        helper.make_node("ReduceMean", [mel], ["loudness"], keepdims=0),
        helper.make_node("Mul", ["loudness", "zero"], ["nothing"]),
        helper.make_node("Mul", ["part", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "nothing"], ["picture"]),
    ]
    graph = helper.make_graph(
        nodes,
        "slicer",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs],
        [helper.make_tensor_value_info("picture", dtype, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def face_landmarks(
    width: float = 100.0, height: float = 132.0, left: float = 120.0, top: float = 60.0
) -> NDArray[np.float32]:
    """Return 468 points with a frontal face's outline, brows 17 % below the highest, the rest on the nose."""
    from models.landmarks import BROWS, FACE_OVAL

    points = np.full((468, 2), (left + width / 2, top + height / 2), dtype=np.float32)
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, len(FACE_OVAL), endpoint=False)
    oval = np.stack((np.cos(angles) * width / 2, np.sin(angles) * height / 2), axis=1)
    points[list(FACE_OVAL)] += oval.astype(np.float32)
    points[list(BROWS), 1] = top + 0.17 * height
    return points
