"""One process or many: who this process is, what all of them agree on, and gradients averaged over them.

torchrun starts the processes and tells each its place in the environment; without it there is one. Every process
draws its own part of a step's batch, and DistributedDataParallel averages the gradients, so that N processes do what
one would with N times the batch.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from train.loop.task import Batch, Task

T = TypeVar("T")


class PlaceError(ValueError):
    """Why the processes of a distributed run do not fit the machine."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many processes this is, and where it computes."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0


def here() -> Place:
    """Return this process's place: a CUDA device when there is one, else the CPU.

    Raises:
        PlaceError: more processes on this machine than it has CUDA devices.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    if not torch.cuda.is_available():
        return Place(rank, world, torch.device("cpu"))
    local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= devices:
        raise PlaceError(
            f"{local + 1} processes share {devices} CUDA devices: give torchrun --nproc-per-node {devices}"
        )
    return Place(rank, world, torch.device("cuda", local))


@contextmanager
def joined() -> Iterator[Place]:
    """Join the processes that torchrun started, for the time of the context; alone where it did not start this one.

    Raises:
        PlaceError: as `here`.
    """
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    cuda = torch.cuda.is_available()
    if together:
        # Two backends in one group: gradients go between GPUs, agreements between CPUs without waiting for a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        place = here()
        if cuda:
            torch.cuda.set_device(place.device)
            # TensorFloat-32 where float32 is asked for, and the fastest convolution for shapes that never change.
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True
        yield place
    finally:
        if together:
            dist.destroy_process_group()


def share(value: T, place: Place) -> T:
    """Return the first process's `value` in every process; it goes by pickle, between processes of one run alone."""
    if place.world == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def largest(values: list[float], place: Place) -> list[float]:
    """Return the largest of each of `values` over all processes."""
    if place.world == 1:
        return values
    told = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return [float(value) for value in told]


class Objective(nn.Module):
    """Compute the losses of one network of a task, with that network as the only submodule.

    DistributedDataParallel around it averages the gradients of this network whatever the losses call on it, how often,
    and through which other networks; the task itself always sees plain networks.
    """

    def __init__(self, task: Task, name: str) -> None:
        super().__init__()
        self.network = task.networks[name]
        self._name = name
        # In a tuple, so that a task that is a module itself does not become a submodule.
        self._task = (task,)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the named losses; only "loss" carries gradients."""
        (task,) = self._task
        losses = task.losses(self._name, task.networks, batch)
        return {key: value if key == "loss" else value.detach() for key, value in losses.items()}


def objective(task: Task, name: str, place: Place) -> nn.Module:
    """Return `Objective`, in a distributed run wrapped so that backward averages gradients over all processes.

    Weights of the first process are copied to the others here, buffers at every call; batch norm normalises by the
    statistics of each process's own batch.
    """
    alone = Objective(task, name)
    if place.world == 1:
        return alone
    # Losses may leave parts of a network out at some steps.
    return DistributedDataParallel(alone, find_unused_parameters=True)


@contextmanager
def others_fixed(networks: Mapping[str, nn.Module], name: str) -> Iterator[None]:
    """Let no gradient reach the parameters of any network but `name`; those that need none stay so."""
    fixed = [
        parameter
        for other, network in networks.items()
        if other != name
        for parameter in network.parameters()
        if parameter.requires_grad
    ]
    for parameter in fixed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in fixed:
            parameter.requires_grad_(True)
