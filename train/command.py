"""`lipline train`: train a network from prepared shards."""

import argparse
import os
from functools import partial
from pathlib import Path

from train.kinds import KINDS, Options, find_run

DESCRIPTION = """\
Train a network from shards that `lipline prepare` wrote, by a configuration (train/configs has examples).
The run's folder keeps checkpoints and TensorBoard's events; the same command again goes on where it stopped."""

EXAMPLES = """\
examples:
  lipline train expert --config train/configs/expert.toml --shards SHARDS --run runs/expert --out expert.onnx
  lipline train lite --config train/configs/lite.toml --shards SHARDS --run runs/lite --out lite.onnx \\
      --time-budget 60 --set loop.bf16=true
  lipline train mouth --config train/configs/mouth.toml --shards SHARDS --run runs/mouth --out ears.onnx
  lipline train near --config train/configs/near.toml --run runs/near --out near.onnx
  torchrun --nproc-per-node 4 -m -- client.main train lite --config ...     a process per GPU, or several on a CPU
  (the -- keeps torchrun from taking --run for its own)
  tensorboard --logdir runs"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline train`."""
    kinds = "; ".join(f"{name}: {kind.help}" for name, kind in KINDS.items())
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help=kinds)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="what to train and how, in TOML")
    parser.add_argument(
        "--shards",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders that `lipline prepare` wrote; near can do without",
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR", dest="folder", help="folder of this run; resumed if it exists"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the trained network's file")
    parser.add_argument(
        "--time-budget",
        type=float,
        metavar="MIN",
        help="minutes this run may take in all, resumed parts included; the learning rate falls in time for its end",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same run (default: 1)")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="replace entries of the configuration, such as loop.steps=2000",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of one process on the CPU (default: all)")


def run(args: argparse.Namespace) -> int:
    """Train what `args` asks for and return the exit code.

    Raises:
        ValueError: with the reason and the remedy in one line.
    """
    _check(args)
    if "WORLD_SIZE" in os.environ:
        # Each process would print DistributedDataParallel's advice to trust that every weight is used at every step.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch

    from train.loop.distributed import joined

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    budget = None if args.time_budget is None else args.time_budget * 60.0
    with joined() as place:
        torch.manual_seed(args.seed)
        report = partial(print, flush=True) if place.first else _silent
        options = Options(args.seed, budget, tuple(args.changes), place.first, report)
        return find_run(args.kind)(args.config, args.shards, args.folder, args.out, options)


def _silent(_line: str) -> None:
    """Say nothing: the first process of a distributed run speaks for all."""


def _check(args: argparse.Namespace) -> None:
    if not args.shards and KINDS[args.kind].needs_shards:
        raise ValueError(f"{args.kind} learns from video: make shards with `lipline prepare` and give --shards DIR")
    if args.time_budget is not None and args.time_budget <= 0:
        raise ValueError("--time-budget is in minutes and more than 0: leave it out for no limit")
    if args.threads is not None and args.threads < 1:
        raise ValueError("--threads is at least 1: leave it out to use every core")
    if not args.out.resolve().parent.is_dir():
        raise ValueError(f"there is no folder {args.out.parent} for --out: make it first")
