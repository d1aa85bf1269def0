"""Loss curves of tiny runs, and how near two of them are. Run it to write the golden ones anew:

    .venv/bin/python tests/train/golden_curves.py

Do that only for a change that is meant to change what is learned, and say so in the commit.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# For runs without pytest, which sets the same.
sys.path += [str(ROOT), str(ROOT / "tests" / "support")]

import torch  # noqa: E402
from tiny_tasks import TalkTask, quiet  # noqa: E402

from train.kinds import Options  # noqa: E402
from train.loop.loop import LoopConfig, train_task  # noqa: E402
from train.loop.task import Evaluation  # noqa: E402

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = 5e-4
"""Relative to a curve's mean size. Without oneDNN, and in double precision, the run differs by 0.012 of it."""

Curve = dict[str, list[float]]

CONFIG = LoopConfig(steps=40, learning_rate=2e-3, warmup=4, ema=0.5, evaluate_every=10)


class Watched(TalkTask):
    """Keeps the held-out errors too."""

    def __init__(self, seed: int = 1, weights: Mapping[str, float] | None = None) -> None:
        super().__init__(seed, dropout=0.0, weights=weights)  # dropout draws by platform
        self.held_out: list[float] = []

    def evaluate(self, average: torch.nn.Module) -> Evaluation:
        evaluation = super().evaluate(average)
        self.held_out.append(evaluation.figures["l1"])
        return evaluation


def talk(config: LoopConfig = CONFIG, seed: int = 1, weights: Mapping[str, float] | None = None) -> Curve:
    """Return the curve of generator, discriminator and held-out error over 40 steps."""
    task = Watched(seed, weights)
    with tempfile.TemporaryDirectory() as folder:
        train_task(task, config, Path(folder), Options(report=quiet))
    return {key: [step[key] for step in task.curve] for key in task.curve[0]} | {"held out": task.held_out}


RUNS: dict[str, Callable[[], Curve]] = {"talk": talk}


def golden(name: str) -> Curve:
    """Return the committed curve of a run."""
    curve: Curve = json.loads((FOLDER / f"{name}.json").read_text())
    return curve


def distance(curve: Curve, other: Curve) -> float:
    """Return the largest difference of two curves, in tolerances: 1 is the limit."""
    assert curve.keys() == other.keys() and all(len(curve[key]) == len(other[key]) for key in curve)
    return max(
        max(abs(one - two) for one, two in zip(values, other[key], strict=True))
        / (TOLERANCE * sum(map(abs, other[key])) / len(values))
        for key, values in curve.items()
    )


def main() -> None:
    """Write every golden curve."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for name, run in RUNS.items():
        curve = {key: [float(f"{value:.7g}") for value in values] for key, values in run().items()}
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(values)}" for key, values in curve.items())
        (FOLDER / f"{name}.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
