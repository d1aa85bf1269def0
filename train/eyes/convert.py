"""Write a TensorFlow Lite face network as ONNX that gives the same numbers and runs faster.

Run as `python -m train.eyes.convert face_landmarker.task`; it writes `models/weights/face_*.onnx`.

The graph is kept step by step. Pictures lie channel by channel, as ONNX Runtime wants them. PReLU, for which ONNX
Runtime has no quick kernel, becomes a x + (1 - a) relu(x) with two depthwise convolutions of one pixel, which it runs
in its blocked layout together with the real ones: 4.5 times as fast, and equal to within rounding.
"""

import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.catalog import WEIGHTS
from train.eyes.tflite import Graph, Operator, read_tflite

_OPSET: Final = 17

# What a network is told and tells: file in the bundle, scale and offset of the 0..255 picture, outputs kept.
_NETWORKS: Final[dict[str, tuple[str, float, float, dict[str, str]]]] = {
    "face_detector": (
        "face_detector.tflite", 1 / 127.5, -1.0, {"regressors": "boxes", "classificators": "scores"},
    ),
    "face_mesh": (
        "face_landmarks_detector.tflite", 1 / 255.0, 0.0, {"Identity": "points", "Identity_1": "presence"},
    ),
}  # fmt: skip


def convert(graph: Graph, scale: float, offset: float, outputs: dict[str, str], note: str) -> onnx.ModelProto:
    """Return `graph` as an ONNX model.

    Args:
        graph: what was read.
        scale: what the picture's numbers 0..255 are multiplied by,
        offset: and what is added then.
        outputs: names of the outputs that are kept, and what they are called.
        note: where it comes from.

    Returns:
        A model with the input `image`, (1, H, W, 3) uint8 BGR.
    """
    writer = _Writer(graph)
    writer.read_image(scale, offset)
    for operator in graph.operators:
        writer.add(operator)
    kept = {number: outputs[graph.names[number]] for number in graph.outputs if graph.names[number] in outputs}
    model = helper.make_model(writer.finish(kept), opset_imports=[helper.make_opsetid("", _OPSET)], doc_string=note)
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


