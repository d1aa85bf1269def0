"""What a step does with rates, averages and gradients that are not finite; budgets; what a run tells."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_tasks import TalkTask, quiet, saved
from torch import Tensor, nn

from train.kinds import Options
from train.loop import progress
from train.loop.board import Board
from train.loop.distributed import here
from train.loop.loop import LoopConfig, train_task
from train.loop.task import Batch, Evaluation
from train.loop.trainer import DivergedError, Trainer, rate_at

CONFIG = LoopConfig(steps=10, learning_rate=5e-3)


class DamagedTask(TalkTask):
    """Have a NaN in the batches of some steps."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        super().__init__()
        self.steps = steps

    def batch(self, step: int, rank: int, world: int) -> Batch:
        batch = super().batch(step, rank, world)
        return batch | {"loudness": batch["loudness"] * float("nan")} if step in self.steps else batch


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    config = LoopConfig(steps=1000, learning_rate=2.0, warmup=50)
    rates = [rate_at(config, step, step / 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(2.0 / 50) and max(rates) == pytest.approx(rates[50], rel=0.01)
    assert rates[500] == pytest.approx(1.0) and 0 < rates[-1] < 1e-4
    assert rate_at(config, 500, 1.0) == 0.0
    constant = config.model_copy(update={"schedule": "constant"})
    assert rate_at(constant, 999, 0.999) == 2.0
    assert rate_at(LoopConfig(steps=20, learning_rate=1.0, warmup=200), 2, 0.0) == 1.0


def test_configurations_that_train_nothing_are_refused() -> None:
    for wrong in ({"steps": 0}, {"ema": 1.0}, {"schedule": "linear"}, {"clip": 0.0}, {"rate": 1.0}):
        with pytest.raises(ValidationError):
            LoopConfig.model_validate(wrong)


def test_the_average_follows_by_its_decay() -> None:
    task = TalkTask()
    trainer = Trainer(task, CONFIG.model_copy(update={"ema": 0.5, "steps": 1000}), here(), 1)
    weights: list[Tensor] = [next(task.networks["model"].parameters()).detach().clone()]
    for step in range(60):
        trainer.train_step(task.batch(step, 0, 1), 0.0)
        weights.append(next(task.networks["model"].parameters()).detach().clone())
    expected = weights[0]
    for step, now in enumerate(weights[1:], 1):
        decay = min(0.5, step / (step + 20))
        expected = decay * expected + (1 - decay) * now
    torch.testing.assert_close(next(trainer.average.parameters()).data, expected, rtol=1e-5, atol=1e-7)
    counts = trainer.average.state_dict()["hear.1.num_batches_tracked"]
    assert int(counts) == 60


def test_each_network_learns_from_its_own_loss_alone() -> None:
    class GreedyTask(TalkTask):
        """Ask the judge's weights for something in the model's loss, and let the judge see the model's history."""

        def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
            wants = [p.requires_grad for net in nets.values() for p in net.parameters()]
            own = [key == name for key, net in nets.items() for _ in net.parameters()]
            assert wants == own
            assert all(not value.requires_grad for value in batch.values())
            assert all(net.training for net in nets.values())
            return super().losses(name, nets, batch)

    task = GreedyTask()
    before = {key: value.clone() for key, value in task.networks["judge"].state_dict().items()}
    trainer = Trainer(task, CONFIG.model_copy(update={"weight_decay": 0.0}), here(), 1)
    shown = trainer.train_step(task.batch(0, 0, 1), 0.0)
    assert {"model/loss", "model/l1", "model/gradient", "judge/loss", "judge/gradient"} <= shown.keys()
    assert not torch.equal(before["0.weight"], task.networks["judge"].state_dict()["0.weight"])
    assert all(p.requires_grad for net in task.networks.values() for p in net.parameters())


def test_gradients_are_clipped_to_their_norm() -> None:
    def moved(clip: float) -> Tensor:
        task = TalkTask(adversary=False, dropout=0.0)
        before = nn.utils.parameters_to_vector(task.networks["model"].parameters())
        config = CONFIG.model_copy(update={"clip": clip, "weight_decay": 0.0})
        trainer = Trainer(task, config, here(), 1)
        trainer.train_step(task.batch(0, 0, 1), 0.0)
        moved: Tensor = nn.utils.parameters_to_vector(task.networks["model"].parameters()) - before
        size: Tensor = moved.detach().norm()
        return size

    # AdamW forgets the scale of a gradient, until it is near its epsilon of 1e-8.
    assert moved(1e-9) < 0.1 * moved(1.0)


def test_a_step_without_finite_gradient_is_left_out(tmp_path: Path) -> None:
    lines: list[str] = []
    task = DamagedTask((4, 5))
    average = train_task(task, CONFIG.model_copy(update={"patience": 3}), tmp_path, Options(report=lines.append))
    left_out = [line for line in lines if "left out" in line]
    assert left_out == [f"step {step} left out: its gradient is not finite" for step in (5, 6)]
    for network in (average, *task.networks.values()):
        assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
    steps = saved(tmp_path)["optimisers"]["model"]["state"][0]["step"]
    assert float(steps) == 8.0


def test_gradients_that_stay_infinite_end_the_run_and_leave_the_checkpoint(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"patience": 3, "checkpoint_s": 0.0})
    task = DamagedTask((4, 5, 6))
    with pytest.raises(
        DivergedError, match=r'"model" was not finite in 3 steps in a row, up to step 6 \(loss nan.*lower'
    ):
        train_task(task, config, tmp_path, Options(report=quiet))
    state = saved(tmp_path)
    assert state["step"] == 6
    assert all(bool(value.isfinite().all()) for value in state["networks"]["model"].values())


def test_bfloat16_is_used_where_it_is_asked_for() -> None:
    seen: list[torch.dtype] = []
    for bf16 in (False, True):
        task = TalkTask(adversary=False)
        paint = task.networks["model"].get_submodule("paint.0")
        paint.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
        trainer = Trainer(task, CONFIG.model_copy(update={"bf16": bf16}), here(), 1)
        trainer.train_step(task.batch(0, 0, 1), 0.0)
        assert all(p.dtype == torch.float32 for p in task.networks["model"].parameters())
    assert seen == [torch.float32, torch.bfloat16]


class StepTime:
    """A clock that stands still but for what a test adds."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_time_budget_ends_the_run_with_the_rate_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StepTime()
    for module in ("train.loop.progress.time", "train.loop.loop.time"):
        monkeypatch.setattr(module, clock)
    rates: list[float] = []
    train_step = Trainer.train_step

    def watched(self: Trainer, batch: Batch, done: float) -> dict[str, Tensor]:
        shown = train_step(self, batch, done)
        rates.append(self.rate)
        clock.now += 1.0
        return shown

    monkeypatch.setattr(Trainer, "train_step", watched)
    config = LoopConfig(steps=1000, learning_rate=1.0, warmup=0, checkpoint_s=1e9)
    lines: list[str] = []
    train_task(TalkTask(), config, tmp_path, Options(time_budget_s=10.0, report=lines.append))
    # A second a step: ten of them in ten seconds, down the whole cosine.
    assert len(rates) == 10 and lines[-1] == "the time budget is spent at step 10"
    assert rates[0] == pytest.approx(1.0) and rates[-1] == pytest.approx(0.0245, abs=1e-3)
    # What was spent counts when the run goes on: the same budget is spent already, a larger one is not.
    lines.clear()
    train_task(TalkTask(), config, tmp_path, Options(time_budget_s=10.0, report=lines.append))
    assert lines == ["going on from step 10", "the time budget is spent at step 10"]
    train_task(TalkTask(), config, tmp_path, Options(time_budget_s=20.0, report=lines.append))
    assert saved(tmp_path)["step"] == 20


def test_batches_are_prepared_ahead_and_not_beside_evaluations(tmp_path: Path) -> None:
    class Watchful(TalkTask):
        preparing = 0

        def batch(self, step: int, rank: int, world: int) -> Batch:
            self.preparing += 1
            time.sleep(0.005)
            batch = super().batch(step, rank, world)
            self.preparing -= 1
            return batch

        def evaluate(self, average: nn.Module) -> Evaluation:
            assert self.preparing == 0
            return super().evaluate(average)

    task = Watchful()
    train_task(task, CONFIG.model_copy(update={"evaluate_every": 1}), tmp_path, Options(report=quiet))
    assert [step for step, _, _ in task.drawn] == list(range(10))


def test_an_error_of_the_data_ends_the_run(tmp_path: Path) -> None:
    class Broken(TalkTask):
        def batch(self, step: int, rank: int, world: int) -> Batch:
            if step == 3:
                raise ValueError("the sample a__b is damaged")
            return super().batch(step, rank, world)

    with pytest.raises(ValueError, match="a__b is damaged"):
        train_task(Broken(), CONFIG, tmp_path, Options(report=quiet))


class SlowTime(StepTime):
    """A clock that goes on by a second at every look."""

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_a_line_tells_how_far_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Points(Board):
        def __init__(self) -> None:
            self.told: list[tuple[int, dict[str, float]]] = []

        def scalars(self, step: int, values: Mapping[str, float]) -> None:
            self.told.append((step, dict(values)))

    clock = SlowTime()
    monkeypatch.setattr("train.loop.progress.time", clock)
    board, lines = Points(), list[str]()
    shown = progress.Progress(20_000, board, lines.append)
    for step in range(101, 201):
        clock.now += 0.25
        shown.show(step, {"model/loss": torch.tensor(float(step % 2))}, 0.001, None)
    assert [step for step, _ in board.told] == [150, 200]
    assert board.told[0][1] == {"model/loss": 0.5, "rate": 0.001}
    # Fifty steps of a quarter second, and a second that looking at the clock takes here.
    assert lines[0] == "step 150/20000  3.70 steps/s  1:29:20 left  model/loss 0.5000"
    assert progress.clock(59.6) == "0:01:00" and progress.clock(-1) == "0:00:00"
