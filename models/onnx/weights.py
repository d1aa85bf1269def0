"""Read a network's weights back out of an ONNX file that `models.onnx.export` wrote. Needs torch and onnx."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from models.errors import ModelError
from models.onnx.export import HALF


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights by the names they have in the network, and the file's metadata.

    Raises:
        ModelError: the file cannot be read as ONNX.
    """
    try:
        model = onnx.load(path)
    # A damaged file can raise anything: protobuf's reader interprets its bytes.
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} cannot be read as ONNX ({reason}): check the path, or train it again") from error
    return weights_of(model), {entry.key: entry.value for entry in model.metadata_props}


def weights_of(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the weights of a model in memory by name."""
    # A copy: numpy_helper may hand out memory that belongs to the file and cannot be written.
    weights = {
        entry.name.removesuffix(HALF): torch.tensor(numpy_helper.to_array(entry)) for entry in model.graph.initializer
    }
    # Of equal weights the exporter keeps one and names the others by identities.
    aliases = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"}
    return weights | {name: weights[origin] for name, origin in aliases.items() if origin in weights}
