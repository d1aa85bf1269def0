"""`lipline train`: what it hands to a kind, and what it refuses."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_tasks import TalkTask

from client.main import build_parser
from train import command, kinds
from train.config import Config, read_config
from train.kinds import Kind, Options
from train.loop import distributed
from train.loop.distributed import Place
from train.loop.loop import LoopConfig, train_task


class TalkConfig(Config):
    """Configure the tiny kind."""

    dropout: float = 0.2
    loop: LoopConfig = LoopConfig()


def talk_run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Be a kind as train.kinds asks for."""
    settings = read_config(config, TalkConfig, options.changes)
    task = TalkTask(options.seed, dropout=settings.dropout)
    trained = train_task(task, settings.loop, folder, options, settings.model_dump(mode="json"))
    if options.first:
        torch.save(trained.state_dict(), out)
    options.report(f"{out.name} is written from {[shard.name for shard in shards]}")
    return 0


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Make "talk" a kind; return a folder with its configuration."""
    module = ModuleType("talk_kind")
    vars(module)["run"] = talk_run
    monkeypatch.setitem(sys.modules, "talk_kind", module)
    monkeypatch.setitem(kinds.KINDS, "talk", Kind("talk_kind", "a mouth that opens with the sound"))
    (tmp_path / "talk.toml").write_text("dropout = 0.1\n[loop]\nsteps = 4\nlearning_rate = 0.005\n")
    yield tmp_path


def call(folder: Path, *more: str, name: str = "talk") -> int:
    parser = build_parser("train")
    files = ["--config", folder / "talk.toml", "--shards", folder / "a", folder / "b"]
    files += ["--run", folder / "run", "--out", folder / "out.pt"]
    args = parser.parse_args(["train", name, *map(str, files), *more])
    return int(args.run(args))


def test_a_kind_trains_by_its_file_and_the_changes_to_it(kind: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(kind, "--set", "loop.steps=6", "dropout=0.0", "--seed", "3", "--time-budget", "5") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("step 6/6 ") and said[-1] == "out.pt is written from ['a', 'b']"
    first = torch.load(kind / "out.pt", weights_only=True)
    assert call(kind, "--set", "loop.steps=6", "--set", "dropout=0.0", "--seed", "3") == 0
    assert capsys.readouterr().out.splitlines()[0] == "going on from step 6"
    assert all(torch.equal(value, first[key]) for key, value in torch.load(kind / "out.pt", weights_only=True).items())
    with pytest.raises(ValueError, match=r"dropout was 0\.0, now 0\.1; .*seed was 3, now 1"):
        call(kind)


def test_only_the_first_process_writes_and_speaks(
    kind: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "here", lambda: Place(1, 1, torch.device("cpu")))
    monkeypatch.setattr("train.loop.loop.here", distributed.here)
    assert call(kind) == 0
    assert capsys.readouterr().out == "" and not (kind / "run").exists() and not (kind / "out.pt").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--time-budget", "0"), "--time-budget is in minutes and more than 0"),
        (("--threads", "0"), "--threads is at least 1"),
        (("--out", "/nowhere/x.onnx"), "no folder /nowhere for --out: make it first"),
        (("--set", "loop.stepps=3"), r"talk\.toml: loop\.stepps"),
        (("--config", "missing.toml"), r"missing\.toml cannot be read"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(kind: Path, more: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call(kind, *more)
    assert not (kind / "run").exists()


def test_the_threads_are_those_asked_for(kind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    call(kind)
    call(kind, "--threads", "2")
    assert asked == [2]


def test_an_unknown_kind_is_told_the_known_ones(kind: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call(kind, name="lights")
    assert "'expert', 'lite', 'mouth', 'near', 'wav2lip'" in capsys.readouterr().err


def test_torchrun_takes_the_line_that_the_help_shows() -> None:
    from torch.distributed.run import get_args_parser

    (line,) = (line for line in command.EXAMPLES.splitlines() if "torchrun --" in line)
    words = line.partition("torchrun ")[2].partition("--config")[0].split()
    parsed = get_args_parser().parse_args([*words, "--run", "runs/lite"])
    assert (parsed.training_script, parsed.module) == ("client.main", True)
    assert parsed.training_script_args == ["train", "lite", "--run", "runs/lite"]


def test_shards_are_asked_for_where_a_kind_learns_from_video(kind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = build_parser("train")
    files = ["--config", kind / "talk.toml", "--run", kind / "run", "--out", kind / "talk.pt"]
    args = parser.parse_args([str(part) for part in ["train", "talk", *files]])
    with pytest.raises(ValueError, match="lipline prepare"):
        command.run(args)
    monkeypatch.setitem(kinds.KINDS, "talk", Kind("talk_kind", "a mouth without video", needs_shards=False))
    assert command.run(args) == 0
    assert (kind / "talk.pt").is_file()
