"""The loop that every trainer here runs: steps, evaluations, checkpoints, until done, out of time or asked to stop."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from train.kinds import Options
from train.loop.ahead import Ahead
from train.loop.board import Board
from train.loop.checkpoint import Checkpoints
from train.loop.distributed import Place, here, largest, share
from train.loop.interrupt import StopRequest
from train.loop.progress import Progress
from train.loop.task import Task
from train.loop.trainer import LoopConfig, Trainer

__all__ = ["LoopConfig", "train_task"]


def train_task(
    task: Task,
    config: LoopConfig,
    folder: Path,
    options: Options | None = None,
    settings: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Train the networks of `task` and return the averaged "model" in evaluation mode.

    Goes on from the checkpoint in `folder` when there is one, exactly as if it had never stopped. In a distributed run
    (train.loop.distributed.joined) every process calls it; the first one writes and reports.

    Args:
        task: networks, data and losses.
        config: how long and how.
        folder: of checkpoints and TensorBoard's events (`folder`/board).
        options: `seed` of dropout and whatever else a step draws (the task seeds its data itself); `time_budget_s`, by
            which the rate falls where that is further along than the steps, so that such a run is not exactly
            repeatable; `report`. The defaults of `Options` when None.
        settings: the configuration of the task, JSON-able; a run that is resumed must have the same.

    Raises:
        RunError: the folder's checkpoint is of another configuration, or damaged with none before it.
        DivergedError: gradients stopped being finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the checkpoint was written.
    """
    run = _Run(task, config, folder, options or Options(), settings or {})
    board = Board(folder / "board", run.trainer.step) if run.place.first else None
    try:
        stopped = run.train(board)
    finally:
        if board:
            board.close()
    if stopped:
        raise KeyboardInterrupt
    return run.trainer.average


class Budget:
    """Time a run has taken, over all its parts, against what it may take.

    Attributes:
        limit_s: seconds it may take; None is no limit.
        spent_s: seconds it had taken at the last `update`, of the slowest process.
    """

    def __init__(self, limit_s: float | None, spent_s: float) -> None:
        self.limit_s = limit_s
        self._start = time.monotonic() - spent_s
        self.spent_s = spent_s

    def update(self, stop: bool, place: Place) -> bool:
        """Bring `spent_s` up to date and return whether any process was asked to stop, the same in all of them."""
        self.spent_s, stops = largest([time.monotonic() - self._start, float(stop)], place)
        return stops > 0

    @property
    def share(self) -> float:
        """Part of the budget that is spent; 0 without one."""
        return self.spent_s / self.limit_s if self.limit_s else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a budget."""
        return None if self.limit_s is None else self.limit_s - self.spent_s


def _silent(_line: str) -> None:
    pass


class _Run:
    """One run of the loop: a task with its trainer, its checkpoints and its budget."""

    def __init__(
        self, task: Task, config: LoopConfig, folder: Path, options: Options, settings: Mapping[str, Any]
    ) -> None:
        """Go on from the newest checkpoint in `folder`, if there is one."""
        self.place = here()
        self._task, self._config = task, config
        self._say = options.report if self.place.first else _silent
        told = {"seed": options.seed, "world": self.place.world, "loop": config.model_dump(mode="json")}
        self._checkpoints = Checkpoints(folder, told | dict(settings))
        self.trainer = Trainer(task, config, self.place, options.seed)
        state = share(self._checkpoints.load(self._say) if self.place.first else None, self.place)
        self._budget = Budget(options.time_budget_s, float(state["spent_s"]) if state else 0.0)
        if state:
            self.trainer.restore(state)
            self._say(f"going on from step {self.trainer.step}")

    def train(self, board: Board | None) -> bool:
        """Train, evaluate and save until the end; return whether a signal came first. The first process has a board."""
        trainer, config, budget = self.trainer, self._config, self._budget
        progress = Progress(config.steps, board, self._say) if board else None
        if trainer.step >= config.steps:
            return False
        saved, steps = time.monotonic(), range(trainer.step, config.steps)
        with StopRequest(self._say) as stop, Ahead(self._task, self.place, steps) as batches:
            while not (stopped := budget.update(stop.asked, self.place)) and trainer.step < config.steps:
                if budget.share >= 1.0:
                    self._say(f"the time budget is spent at step {trainer.step}")
                    break
                shown = trainer.train_step(batches.take(), max(trainer.step / config.steps, budget.share))
                if trainer.skipped:
                    self._say(f"step {trainer.step} left out: its gradient is not finite")
                elif progress:
                    progress.show(trainer.step, shown, trainer.rate, budget.left_s)
                if trainer.step % config.evaluate_every == 0 or trainer.step == config.steps:
                    batches.settle()
                    self._evaluate(board)
                if time.monotonic() - saved > config.checkpoint_s and trainer.step < config.steps:
                    self._save()
                    saved = time.monotonic()
            self._save()
            # torchrun ends every process when one has ended in the middle of a run.
            share(None, self.place)
        if stopped:
            self._say(f"stopped at step {trainer.step}; the same command goes on from there")
        return stopped

    def _save(self) -> None:
        if self.place.first:
            self._checkpoints.save(self.trainer.state() | {"spent_s": self._budget.spent_s})

    def _evaluate(self, board: Board | None) -> None:
        """Measure in the first process; whatever that changes in the task's schedules changes in all of them."""
        step = self.trainer.step
        if board:
            evaluation = self._task.evaluate(self.trainer.average)
            board.evaluation(step, evaluation)
            figures = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.figures.items())
            self._say(f"step {step}  held out: {figures}")
        self._task.restore(share(self._task.state(), self.place))
