"""Small hearing networks with random weights, for tests."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from models.ears.contract import EarsConfig
from models.ears.export import export_ears
from models.ears.network import EarsLayer, EarsNet
from models.ears.onnx import Ears

TINY = EarsConfig(layers=1, width=64, heads=1, past=5)


def random_ears(config: EarsConfig = TINY, seed: int = 0) -> EarsNet:
    """Return a network whose attention looks about, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ears = EarsNet(config)
        with torch.no_grad():
            for layer in ears.layers:
                assert isinstance(layer, EarsLayer)
                layer.qkv.weight.normal_(0.0, 0.3)
                layer.distance.normal_()
    return ears.eval()


def open_ears(folder: Path, config: EarsConfig = TINY) -> Ears:
    """Write a random network to `folder` and open it."""
    path = folder / "ears.onnx"
    export_ears(random_ears(config), path)
    return Ears(path)


@cache
def ears_bytes(config: EarsConfig = TINY) -> bytes:
    """Return the content of a random network's file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ears.onnx"
        export_ears(random_ears(config), path)
        return path.read_bytes()
