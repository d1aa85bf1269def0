"""The loop that every trainer here runs: progress, EMA, checkpoint and resume."""

import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from train.config import Config
from train.task import Task


class LoopConfig(Config):
    """Say how long and how a network is trained.

    Attributes:
        steps: optimiser steps in all, over every resumed run.
        learning_rate: peak of AdamW's rate; after the warm-up it falls with the schedule.
        warmup: steps over which the rate rises (at most a tenth of all).
        betas: of AdamW.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, which are what is kept.
        schedule: "cosine" to zero, or "constant".
        bf16: bfloat16 where a network runs.
        evaluate_every: steps between evaluations.
        checkpoint_s: seconds between checkpoints.
    """

    steps: int = 20_000
    learning_rate: float = 1e-3
    warmup: int = 200
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.998
    schedule: str = "cosine"
    bf16: bool = False
    evaluate_every: int = 1000
    checkpoint_s: float = 120.0


def train(
    task: Task,
    config: LoopConfig,
    run: Path,
    *,
    seed: int = 1,
    time_budget_s: float | None = None,
    report: Callable[[str], None] = print,
) -> nn.Module:
    """Train the networks of `task` and return the averaged "model" in evaluation mode.

    Goes on from `run`/checkpoint.pt when that exists. With a time budget the rate falls with the time spent where that
    is further along than the steps.
    """
    torch.manual_seed(seed)
    nets = task.networks
    average = copy.deepcopy(nets["model"]).eval()
    optimisers = {
        name: torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
        )
        for name, net in nets.items()
    }
    path = run / "checkpoint.pt"
    step, spent = 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        for name, net in nets.items():
            net.load_state_dict(state["networks"][name])
            optimisers[name].load_state_dict(state["optimisers"][name])
        average.load_state_dict(state["average"])
        task.restore(state["task"])
        step, spent = int(state["step"]), float(state["spent_s"])

    def save() -> None:
        run.mkdir(parents=True, exist_ok=True)
        torch.save(
            {
                "networks": {name: net.state_dict() for name, net in nets.items()},
                "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
                "average": average.state_dict(),
                "task": task.state(),
                "step": step,
                "spent_s": spent + time.monotonic() - start,
            },
            path.with_suffix(".partial"),
        )
        path.with_suffix(".partial").replace(path)

    start = saved = time.monotonic()
    while step < config.steps:
        elapsed = spent + time.monotonic() - start
        if time_budget_s is not None and elapsed >= time_budget_s:
            break
        done = max(step / config.steps, elapsed / time_budget_s if time_budget_s else 0.0)
        rate = config.learning_rate * min(1.0, (step + 1) / max(1, min(config.warmup, config.steps // 10)))
        if config.schedule == "cosine":
            rate *= 0.5 * (1.0 + float(torch.cos(torch.tensor(min(done, 1.0) * torch.pi))))
        batch = task.batch(step, 0, 1)
        shown: dict[str, float] = {}
        for name, net in nets.items():
            for group in optimisers[name].param_groups:
                group["lr"] = rate
            losses = task.losses(name, {key: value.train() for key, value in nets.items()}, batch)
            optimisers[name].zero_grad(set_to_none=True)
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimisers[name].step()
            shown |= {f"{name}.{key}": float(value.detach()) for key, value in losses.items()}
        step += 1
        with torch.no_grad():
            decay = min(config.ema, step / (step + 20))
            for mine, theirs in zip(average.state_dict().values(), nets["model"].state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1.0 - decay)
                else:
                    mine.copy_(theirs)
        if step % 200 == 0:
            report(f"step {step}  {elapsed:.0f} s  " + "  ".join(f"{key} {value:.4f}" for key, value in shown.items()))
        if step % config.evaluate_every == 0:
            figures = task.evaluate(average).figures
            report(f"step {step}  evaluated  " + "  ".join(f"{key} {value:.4f}" for key, value in figures.items()))
        if time.monotonic() - saved > config.checkpoint_s:
            save()
            saved = time.monotonic()
    save()
    return average
