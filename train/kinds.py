"""The kinds of networks that `lipline train` knows, and what a kind must offer.

A kind is a module with one function:

    def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int

It reads `config` (train.config.read_config with `options.changes`), builds a train.loop.task.Task over `shards`, passes
it to train.loop.loop.train_task with `folder` and `options`, writes the trained network to `out` when `options.first`,
and returns the exit code 0. What the user can mend is raised as ValueError or OSError with the remedy in its line. The
random generators are seeded and a distributed run is set up before it is called.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """Name the module of a kind, say in a line what it trains, and whether it must have shards."""

    module: str
    help: str
    needs_shards: bool = True


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the files.

    Attributes:
        seed: of weights, order of data and dropout.
        time_budget_s: seconds this run may take in all, over every resumed part; None is no limit.
        changes: "section.key=value" entries that replace the configuration's.
        first: whether this process writes files and speaks; the others of a distributed run stay silent.
        report: takes one line of progress; does nothing where `first` is false.
    """

    seed: int = 1
    time_budget_s: float | None = None
    changes: tuple[str, ...] = ()
    first: bool = True
    report: Callable[[str], None] = print


Run = Callable[[Path, Sequence[Path], Path, Path, Options], int]

KINDS: Final = {
    "ears": Kind(
        "train.ears",
        "the hearing network, distilled from Whisper's encoder by speech without pictures",
        needs_shards=False,
    ),
    "expert": Kind("train.expert", "the sync expert, which hears whether lips and speech belong together"),
    "lite": Kind("train.lite", "the lite generator of `lipline call` and `lipline dub`"),
    "mouth": Kind("train.mouth", "the hearing network and a voice on it together, after `ears`: the lips of strangers"),
    "near": Kind(
        "train.near",
        "the near-voice network, which tells the caller's voice from others in the room; it makes voices itself",
        needs_shards=False,
    ),
    "wav2lip": Kind("train.wav2lip", "the published Wav2Lip recipe: generator, frozen expert, quality discriminator"),
}
"""The kinds by name; their modules are imported when they are asked for."""


def find_run(name: str) -> Run:
    """Import the module of a kind and return its `run`.

    Raises:
        KeyError: there is no such kind.
    """
    run: Run = importlib.import_module(KINDS[name].module).run
    return run
