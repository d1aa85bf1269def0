"""Write a network as ONNX and prove that the file computes the same. Needs torch, onnx and onnxruntime."""

import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.errors import ModelError
from models.onnx.contract import OnnxContract, Shape
from models.runtime import open_session

OPSET: Final = 17
TOLERANCE: Final = 1e-4
"""Largest absolute difference between torch and ONNX Runtime that passes."""

HALF: Final = ".half"
"""What follows the name of a weight that is kept in half precision."""

_LARGE: Final = 1024  # numbers of a weight that is worth it

BATCHES: Final = (1, 3)
"""Batch sizes that are compared; two, so that a batch frozen into the graph shows."""


def export_onnx(
    network: nn.Module,
    contract: OnnxContract,
    out: Path,
    extra: dict[str, str] | None = None,
    *,
    free: Mapping[str, Mapping[int, str]] | None = None,
    half: bool = False,
) -> float:
    """Write `network` to `out` with the contract's names, shapes and metadata, and compare it with torch.

    The batch dimension is free. The file appears under its name only when it has passed; what stood there before stays
    otherwise. Puts the network in evaluation mode.

    Args:
        network: on the CPU; takes the contract's inputs in order, returns its outputs in order.
        contract: what the file promises.
        out: where to write; the folder must exist.
        extra: more metadata properties.
        free: names of further axes whose size is free, by input or output and axis.
        half: keep large weights in half precision; ONNX Runtime turns them into float32 when it opens the file. The
            network's own must be rounded so already, or the comparison fails.

    Returns:
        The largest absolute difference seen, over random inputs in batches of 1 and 3.

    Raises:
        ModelError: when the file does not run or differs from torch by more than 1e-4.
        OSError: when `out` cannot be written.
    """
    network.eval()
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        draft = Path(folder) / out.name
        _write(network, contract, draft, free or {})
        if half:
            _halve(draft)
        _describe(draft, contract.metadata() | (extra or {}))
        difference = compare(network, contract, draft)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the exported {contract.kind} differs from torch by {difference:.2g} (limit {TOLERANCE:g}), "
                "no file was written: check the versions of torch and onnxruntime with `lipline doctor`"
            )
        draft.replace(out)
    return difference


def compare(network: nn.Module, contract: OnnxContract, path: Path) -> float:
    """Return the largest absolute difference between `network` and the ONNX file on random inputs.

    NaN when either gives NaN. The network must be in evaluation mode.

    Raises:
        ModelError: when ONNX Runtime cannot open or run the file.
    """
    session = open_session(path)
    names = list(contract.outputs)
    worst = 0.0
    for batch in BATCHES:
        inputs = _random_inputs(contract.inputs.values(), batch, seed=batch)
        with torch.no_grad():
            expected = _as_tuple(network(*map(torch.from_numpy, inputs)))
        try:
            got = session.run(names, dict(zip(contract.inputs, inputs, strict=True)))
        # ONNX Runtime's errors have no common class but Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"the exported {contract.kind} does not run with batch {batch}: {reason}") from error
        for tensor, array in zip(expected, got, strict=True):
            worst = float(np.maximum(worst, np.abs(tensor.numpy() - array).max()))
    return worst


def _write(network: nn.Module, contract: OnnxContract, path: Path, free: Mapping[str, Mapping[int, str]]) -> None:
    examples = tuple(map(torch.from_numpy, _random_inputs(contract.inputs.values(), 2, seed=0)))
    names = [*contract.inputs, *contract.outputs]
    with warnings.catch_warnings():
        # torch 2.9 and newer deprecate the TorchScript exporter, but the new one needs onnxscript: one dependency
        # more for the same graph of plain convolutions. Remove when torch drops the old one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            examples,
            str(path),
            input_names=list(contract.inputs),
            output_names=list(contract.outputs),
            dynamic_axes={name: {0: "N", **free.get(name, {})} for name in names},
            opset_version=OPSET,
            dynamo=False,
            # Weights keep their names and batch norm stays apart, so that a file can be trained on
            # (models.lite.export.load_lite); ONNX Runtime folds both when it opens it.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )


def _halve(path: Path) -> None:
    """Keep the large weights of a file as float16, each with a node that casts it back."""
    model = onnx.load(path)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < _LARGE:
            continue
        name = weight.name
        weight.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).astype(np.float16), name + HALF)
        )
        casts.append(onnx.helper.make_node("Cast", [name + HALF], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _describe(path: Path, metadata: dict[str, str]) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _random_inputs(shapes: Iterable[Shape], batch: int, seed: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [rng.random((batch, *shape), dtype=np.float32) for shape in shapes]


def _as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
