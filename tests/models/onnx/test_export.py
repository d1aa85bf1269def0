"""ONNX equals torch, or there is no file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from models.alignment import MelWindow
from models.errors import ModelError
from models.onnx.contract import OnnxContract, window_from_json
from models.onnx.export import compare, export_onnx
from models.runtime import open_session

SMALL = OnnxContract("small", {"a": (3,), "b": (3,)}, {"sum": (3,), "product": (3,)}, MelWindow(8, 2.5))


class SumProduct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a + b) * self.scale, a * b


class DiffersWhenTraced(SumProduct):
    """Adds to `a` what tracing sees as a constant: the file cannot follow."""

    calls = 0

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return a + b + self.calls, a * b


class FreezesTheBatch(SumProduct):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a + b).reshape([int(size) for size in a.shape]), a * b


class GivesNan(SumProduct):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a - 2.0).sqrt() + b, a * b


def test_names_shapes_batch_and_metadata(tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    assert export_onnx(SumProduct(), SMALL, out, {"lipline.note": "x"}) <= 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    model = onnx.load(out)
    assert [entry.version for entry in model.opset_import] == [17]
    for got, wanted in ((model.graph.input, ["a", "b"]), (model.graph.output, ["sum", "product"])):
        assert [value.name for value in got] == wanted
        assert all(value.type.tensor_type.shape.dim[0].dim_param == "N" for value in got)
        assert all(value.type.tensor_type.shape.dim[1].dim_value == 3 for value in got)
    metadata = open_session(out).get_modelmeta().custom_metadata_map
    assert metadata["lipline.kind"] == "small" and metadata["lipline.version"] == "1"
    assert metadata["lipline.note"] == "x" and window_from_json(metadata["lipline.window"]) == MelWindow(8, 2.5)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("network", [DiffersWhenTraced(), FreezesTheBatch(), GivesNan()])
def test_a_file_that_differs_is_not_written(tmp_path: Path, network: nn.Module) -> None:
    out = tmp_path / "kept.onnx"
    out.write_bytes(b"what stood here before")
    with pytest.raises(ModelError, match="the exported small"):
        export_onnx(network, SMALL, out)
    assert out.read_bytes() == b"what stood here before"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.onnx"]


def test_compare_sees_other_weights(tmp_path: Path) -> None:
    out, network = tmp_path / "small.onnx", SumProduct()
    export_onnx(network, SMALL, out)
    with torch.no_grad():
        network.scale.add_(1e-3)
    assert 1e-4 < compare(network, SMALL, out) < 1e-2


@pytest.mark.parametrize("text", ["", "[]", '{"columns": 16}', '{"columns": "x", "offset_ms": 0}'])
def test_a_window_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ModelError, match="export the model again"):
        window_from_json(text)


def test_runtime_uses_the_options_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    export_onnx(SumProduct(), SMALL, out)
    session = open_session(out, "cpu", threads=1)
    options = session.get_session_options()
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    ones = np.ones((5, 3), dtype=np.float32)
    assert (session.run(["sum"], {"a": ones, "b": ones})[0] == 4).all()
    # ONNX Runtime's set_denormal_as_zero would leave the calling thread's arithmetic changed.
    assert np.float64(5e-324) / 1.0 > 0
