"""Read PyTorch checkpoints of Wav2Lip's networks. Needs torch.

Files come from strangers: only tensors are read (`weights_only`), never objects. A file is a dictionary with
`state_dict` beside optimizer state, as the public trainers write it, or the bare state dictionary; keys may carry the
`module.` of torch's DataParallel.
"""

import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.errors import CheckpointError
from models.expert.network import SyncNet
from models.wav2lip.discriminator import QualityDiscriminator
from models.wav2lip.network import Wav2Lip

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class NetworkKind:
    """Name a network, say what it is to people, and build it."""

    kind: str
    title: str
    build: Callable[[], nn.Module]


KINDS: Final = (
    NetworkKind("wav2lip", "Wav2Lip generator", Wav2Lip),
    NetworkKind("syncnet", "colour SyncNet expert", SyncNet),
    NetworkKind("discriminator", "Wav2Lip quality discriminator", QualityDiscriminator),
)
"""Networks that are recognised by their keys. The lite generator has a trainer and an export of its own."""

# Share of a network's keys that a file must have to be called a damaged one of that network rather than foreign.
_RESEMBLES: Final = 0.5


def load_network(path: Path) -> tuple[NetworkKind, nn.Module]:
    """Read a checkpoint, recognise its network and load it strictly.

    Returns:
        The kind, and the network on the CPU in float32 and evaluation mode.

    Raises:
        CheckpointError: when the file cannot be read, holds something else, or does not fit, with the reason.
    """
    state = read_state(path)
    kind, expected = _recognise(path, state)
    _check_fit(path, kind, state, expected)
    with torch.device("meta"):
        network = kind.build()
    network.load_state_dict(_complete(state, expected), strict=True, assign=True)
    return kind, network.eval()


def read_state(path: Path) -> State:
    """Read the state dictionary out of a checkpoint file, without `module.` in its keys.

    Raises:
        CheckpointError: when the file is missing, truncated, not a checkpoint, or holds more than tensors.
    """
    content = _read_content(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(
            f"{path} holds no state dictionary but {type(state).__name__}: give the trainer's .pth file"
        )
    foreign = [str(key) for key, value in state.items() if not isinstance(key, str) or not _is_plain_tensor(value)]
    if foreign:
        raise CheckpointError(
            f"{path} holds entries that are not weights ({_some(foreign)}): "
            "save the network alone, torch.save(network.state_dict(), FILE)"
        )
    return {key.replace("module.", ""): value for key, value in state.items()}


def _read_content(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: check the path of the checkpoint")
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip()[:1] in (b"<", b"{") or head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is text, not weights (a web page or link saved in their place): download it again"
        )
    # A safetensors file is the length of its header in 8 bytes, then the header as JSON.
    if head[8:10] == b'{"':
        raise CheckpointError(
            f"{path} is a safetensors file: write it as a checkpoint first, "
            "torch.save(safetensors.torch.load_file(FILE), NEW_FILE)"
        )
    if _is_torchscript(path):
        raise CheckpointError(
            f"{path} is a TorchScript program, which is code: if you trust it, extract its weights with "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE) and convert those"
        )
    try:
        with warnings.catch_warnings():
            # torch warns of pickle protocols that it did not write; the error below says what matters.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file can raise anything: the reader interprets its bytes.
    except Exception as error:
        raise CheckpointError(f"{path} {_why_unreadable(error)}") from error


def _why_unreadable(error: Exception) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and ("Unsupported global" in text or "Unsupported class" in text):
        return (
            "holds Python objects beside weights, and reading them could run any code: "
            "ask its maker for a state dictionary, torch.save(network.state_dict(), FILE)"
        )
    # The first line of an UnpicklingError is advice to loosen the reading, which is the one thing not to do.
    first_line = "" if isinstance(error, pickle.UnpicklingError) else (text.strip().splitlines() or [""])[0][:100]
    reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return f"cannot be read, it is truncated or no PyTorch checkpoint ({reason}): download or copy it again"


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _is_plain_tensor(value: object) -> bool:
    """Return whether a value is an ordinary tensor with its numbers there: not sparse, quantized or without storage."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized and not value.is_meta


def _recognise(path: Path, state: State) -> tuple[NetworkKind, State]:
    """Return the kind whose keys the state shares most, with a weightless state of it to compare with."""
    candidates = []
    for kind in KINDS:
        with torch.device("meta"):
            expected = kind.build().state_dict()
        shared = len(expected.keys() & state.keys())
        candidates.append((shared / len(expected.keys() | state.keys()), shared / len(expected), kind, expected))
    _, share, kind, expected = max(candidates, key=lambda candidate: candidate[0])
    if share < _RESEMBLES:
        titles = ", ".join(kind.title for kind in KINDS)
        raise CheckpointError(
            f"{path} holds another network (its keys begin {_some(list(state))}): lipline reads {titles}"
        )
    return kind, expected


def _check_fit(path: Path, kind: NetworkKind, state: State, expected: State) -> None:
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    reshaped = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    # One NaN or infinity makes the sum one, in a tenth of the time of looking at each.
    damaged = [key for key, value in state.items() if not value.sum(dtype=torch.float32).isfinite()]
    problems = [
        f"{len(keys)} {what} ({_some(keys)})"
        for what, keys in (
            ("keys missing", missing),
            ("unexpected keys", unexpected),
            ("other shapes", reshaped),
            ("tensors with NaN or infinity", damaged),
        )
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{path} is like a {kind.title} but does not fit: {'; '.join(problems)}: "
            "it is damaged or of a changed architecture, use the stock network's checkpoint"
        )


def _complete(state: State, expected: State) -> State:
    """Bring every tensor to its dtype, and add the batch counters that checkpoints of torch before 0.4.1 lack."""
    return {
        key: state[key].to(value.dtype).contiguous() if key in state else torch.zeros(value.shape, dtype=value.dtype)
        for key, value in expected.items()
    }


def _some(items: list[str], most: int = 3) -> str:
    shown = ", ".join(item[:80] for item in items[:most])
    return f"{shown}, ..." if len(items) > most else shown
