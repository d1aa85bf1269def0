"""Read a TensorFlow Lite file: its tensors, operators and constants. Only what the face networks are made of.

Source: github.com/tensorflow/tensorflow, tensorflow/compiler/mlir/lite/schema/schema.fbs (Apache-2.0); the numbers
below are the places of its fields. flatbuffers.dev/internals says how tables and vectors lie in the file.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_DTYPES: Final[dict[int, np.dtype[Any]]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
_OPERATORS: Final = {
    0: "ADD", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 14: "LOGISTIC",
    17: "MAX_POOL_2D", 19: "RELU", 22: "RESHAPE", 34: "PAD", 54: "PRELU",
}  # fmt: skip
# Per operator: name, place, format and default of the options that are read.
_OPTIONS: Final[dict[str, tuple[tuple[str, int, str, int], ...]]] = {
    "CONV_2D": (("same", 0, "b", 0), ("stride_x", 1, "<i", 0), ("stride_y", 2, "<i", 0), ("activation", 3, "b", 0)),
    "DEPTHWISE_CONV_2D": (
        ("same", 0, "b", 0), ("stride_x", 1, "<i", 0), ("stride_y", 2, "<i", 0), ("activation", 4, "b", 0),
    ),
    "MAX_POOL_2D": (
        ("same", 0, "b", 0), ("stride_x", 1, "<i", 0), ("stride_y", 2, "<i", 0), ("width", 3, "<i", 0),
        ("height", 4, "<i", 0),
    ),
    "CONCATENATION": (("axis", 0, "<i", 0),),
}  # fmt: skip


class TfliteError(ValueError):
    """The file is no TensorFlow Lite model, or has an operator that is not known here."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of the graph: what it does, and the numbers of the tensors it reads and writes."""

    name: str
    inputs: tuple[int, ...]
    output: int
    options: dict[str, int]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model as written.

    Attributes:
        shapes: shape of each tensor.
        names: name of each tensor.
        constants: the tensors that are stored, by number.
        operators: the steps in order.
        input: number of the tensor that the caller gives.
        outputs: numbers of the tensors that the caller gets.
    """

    shapes: list[tuple[int, ...]]
    names: list[str]
    constants: dict[int, NDArray[Any]]
    operators: list[Operator]
    input: int
    outputs: tuple[int, ...]


class _Table:
    """A table of a flatbuffer: fields by their place in the schema."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry >= self._size:
            return None
        offset = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._at + offset if offset else None

    def number(self, field: int, form: str, default: int = 0) -> int:
        place = self._place(field)
        return default if place is None else int(struct.unpack_from(form, self._data, place)[0])

    def table(self, field: int) -> "_Table | None":
        place = self._place(field)
        return None if place is None else _Table(self._data, place + struct.unpack_from("<I", self._data, place)[0])

    def raw(self, field: int, item: int) -> bytes:
        """Return the content of a vector whose items are `item` bytes long."""
        place = self._place(field)
        if place is None:
            return b""
        vector = place + struct.unpack_from("<I", self._data, place)[0]
        return self._data[vector + 4 : vector + 4 + item * struct.unpack_from("<I", self._data, vector)[0]]

    def numbers(self, field: int) -> tuple[int, ...]:
        return tuple(int(value) for value in np.frombuffer(self.raw(field, 4), "<i4"))

    def tables(self, field: int) -> list["_Table"]:
        place = self._place(field)
        if place is None:
            return []
        vector = place + struct.unpack_from("<I", self._data, place)[0]
        places = [vector + 4 + 4 * i for i in range(struct.unpack_from("<I", self._data, vector)[0])]
        return [_Table(self._data, at + struct.unpack_from("<I", self._data, at)[0]) for at in places]


def read_tflite(data: bytes) -> Graph:
    """Return the first graph of a model file.

    Raises:
        TfliteError: it is no such file, or an operator is not known here.
    """
    if data[4:8] != b"TFL3":
        raise TfliteError("not a TensorFlow Lite file: give one out of face_landmarker.task")
    model = _Table(data, struct.unpack_from("<I", data, 0)[0])
    (graph, *_), buffers = model.tables(2), model.tables(4)
    codes = [max(code.number(0, "b"), code.number(3, "<i")) for code in model.tables(1)]
    shapes, names, constants = [], [], {}
    for number, tensor in enumerate(graph.tables(0)):
        shapes.append(tensor.numbers(0))
        names.append(tensor.raw(3, 1).decode())
        content = buffers[tensor.number(2, "<I")].raw(0, 1)
        if content:
            constants[number] = np.frombuffer(content, _DTYPES[tensor.number(1, "b")]).reshape(shapes[-1])
    operators = [_operator(one, codes) for one in graph.tables(3)]
    return Graph(shapes, names, constants, operators, graph.numbers(1)[0], graph.numbers(2))


def _operator(table: _Table, codes: list[int]) -> Operator:
    code = codes[table.number(0, "<I")]
    if code not in _OPERATORS:
        raise TfliteError(f"operator {code} is not known here: the face networks of MediaPipe 0.10 to 1.2 have none")
    name, options = _OPERATORS[code], table.table(4)
    chosen = {
        key: default if options is None else options.number(place, form, default)
        for key, place, form, default in _OPTIONS.get(name, ())
    }
    return Operator(name, table.numbers(1), table.numbers(2)[0], chosen)
