"""Stand-ins for the public checkpoints: the stock networks with random weights that give lively outputs."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

KEYS = json.loads((Path(__file__).parents[1] / "assets" / "wav2lip_keys.json").read_text())


def expected_shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """Return every key of the public checkpoint of `kind` with its shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for key, shape in KEYS[kind]["bare"].items():
        shapes |= {f"{key}.weight": tuple(shape), f"{key}.bias": (shape[0],)}
    for group, width_at in (("norm", 0), ("transposed", 1)):
        for key, shape in KEYS[kind][group].items():
            width = (shape[width_at],)
            shapes |= {f"{key}.conv_block.0.weight": tuple(shape), f"{key}.conv_block.0.bias": width}
            shapes |= {
                f"{key}.conv_block.1.{name}": width for name in ("weight", "bias", "running_mean", "running_var")
            }
            shapes[f"{key}.conv_block.1.num_batches_tracked"] = ()
    return shapes


def flat_state(kind: str) -> dict[str, Tensor]:
    """Return a state with the right keys and shapes that takes next to no room in a file (one number per tensor)."""
    return {
        key: torch.tensor(0) if key.endswith("num_batches_tracked") else torch.tensor(0.01).expand(shape)
        for key, shape in expected_shapes(kind).items()
    }


def calibrated(network: nn.Module, *inputs: Tensor) -> nn.Module:
    """Set the batch-norm statistics to those of `inputs`, so that signals neither vanish nor explode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(*inputs)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()
