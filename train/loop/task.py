"""What the trainer's loop needs to know of what it trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What held-out clips say about a network.

    Attributes:
        figures: by name, for the log and TensorBoard.
        pictures: by name, (N, 3, H, W) pictures or (N, T, 3, H, W) films, RGB 0..1.
    """

    figures: dict[str, float]
    pictures: dict[str, Tensor] = field(default_factory=dict)


class Task(Protocol):
    """Bring networks, data and losses together.

    `batch` runs in a thread of its own while `losses` runs, never beside the other methods.
    """

    networks: dict[str, nn.Module]
    """What is trained, "model" first; each has an optimiser of its own and they take turns in this order."""

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return the batch of a step, on the CPU; steps are asked for in order, each once.

        It depends on the seed, the step and the rank alone, so that the order of data needs no state to be resumed:
        draw from a generator made of these three, never from torch's or numpy's own.
        """

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return the losses of network `name`: "loss" is minimised, the others are shown.

        `nets` are the networks to call, in training mode; the parameters of all but `name` take no gradient meanwhile.
        What the next network needs of this one may be put into `batch`, where it loses its gradient. Networks that the
        task keeps for itself it brings to the batch's device.
        """

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Measure the averaged model, in evaluation mode, on what is held out; may change schedules."""

    def state(self) -> dict[str, float]:
        """Return what `evaluate` has changed, for the checkpoint."""

    def restore(self, state: Mapping[str, float]) -> None:
        """Set what `evaluate` had changed, from what `state` returned."""


class Stateless:
    """Base of a task whose `evaluate` changes nothing."""

    def state(self) -> dict[str, float]:
        """Return an empty dictionary."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Do nothing."""
