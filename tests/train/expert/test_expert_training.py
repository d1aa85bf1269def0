"""`lipline train expert` from shards to a file, and what is measured of that file."""

import json
from pathlib import Path

import pytest
import torch
from spoken_bars import bar_sample

from models.errors import ModelError
from models.expert.contract import ExpertConfig
from models.expert.network import SyncNet
from models.expert.onnx import Expert
from models.onnx.export import export_onnx
from train.config import ConfigError, read_config
from train.data.clips import Split
from train.data.shards import ShardWriter
from train.expert.command import origin_of, run
from train.expert.config import ExpertTraining
from train.expert.judged import DISTANCES, FAR
from train.expert.measure import main, measure
from train.expert.origin import SEEN, TRAINED_KEY, TRAINING, UNSEEN, Origin
from train.expert.task import ExpertTask
from train.kinds import Options

CONFIG = """
data = { by = "clip", test = 0.25, judge = 0.5, speakers = ["anna"] }
network = { frames = 1, width = 0.01 }
pairs = { clips = 4, windows = 4 }
augment = { scale = 0, shift = 0, turn = 0, light = 0, sound = 0 }
loop = { steps = 100, learning_rate = 8e-3, warmup = 4, ema = 0.8, evaluate_every = 100 }
"""
SPLIT = Split("clip", 0.25, 0.5)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, "bars") as writer:
        for seed in range(16):
            writer.write(bar_sample("anna", seed))
        for seed in (50, 51):
            writer.write(bar_sample("ben", seed))
    return folder


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder, lines = tmp_path_factory.mktemp("run"), list[str]()
    (folder / "config.toml").write_text(CONFIG)
    out = folder / "expert.onnx"
    assert run(folder / "config.toml", [shards], folder / "run", out, Options(report=lines.append)) == 0
    return out, lines


def test_learns_bars_and_writes_what_the_runtime_opens(trained: tuple[Path, list[str]], shards: Path) -> None:
    out, lines = trained
    assert lines[0].endswith("minutes") and "wrote expert.onnx" in lines[-1]
    assert any(f"accuracy, {FAR}" in line for line in lines)
    expert = Expert.open(out)
    assert expert.config == ExpertConfig(1, 0.01)
    report = measure(expert, [shards])
    roles = [SPLIT.role("anna", f"take{seed}") for seed in range(16)]
    counted = {name: group.clips for name, group in report.groups.items()}
    assert counted == {SEEN: roles.count("test"), TRAINING: roles.count("judge"), UNSEEN: 2}
    for name in (SEEN, UNSEEN):
        best = report.groups[name].best
        assert best is not None and best[FAR] > 0.75 and set(DISTANCES) < set(best)


def test_prints_a_table_or_json(
    trained: tuple[Path, list[str]], shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(trained[0]), str(shards), "--most", "1"]) == 0
    printed = capsys.readouterr().out
    assert "expert of 1 frames" in printed and f"{UNSEEN} (1)" in printed and "\n5 or more " in printed
    assert main([str(trained[0]), str(shards), "--most", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["groups"][UNSEEN]["half"]["over 15"] > 0.4
    # One clip has no other to meet: null, since NaN is no JSON.
    assert told["groups"][UNSEEN]["half"]["other clip"] is None


def test_what_cannot_be_measured_is_one_line(
    trained: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(trained[0]), str(tmp_path)]) == 1
    assert "no shards in" in capsys.readouterr().err
    seed = next(seed for seed in range(16) if SPLIT.role("anna", f"take{seed}") == "judge")
    with ShardWriter(tmp_path, "known") as writer:
        writer.write(bar_sample("anna", seed))
    assert main([str(trained[0]), str(tmp_path)]) == 1
    assert "no clip that is new to the expert" in capsys.readouterr().err


def test_training_goes_on_from_an_expert(trained: tuple[Path, list[str]], shards: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    config = read_config(path, ExpertTraining, [f"network.start={trained[0]}", "pairs.clips=8"])
    task = ExpertTask(config, [shards])
    batch = task.batch(7, 0, 1)
    losses = task.losses("model", {"model": task.networks["model"].eval()}, batch)
    fresh = ExpertTask(
        config.model_copy(update={"network": config.network.model_copy(update={"start": None})}), [shards]
    )
    with torch.no_grad():
        untrained = fresh.losses("model", {"model": fresh.networks["model"].eval()}, fresh.batch(7, 0, 1))
    assert float(losses["bce"].detach()) < float(untrained["bce"]) - 0.05
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in task.networks["model"].parameters())
    assert origin_of(config, ["carl"]) == Origin(SPLIT, frozenset({"anna", "carl"}))
    other = read_config(path, ExpertTraining, [f"network.start={trained[0]}", "data.test=0.1"])
    with pytest.raises(ModelError, match="trained on another split"):
        origin_of(other, ["carl"])
    with pytest.raises(ValueError, match="give network.start an expert of these sizes"):
        ExpertTask(read_config(path, ExpertTraining, [f"network.start={trained[0]}", "network.frames=3"]), [shards])


@pytest.mark.parametrize(
    "change", ["network.frames=2", "pairs.negatives.hard=-1", "augment.mirror=2", "network.deep=1"]
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    with pytest.raises(ConfigError, match=change.partition("=")[0]):
        read_config(path, ExpertTraining, [change])


def test_the_bundled_configs_are_valid() -> None:
    folder = Path(__file__).parents[3] / "train" / "configs"
    for path in (folder / "expert.toml", folder / "expert-general.toml"):
        config = read_config(path, ExpertTraining)
        # 8 MB of weights are bundled at most.
        assert sum(p.numel() for p in SyncNet(config.network.expert).parameters()) < 2_000_000


def test_an_origin_groups_clips_by_what_was_trained_on() -> None:
    by_clip = Origin(SPLIT, frozenset({"anna"}))
    roles = {SPLIT.role("anna", f"take{seed}"): f"take{seed}" for seed in range(16)}
    assert {role: by_clip.group("anna", source) for role, source in roles.items()} == {
        "train": None,
        "judge": TRAINING,
        "test": SEEN,
    }
    assert {by_clip.group("ben", source) for source in roles.values()} == {UNSEEN}
    by_speaker = Origin(Split("speaker", 0.5, 0.0), frozenset())
    groups = {by_speaker.group(f"s{number}", "take") for number in range(20)}
    assert groups == {TRAINING, UNSEEN}


def test_a_file_without_origin_is_refused(tmp_path: Path) -> None:
    config = ExpertConfig(1, 0.01)
    network = SyncNet(config).eval()
    for number, told in enumerate(({}, {TRAINED_KEY: "{}"}, {TRAINED_KEY: "?"})):
        path = tmp_path / f"{number}.onnx"
        export_onnx(network, config.contract(), path, config.metadata() | told)
        with pytest.raises(ModelError, match="does not say what it was trained on"):
            Origin.of(Expert.open(path).metadata)
