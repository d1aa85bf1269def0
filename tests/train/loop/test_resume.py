"""A run that was stopped goes on exactly as if it had not been."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tiny_tasks import TalkTask, quiet, same, saved
from torch import Tensor, nn

from train.kinds import Options
from train.loop.checkpoint import DAMAGED, FILE, PREVIOUS, Checkpoints, RunError, differences
from train.loop.loop import LoopConfig, train_task
from train.loop.task import Batch

CONFIG = LoopConfig(steps=20, learning_rate=5e-3, evaluate_every=3)
EAGER = CONFIG.model_copy(update={"checkpoint_s": 0.0})


class Killed(Exception):
    """What a test ends a run with, as sudden as a power cut."""


class StoppingTask(TalkTask):
    """End the run at a step: by an exception in the middle of it, or by a signal."""

    def __init__(self, at: int, signal_number: int | None = None) -> None:
        super().__init__()
        self.at, self.signal_number = at, signal_number

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        if len(self.curve) == self.at and name == "model":
            if self.signal_number is None:
                raise Killed
            os.kill(os.getpid(), self.signal_number)
        return super().losses(name, nets, batch)


Whole = tuple[TalkTask, nn.Module, dict[str, object]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return 20 steps in one go: the task, the averaged network, the checkpoint."""
    task, folder = TalkTask(), tmp_path_factory.mktemp("whole")
    return task, train_task(task, CONFIG, folder, Options(report=quiet)), saved(folder)


def test_a_killed_run_ends_bit_for_bit_like_one_that_was_not(whole: Whole, tmp_path: Path) -> None:
    task, trained, state = whole
    killed = StoppingTask(8)
    with pytest.raises(Killed):
        train_task(killed, EAGER, tmp_path, Options(report=quiet))
    torch.manual_seed(99)
    resumed = TalkTask(seed=1)
    lines: list[str] = []
    ended = train_task(resumed, CONFIG, tmp_path, Options(report=lines.append))
    assert "going on from step 8" in lines
    assert task.curve == killed.curve + resumed.curve
    assert len(task.curve) == 20 and task.sync == resumed.sync > 0.0
    assert same(trained.state_dict(), ended.state_dict())
    # Weights, averages, AdamW's moments, buffers of batch norm, step and sync weight.
    assert same(state, saved(tmp_path))
    assert not trained.training and not any(p.requires_grad for p in trained.parameters())


