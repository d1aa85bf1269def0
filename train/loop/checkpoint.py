"""Keep the state of a run on disk: written whole or not at all, the last two kept, and only for the run it is of."""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

FILE: Final = "checkpoint.pt"
PREVIOUS: Final = "checkpoint.previous.pt"
DAMAGED: Final = "checkpoint.damaged.pt"

FREE: Final = frozenset({"steps", "evaluate_every", "checkpoint_s", "world"})
"""Entries that a resumed run may change; the change is reported, since the run is no longer the same one."""

State = dict[str, Any]


class RunError(ValueError):
    """Why a run cannot go on from its folder, and how it can."""


class Checkpoints:
    """Write and read the checkpoints of one run. Used by the first process of a run alone."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Keep checkpoints in `folder`, which the first one makes.

        Args:
            folder: of the run.
            identity: what makes the run what it is, by name, nested as a JSON object: configuration and seed.
        """
        self._folder = folder
        self._identity = json.loads(json.dumps(identity))

    def save(self, state: State) -> None:
        """Write tensors, numbers and strings in nested dictionaries; the checkpoint before it becomes the previous."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file, partial = self._folder / FILE, self._folder / f"{FILE}.partial"
        with partial.open("wb") as target:
            torch.save(state | {"identity": json.dumps(self._identity)}, target)
            target.flush()
            # On disk before it takes the old one's name: power may fail.
            os.fsync(target.fileno())
        if file.exists():
            file.replace(self._folder / PREVIOUS)
        partial.replace(file)

    def load(self, report: Callable[[str], None]) -> State | None:
        """Return the last whole checkpoint, on the CPU, or None where there is none yet.

        A damaged file is put aside and the previous one taken.

        Raises:
            RunError: the checkpoints are all damaged, or of a run with another configuration, which is named.
        """
        damaged: list[str] = []
        for name in (FILE, PREVIOUS):
            path = self._folder / name
            if not path.exists():
                continue
            state = _read(path)
            if state is None:
                damaged.append(name)
                path.replace(self._folder / DAMAGED)
                continue
            if damaged:
                report(f"{damaged[0]} is damaged and put aside as {DAMAGED}: going on from {name}")
            self._compare(name, json.loads(state.pop("identity")), report)
            return state
        if damaged:
            raise RunError(f"{' and '.join(damaged)} of {self._folder} cannot be read: choose another --run")
        return None

    def _compare(self, name: str, was: Mapping[str, Any], report: Callable[[str], None]) -> None:
        strict: list[str] = []
        free: list[str] = []
        for key, (before, now) in differences(was, self._identity).items():
            said = f"{key} was {before}, now {now}"
            (free if key.rpartition(".")[2] in FREE else strict).append(said)
        if strict:
            more = f" and {len(strict) - 5} more" if len(strict) > 5 else ""
            raise RunError(
                f"{self._folder / name} is of another run ({'; '.join(strict[:5])}{more}): "
                "give the same configuration and seed, or another --run"
            )
        if free:
            report(f"the run goes on with changes: {'; '.join(free)}")


def read_average(folder: Path) -> dict[str, Tensor]:
    """Return the averaged weights of the run in `folder`, whatever it was of.

    Raises:
        RunError: there is no whole checkpoint.
    """
    for name in (FILE, PREVIOUS):
        state = _read(folder / name) if (folder / name).exists() else None
        if state is not None:
            average: dict[str, Tensor] = state["average"]
            return average
    raise RunError(f"{folder} holds no checkpoint that can be read: give the folder of a run")


def _read(path: Path) -> State | None:
    """Return the content of a checkpoint, None when it is damaged."""
    try:
        # torch does not compare the checksums that it writes.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        return state if "identity" in state else None
    except PermissionError:
        raise
    # A damaged file can raise anything: the reader interprets its bytes.
    except Exception:
        return None


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two nested dictionaries, by dotted key; what is missing in one is "nothing"."""
    flat_was, flat_now = _flat(was), _flat(now)
    keys = sorted(flat_was.keys() | flat_now.keys())
    pairs = {key: (flat_was.get(key, "nothing"), flat_now.get(key, "nothing")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def load_network(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load `state` into `network` strictly.

    Raises:
        RunError: names the first weights that do not fit.
    """
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    kept = {key: tuple(value.shape) for key, value in state.items()}
    if unlike := differences(kept, own):
        told = "; ".join(f"{key} was {before}, now {now}" for key, (before, now) in list(unlike.items())[:3])
        raise RunError(
            f'the checkpoint holds another network "{name}" ({told}; {len(unlike)} in all): '
            "give the configuration it was made with, or another --run"
        )
    network.load_state_dict(state)
