"""The loop that every trainer here runs: steps, evaluations, checkpoints, until done, out of time or asked to stop."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from train.config import Config
from train.kinds import Options
from train.loop.ahead import Ahead
from train.loop.board import Board
from train.loop.budget import Budget
from train.loop.checkpoint import Checkpoints
from train.loop.distributed import Place, here, share
from train.loop.interrupt import StopRequest
from train.loop.progress import Progress
from train.loop.task import Task
from train.loop.trainer import LoopConfig, Trainer

__all__ = ["LoopConfig", "train", "train_kind"]


def train(
    task: Task,
    config: LoopConfig,
    run: Path,
    *,
    seed: int = 1,
    time_budget_s: float | None = None,
    report: Callable[[str], None] = print,
    settings: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Train the networks of `task` and return the averaged "model" in evaluation mode.

    Goes on from the checkpoint in `run` when there is one, exactly as if it had never stopped. In a distributed run
    (train.loop.distributed.joined) every process calls it; the first one writes and reports.

    Args:
        task: networks, data and losses.
        config: how long and how.
        run: folder of checkpoints and TensorBoard's events (`run`/board).
        seed: of dropout and whatever else a step draws; the task seeds its data itself.
        time_budget_s: seconds in all, resumed parts included. The rate falls with the time spent where that is further
            along than the steps, so that such a run is not exactly repeatable.
        report: takes a line of progress.
        settings: the configuration of the task, JSON-able; a run that is resumed must have the same.

    Raises:
        RunError: the folder's checkpoint is of another configuration, or damaged with none before it.
        DivergedError: gradients stopped being finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the checkpoint was written.
    """
    place = here()
    say = report if place.first else _silent
    checkpoints = Checkpoints(
        run, {"seed": seed, "world": place.world, "loop": config.model_dump(mode="json"), **(settings or {})}
    )
    trainer = Trainer(task, config, place, seed)
    state = share(checkpoints.load(say) if place.first else None, place)
    budget = Budget(time_budget_s, float(state["spent_s"]) if state else 0.0)
    if state:
        trainer.restore(state)
        say(f"going on from step {trainer.step}")
    loop = _Loop(task, config, place, trainer, checkpoints, budget, say)
    board = Board(run / "board", trainer.step) if place.first else None
    try:
        stopped = loop.run(Progress(config.steps, board, say) if board else None, board)
    finally:
        if board:
            board.close()
    if stopped:
        raise KeyboardInterrupt
    return trainer.average


def train_kind(task: Task, chosen: Config, loop: LoopConfig, run: Path, options: Options) -> nn.Module:
    """Train `task`, which the configuration `chosen` describes, by its `loop` and the command line; see `train`."""
    return train(
        task,
        loop,
        run,
        seed=options.seed,
        time_budget_s=options.time_budget_s,
        report=options.report,
        settings=chosen.model_dump(mode="json", exclude={"loop"}),
    )


def _silent(_line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Loop:
    """Run what is left of a run; board and progress are the first process's."""

    task: Task
    config: LoopConfig
    place: Place
    trainer: Trainer
    checkpoints: Checkpoints
    budget: Budget
    say: Callable[[str], None]

    def run(self, progress: Progress | None, board: Board | None) -> bool:
        """Train, evaluate and save until the end; return whether a signal came first."""
        trainer, config, budget = self.trainer, self.config, self.budget
        if trainer.step >= config.steps:
            return False
        saved, steps = time.monotonic(), range(trainer.step, config.steps)
        with StopRequest(self.say) as stop, Ahead(self.task, self.place, steps) as batches:
            while not (stopped := budget.update(stop.asked, self.place)) and trainer.step < config.steps:
                if budget.share >= 1.0:
                    self.say(f"the time budget is spent at step {trainer.step}")
                    break
                shown = trainer.train_step(batches.take(), max(trainer.step / config.steps, budget.share))
                if trainer.skipped:
                    self.say(f"step {trainer.step} left out: its gradient is not finite")
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
            self.say(f"stopped at step {trainer.step}; the same command goes on from there")
        return stopped

    def _save(self) -> None:
        if self.place.first:
            self.checkpoints.save(self.trainer.state() | {"spent_s": self.budget.spent_s})

    def _evaluate(self, board: Board | None) -> None:
        """Measure in the first process; whatever that changes in the task's schedules changes in all of them."""
        step = self.trainer.step
        if board:
            evaluation = self.task.evaluate(self.trainer.average)
            board.evaluation(step, evaluation)
            figures = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.figures.items())
            self.say(f"step {step}  held out: {figures}")
        self.task.restore(share(self.task.state(), self.place))