def test_dropout_seed_and_sync_weight_do_matter_to_that(whole: Whole, tmp_path: Path) -> None:
    curve = whole[0].curve
    short = CONFIG.model_copy(update={"steps": 4})

    def run(name: str, task: TalkTask, config: LoopConfig, seed: int = 1) -> list[dict[str, float]]:
        train_task(task, config, tmp_path / name, Options(seed=seed, report=quiet))
        return task.curve

    # A constant rate, so that four steps of four are like four of twenty.
    like = run("like", TalkTask(), short.model_copy(update={"schedule": "constant"}))
    unmeasured = run("unmeasured", TalkTask(), short.model_copy(update={"schedule": "constant", "evaluate_every": 100}))
    assert like[0] == curve[0]
    assert unmeasured[:3] == like[:3] and unmeasured[3] != like[3]
    assert run("still", TalkTask(dropout=0.0), short)[0] != curve[0]
    assert run("reseeded", TalkTask(), short, seed=2)[0] != curve[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_after_its_step(tmp_path: Path, number: int) -> None:
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        train_task(StoppingTask(8, number), CONFIG, tmp_path, Options(report=lines.append))
    assert lines[-1] == "stopped at step 9; the same command goes on from there"
    assert saved(tmp_path)["step"] == 9
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before
    resumed = TalkTask()
    train_task(resumed, CONFIG, tmp_path, Options(report=quiet))
    assert len(resumed.curve) == 11


def test_a_run_outside_the_main_thread_needs_no_signals(tmp_path: Path) -> None:
    thread = threading.Thread(target=train_task, args=(TalkTask(), CONFIG, tmp_path, Options(report=quiet)))
    thread.start()
    thread.join(60)
    assert saved(tmp_path)["step"] == 20


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was killed in its ninth step."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(Killed):
        train_task(StoppingTask(8), EAGER, folder, Options(report=quiet))
    return folder


def test_a_truncated_checkpoint_is_refused_and_the_previous_one_taken(
    whole: Whole, cut_short: Path, tmp_path: Path
) -> None:
    shutil.copytree(cut_short, tmp_path, dirs_exist_ok=True)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[: len(content) // 2])
    lines: list[str] = []
    resumed = TalkTask()
    train_task(resumed, CONFIG, tmp_path, Options(report=lines.append))
    assert lines[0] == f"{FILE} is damaged and put aside as {DAMAGED}: going on from {PREVIOUS}"
    assert "going on from step 7" in lines
    assert whole[0].curve[7:] == resumed.curve
    assert same(whole[2], saved(tmp_path))


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_changed_byte_never_goes_on_as_weights(cut_short: Path, tmp_path: Path, place: float) -> None:
    """Either the file is refused, or what is read of it is as it was: the byte lies where nothing is kept."""
    content = bytearray((cut_short / FILE).read_bytes())
    good = torch.load(cut_short / FILE, weights_only=True)
    del good["identity"]
    content[int(len(content) * place)] ^= 0x10
    (tmp_path / FILE).write_bytes(content)
    checkpoints = Checkpoints(tmp_path, json.loads(torch.load(cut_short / FILE, weights_only=True)["identity"]))
    try:
        state = checkpoints.load(quiet)
    except RunError:
        return
    assert same(good, state)


def test_a_checkpoint_that_was_being_written_is_not_seen(cut_short: Path, tmp_path: Path) -> None:
    # Killed between the two renamings of a save.
    shutil.copy(cut_short / FILE, tmp_path / f"{FILE}.partial")
    shutil.copy(cut_short / PREVIOUS, tmp_path)
    lines: list[str] = []
    train_task(TalkTask(), CONFIG, tmp_path, Options(report=lines.append))
    assert "going on from step 7" in lines


def test_nothing_starts_over_a_run_whose_checkpoints_are_all_damaged(tmp_path: Path) -> None:
    for name in (FILE, PREVIOUS):
        (tmp_path / name).write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(RunError, match=r"checkpoint\.pt and checkpoint\.previous\.pt of .* choose another --run"):
        train_task(TalkTask(), CONFIG, tmp_path, Options(report=quiet))


def test_a_checkpoint_of_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    settings = {"weights": {"edges": 0.5}}
    train_task(TalkTask(), CONFIG, tmp_path, Options(report=quiet), settings=settings)
    slower = CONFIG.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(RunError, match=r"loop\.learning_rate was 0\.005, now 0\.0001\): give the same"):
        train_task(TalkTask(), slower, tmp_path, Options(report=quiet), settings=settings)
    with pytest.raises(RunError, match=r"seed was 1, now 2; weights\.edges was 0\.5, now 0\.6"):
        train_task(TalkTask(), CONFIG, tmp_path, Options(seed=2, report=quiet), settings={"weights": {"edges": 0.6}})
    with pytest.raises(RunError, match=r"weights\.edges was 0\.5, now nothing"):
        train_task(TalkTask(), CONFIG, tmp_path, Options(report=quiet))


def test_another_network_is_refused_by_its_weights(tmp_path: Path) -> None:
    train_task(TalkTask(), CONFIG, tmp_path, Options(report=quiet))
    other = TalkTask()
    other.networks["judge"] = nn.Conv2d(3, 1, 3)
    with pytest.raises(RunError, match=r'another network "judge" \(0\.bias was \(8,\), now nothing'):
        train_task(other, CONFIG, tmp_path, Options(report=quiet))


def test_a_run_may_be_made_longer_and_says_so(tmp_path: Path) -> None:
    train_task(TalkTask(), CONFIG, tmp_path, Options(report=quiet))
    again = TalkTask()
    train_task(again, CONFIG, tmp_path, Options(report=quiet))
    assert again.curve == []
    lines: list[str] = []
    train_task(again, CONFIG.model_copy(update={"steps": 22}), tmp_path, Options(report=lines.append))
    assert lines[:2] == ["the run goes on with changes: loop.steps was 20, now 22", "going on from step 20"]
    assert len(again.curve) == 2


def test_differences_are_named_by_their_place() -> None:
    was, now = {"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"b": 2, "c": [1, 2]}, "e": None}
    assert differences(was, now) == {"a.b": (1, 2), "d": (1, "nothing"), "e": ("nothing", None)}
