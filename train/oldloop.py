"""The loop every trainer here runs: time budget, progress, EMA, checkpoint and resume."""

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Say how long and how a network is trained.

    Attributes:
        minutes: time budget of this run; the learning rate falls to zero over `steps`, or over the budget when that
            ends first.
        steps: optimiser steps in all, over every resumed run.
        learning_rate: peak of AdamW's rate, after 200 steps of warm-up (a tenth of a short run); cosine to zero.
        ema: decay of the averaged weights, which are what is kept.
        checkpoint_s: seconds between checkpoints.
        report: called with one line of progress.
    """

    minutes: float
    steps: int
    learning_rate: float = 1e-3
    ema: float = 0.998
    checkpoint_s: float = 120.0
    report: Callable[[str], None] = print


def train(
    network: nn.Module,
    batches: Iterator[Any],
    loss_of: Callable[[nn.Module, Any], dict[str, Tensor]],
    checkpoint: Path,
    config: LoopConfig,
) -> nn.Module:
    """Train `network` until its steps or minutes are used up and return the averaged weights as a network in eval mode.

    `loss_of` returns named losses; the one called "loss" is minimised. When `checkpoint` exists, the run goes on from
    it; a run that is killed loses at most `checkpoint_s` seconds.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    average = copy.deepcopy(network).eval()
    step, spent = _resume(checkpoint, network, average, optimiser)
    start, saved = time.monotonic(), time.monotonic()
    while step < config.steps and (elapsed := time.monotonic() - start) < config.minutes * 60:
        done = max(step / config.steps, elapsed / (config.minutes * 60))
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, done, config.steps)
        losses = loss_of(network.train(), next(batches))
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        _follow(average, network, min(config.ema, step / (step + 20)))
        if step % 200 == 0:
            named = "  ".join(f"{name} {float(value.detach()):.4f}" for name, value in losses.items())
            config.report(f"step {step}  {spent + elapsed:.0f} s  {named}")
        if time.monotonic() - saved > config.checkpoint_s:
            _save(checkpoint, network, average, optimiser, step, spent + elapsed)
            saved = time.monotonic()
    _save(checkpoint, network, average, optimiser, step, spent + time.monotonic() - start)
    return average


def _schedule(step: int, done: float, steps: int) -> float:
    warm = min(1.0, (step + 1) / max(1, min(200, steps // 10)))
    return warm * 0.5 * (1.0 + float(torch.cos(torch.tensor(min(done, 1.0) * torch.pi))))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1.0 - decay)
        else:
            mine.copy_(theirs)


def _save(
    path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int, spent: float
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "spent_s": spent,
        },
        partial,
    )
    partial.replace(path)


def _resume(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    with contextlib.suppress(FileNotFoundError):
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"]), float(state["spent_s"])
    return 0, 0.0
