"""Read the sync expert that judges a generator in training."""

from pathlib import Path

from torch import Tensor

from models.errors import ModelError
from models.expert.contract import config_of
from models.expert.network import SyncNet
from models.onnx.checkpoint import load_network
from models.onnx.weights import read_weights


def read_expert(path: Path) -> SyncNet:
    """Read an expert: the ONNX file of `lipline train expert`, or a public SyncNet checkpoint (.pth).

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        ModelError: the file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise ModelError(
            f"there is no expert {path}: train one with `lipline train expert`, or give another expert.file"
        )
    if path.suffix != ".onnx":
        kind, network = load_network(path)
        if not isinstance(network, SyncNet):
            raise ModelError(f"{path} is a {kind.title}, no expert: give a SyncNet as expert.file")
        return network
    weights, metadata = read_weights(path)
    expert = SyncNet(config_of(metadata))
    wanted = expert.state_dict()
    # How often batch norm has counted is of no use to one that never learns.
    missing = [key for key in wanted if not key.endswith("num_batches_tracked") and _differs(weights, wanted, key)]
    if missing:
        raise ModelError(
            f"{path} lacks an expert's weights ({missing[0]}, ...): give the file that `lipline train expert` wrote"
        )
    expert.load_state_dict({key: weights[key] for key in wanted if key in weights}, strict=False)
    return expert.eval()


def _differs(weights: dict[str, Tensor], wanted: dict[str, Tensor], key: str) -> bool:
    return key not in weights or weights[key].shape != wanted[key].shape