class _Writer:
    """Write nodes one after the other. Tensor 7 is `c7` channel by channel, `p7` as TensorFlow Lite has it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = dict(graph.constants)
        self._nodes: list[Any] = []
        self._stored: dict[str, Any] = {}
        self._plain: set[int] = set()

    def read_image(self, scale: float, offset: float) -> None:
        """Begin with the picture: to numbers, channel by channel, red first."""
        self._node("Cast", ["image"], "image_float", to=TensorProto.FLOAT)
        scaled = self._node("Mul", ["image_float", self._store("scale", np.float32(scale))], "image_scaled")
        if offset:
            scaled = self._node("Add", [scaled, self._store("offset", np.float32(offset))], "image_moved")
        planes = self._node("Transpose", [scaled], "image_planes", perm=[0, 3, 1, 2])
        order = self._store("red_first", np.array([2, 1, 0]))
        self._node("Gather", [planes, order], f"c{self._graph.input}", axis=1)

    def add(self, operator: Operator) -> None:
        """Write one step."""
        getattr(self, f"_{operator.name.lower()}")(operator)

    def finish(self, kept: dict[int, str]) -> Any:
        """Return the graph with the outputs `kept`, name by number; what only the others need is left out."""
        for number, name in kept.items():
            self._node("Identity", [self._as_written(number)], name)
        self._drop_unused(set(kept.values()))
        shape = self._graph.shapes[self._graph.input]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, self._graph.shapes[number])
            for number, name in kept.items()
        ]
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, shape)
        return helper.make_graph(self._nodes, "face", [image], ends, list(self._stored.values()))

    def _drop_unused(self, wanted: set[str]) -> None:
        nodes = []
        for node in reversed(self._nodes):
            if wanted & set(node.output):
                wanted |= set(node.input)
                nodes.append(node)
        self._nodes = nodes[::-1]
        self._stored = {name: value for name, value in self._stored.items() if name in wanted}

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _store(self, name: str, value: NDArray[Any] | np.generic) -> str:
        if name not in self._stored:
            self._stored[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name

    def _weight(self, name: str, value: NDArray[Any]) -> str:
        """Store a weight in the 16 bits it came in; ONNX Runtime makes 32 of them once, when it opens the file."""
        if value.dtype != np.float16:
            return self._store(name, value)
        if f"{name}_16" not in self._stored:
            self._node("Cast", [self._store(f"{name}_16", value)], name, to=TensorProto.FLOAT)
        return name

    def _as_written(self, number: int) -> str:
        if number not in self._plain:
            self._node("Transpose", [f"c{number}"], f"p{number}", perm=[0, 2, 3, 1])
            self._plain.add(number)
        return f"p{number}"

    def _padding(self, number: int, kernel: tuple[int, int], step: tuple[int, int], same: int) -> list[int]:
        """Return top, left, bottom, right as TensorFlow pads: what is odd goes below and to the right."""
        if same != 0:  # 0 is SAME, 1 is VALID
            return [0, 0, 0, 0]
        before, after = [], []
        for length, side, stride in zip(self._graph.shapes[number][1:3], kernel, step, strict=True):
            missing = max((-(-length // stride) - 1) * stride + side - length, 0)
            before.append(missing // 2)
            after.append(missing - missing // 2)
        return [*before, *after]

    def _dequantize(self, step: Operator) -> None:
        self._constants[step.output] = self._constants[step.inputs[0]]

    def _convolve(self, step: Operator, axes: tuple[int, int, int, int], groups: int) -> None:
        data, weight, bias = step.inputs
        kernel = self._constants[weight].transpose(axes)
        stride = step.options["stride_y"], step.options["stride_x"]
        size = kernel.shape[2], kernel.shape[3]
        names = [f"c{data}", self._weight(f"w{weight}", kernel), self._weight(f"b{bias}", self._constants[bias])]
        active = step.options["activation"] == 1
        raw = f"c{step.output}" + ("_raw" if active else "")
        pads = self._padding(data, size, stride, step.options["same"])
        self._node("Conv", names, raw, kernel_shape=size, strides=stride, pads=pads, group=groups)
        if active:
            self._node("Relu", [raw], f"c{step.output}")

    def _conv_2d(self, step: Operator) -> None:
        self._convolve(step, (0, 3, 1, 2), 1)

    def _depthwise_conv_2d(self, step: Operator) -> None:
        self._convolve(step, (3, 0, 1, 2), self._graph.shapes[step.output][3])

    def _prelu(self, step: Operator) -> None:
        data, slope = step.inputs
        values = self._constants[slope].reshape(-1, 1, 1, 1).astype(np.float32)
        source, made, channels = f"c{data}", f"c{step.output}", len(values)
        low, high = self._store(f"low{slope}", values), self._store(f"high{slope}", 1.0 - values)
        self._node("Relu", [source], f"{made}_relu")
        self._node("Conv", [source, low], f"{made}_low", kernel_shape=(1, 1), group=channels)
        self._node("Conv", [f"{made}_relu", high], f"{made}_high", kernel_shape=(1, 1), group=channels)
        self._node("Add", [f"{made}_low", f"{made}_high"], made)

    def _add(self, step: Operator) -> None:
        self._node("Add", [f"c{number}" for number in step.inputs], f"c{step.output}")

    def _relu(self, step: Operator) -> None:
        self._node("Relu", [f"c{step.inputs[0]}"], f"c{step.output}")

    def _logistic(self, step: Operator) -> None:
        self._node("Sigmoid", [f"c{step.inputs[0]}"], f"c{step.output}")

    def _max_pool_2d(self, step: Operator) -> None:
        size = step.options["height"], step.options["width"]
        stride = step.options["stride_y"], step.options["stride_x"]
        pads = self._padding(step.inputs[0], size, stride, step.options["same"])
        self._node("MaxPool", [f"c{step.inputs[0]}"], f"c{step.output}", kernel_shape=size, strides=stride, pads=pads)

    def _pad(self, step: Operator) -> None:
        added = self._constants[step.inputs[1]][[0, 3, 1, 2]].astype(np.int64)
        pads = self._store(f"pads{step.output}", added.T.ravel())
        self._node("Pad", [f"c{step.inputs[0]}", pads], f"c{step.output}")

    def _reshape(self, step: Operator) -> None:
        shape = self._store(f"shape{step.output}", np.array(self._graph.shapes[step.output], np.int64))
        self._node("Reshape", [self._as_written(step.inputs[0]), shape], f"p{step.output}")
        self._plain.add(step.output)

    def _concatenation(self, step: Operator) -> None:
        parts = [self._as_written(number) for number in step.inputs]
        self._node("Concat", parts, f"p{step.output}", axis=step.options["axis"])
        self._plain.add(step.output)


def main(bundle: Path, folder: Path = WEIGHTS) -> None:
    """Write both networks of `bundle`, a face_landmarker.task, into `folder`."""
    with zipfile.ZipFile(bundle) as files:
        for name, (file, scale, offset, outputs) in _NETWORKS.items():
            note = f"{file} of MediaPipe's Face Landmarker (Google, Apache-2.0), written as ONNX by train.eyes.convert"
            model = convert(read_tflite(files.read(file)), scale, offset, outputs, note)
            (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
