"""Several processes learn what one would from their joined batches, and agree on everything else."""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from tiny_tasks import TalkTask, quiet, saved
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from train.kinds import Options
from train.loop.distributed import PlaceError, here, joined, largest, share
from train.loop.loop import LoopConfig, train_task
from train.loop.task import Batch, Evaluation

CONFIG = LoopConfig(steps=3, learning_rate=5e-3, schedule="constant", evaluate_every=1)
LONGER = CONFIG.model_copy(update={"steps": 5})


class CountingTask(TalkTask):
    """Take a new sync weight from every evaluation, and send a signal where told."""

    def __init__(self, parts: tuple[int, ...] | None = None, signal_at: int | None = None) -> None:
        super().__init__(dropout=0.0, parts=parts)
        self.evaluations, self.signal_at = 0, signal_at

    def evaluate(self, average: nn.Module) -> Evaluation:
        self.evaluations += 1
        self.sync += 0.5
        return Evaluation({"sync": self.sync})

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        if name == "model" and len(self.curve) == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(name, nets, batch)


def work(rank: int, port: int, folder: Path) -> None:
    """Be one of two processes: three steps, two more from the checkpoint, and a run that is stopped at one process."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # As on two machines that share no disk.
    mine = folder / str(rank)
    lines: list[str] = []
    with joined() as place:
        assert (place.rank, place.world, place.first) == (rank, 2, rank == 0)
        first, second = CountingTask(), CountingTask()
        train_task(first, CONFIG, mine, Options(report=lines.append))
        average = train_task(second, LONGER, mine, Options(report=lines.append))
        stopped = CountingTask(signal_at=1 if rank == 1 else None)
        with pytest.raises(KeyboardInterrupt):
            train_task(stopped, LONGER, folder / f"stopped{rank}", Options(report=quiet))
        assert len(stopped.curve) == 2
    result = {
        "average": average.state_dict(),
        "judge": second.networks["judge"].state_dict(),
        "sync": [first.sync, second.sync],
        "evaluations": [first.evaluations, second.evaluations],
        "drawn": first.drawn[:3] + second.drawn[:2],
        "lines": lines,
    }
    torch.save(result, folder / f"result{rank}.pt")


Two = tuple[Path, list[dict[str, Any]]]
"""Folder and results of two processes."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """Return the folder and the results of two processes that trained together."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(work, (port, folder), nprocs=2)
    return folder, [torch.load(folder / f"result{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_equal_one_that_averages_their_batches(two: Two, tmp_path: Path) -> None:
    joint = CountingTask(parts=(0, 1))
    average = train_task(joint, LONGER, tmp_path, Options(report=quiet))
    for result in two[1]:
        for name, value in average.named_parameters():
            torch.testing.assert_close(result["average"][name], value.data, rtol=1e-4, atol=1e-6)
        for name, value in joint.networks["judge"].named_parameters():
            torch.testing.assert_close(result["judge"][name], value.data, rtol=1e-4, atol=1e-6)
    alone = CountingTask(parts=(0,))
    lonely = train_task(alone, LONGER, tmp_path / "alone", Options(report=quiet))
    weights = next(iter(lonely.parameters()))
    assert not torch.allclose(two[1][0]["average"]["hear.0.weight"], weights, rtol=1e-3, atol=1e-4)


def test_each_draws_its_own_and_the_first_alone_speaks_measures_and_writes(two: Two) -> None:
    folder, (first, second) = two
    assert first["drawn"] == [(step, 0, 2) for step in range(5)]
    assert second["drawn"] == [(step, 1, 2) for step in range(5)]
    assert first["evaluations"] == [3, 2] and second["evaluations"] == [0, 0]
    assert first["sync"] == second["sync"] == [1.5, 2.5]
    assert "going on from step 3" in first["lines"] and second["lines"] == []
    assert {path.name for path in (folder / "0").iterdir()} == {"checkpoint.pt", "checkpoint.previous.pt", "board"}
    assert not (folder / "1").exists()


def test_a_signal_to_one_process_stops_all_at_one_step(two: Two) -> None:
    assert saved(two[0] / "stopped0")["step"] == 2
    assert not (two[0] / "stopped1").exists()


def test_a_process_alone_agrees_with_itself() -> None:
    with joined() as place:
        assert (place.rank, place.world, place.first) == (0, 1, True)
        assert share({"a": 1.0}, place) == {"a": 1.0}
        assert largest([1.0, 0.0], place) == [1.0, 0.0]


def test_more_processes_than_gpus_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert here().device == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(PlaceError, match="--nproc-per-node 2"):
        here()
