"""Fine-tune one network a little: near its start, batch norm as it is, the weights of the best evaluation kept."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from train.enroll.config import StageConfig
from train.loop.distributed import here
from train.loop.task import Batch, Evaluation, Task
from train.loop.trainer import LoopConfig, Trainer

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class NearStart:
    """Wrap a task: hold its model near the weights that it has now (a train.loop.task.Task).

    The statistics of batch norm stay what many people made them: a few seconds of one would shift them. The penalty is
    L2-SP of Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    ICML 2018.
    """

    def __init__(self, task: Task, stay: float) -> None:
        """Take `task` over; `stay` weighs the squared distance."""
        self.networks = task.networks
        self._task, self._stay = task, stay
        self._start = {name: value.detach().clone() for name, value in task.networks["model"].named_parameters()}

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return the task's own batch."""
        return self._task.batch(step, rank, world)

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return the task's losses, with the pull to the start as "stay" of the model."""
        for module in nets["model"].modules():
            if isinstance(module, _NORMS):
                module.eval()
        losses = self._task.losses(name, nets, batch)
        if name != "model" or not self._stay:
            return losses
        moved = [
            (value - self._start[key].to(value.device)).square().sum() for key, value in nets[name].named_parameters()
        ]
        away = sum(moved[1:], moved[0])
        return {**losses, "stay": away, "loss": losses["loss"] + self._stay * away}

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Measure as the task does."""
        return self._task.evaluate(average)

    def state(self) -> dict[str, float]:
        """Return the task's."""
        return self._task.state()

    def restore(self, state: Mapping[str, float]) -> None:
        """Give the task's back."""
        self._task.restore(state)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a fine-tune came to.

    Attributes:
        network: the model with its best weights, in evaluation mode on the CPU.
        step: after which they were reached; 0 is the start.
        steps: how many were made.
        before, best: score of the start and of these weights.
    """

    network: nn.Module
    step: int
    steps: int
    before: float
    best: float


def tune(
    task: Task,
    loop: LoopConfig,
    stage: StageConfig,
    score: Callable[[Mapping[str, float]], float],
    *,
    budget_s: float | None = None,
    seed: int = 1,
    show: Callable[[float, float, float], None] = lambda share, now, best: None,
) -> Tuned:
    """Train the model of `task` for a while and return it as it was when it scored best, the start included.

    Nothing is written: whoever stops it loses it.

    Args:
        task: what is trained; its networks change.
        loop: steps and optimiser; `evaluate_every` is how often it is scored.
        stage: how far it may go.
        score: of an evaluation's figures, more is better.
        budget_s: seconds this may take; None is no limit.
        seed: of dropout.
        show: takes the share that is done, the last and the best score, after each evaluation.
    """
    near = NearStart(task, stage.stay)
    trainer = Trainer(near, loop, here(), seed)
    begun = time.monotonic()

    def done() -> float:
        spent = 0.0 if budget_s is None else (time.monotonic() - begun) / budget_s
        return max(trainer.step / loop.steps, spent)

    def scored() -> float:
        return score(near.evaluate(trainer.average).figures)

    before = best = scored()
    kept, at, stale = copy.deepcopy(trainer.average), 0, 0
    while (share := done()) < 1.0 and stale < stage.enough:
        batch = {name: value.to(here().device) for name, value in near.batch(trainer.step, 0, 1).items()}
        trainer.train_step(batch, share)
        if trainer.step % loop.evaluate_every and trainer.step != loop.steps:
            continue
        now, stale = scored(), stale + 1
        if now > best:
            best, kept, at, stale = now, copy.deepcopy(trainer.average), trainer.step, 0
        show(done(), now, best)
    return Tuned(kept.cpu().eval(), at, trainer.step, before, best)
