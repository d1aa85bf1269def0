"""Wav2Lip's recipe: when the expert joins, what each network pays, that it learns, resumes and becomes a file."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from wav2lip_clips import landmarks, planted_clip, tiny_expert, training

from models.catalog import open_generator
from models.errors import ModelError
from models.expert.network import SyncNet
from models.generator import FaceImage
from models.onnx.export import export_onnx
from models.wav2lip.network import Wav2Lip
from train.config import ConfigError, read_config
from train.data.clips import Clip
from train.data.pool import Pool
from train.data.shards import Sample, SampleInfo, ShardWriter
from train.kinds import Options, find_run
from train.loop.loop import LoopConfig, train_task
from train.losses.expert_file import read_expert
from train.wav2lip.config import LossConfig, Wav2LipTraining
from train.wav2lip.task import Wav2LipTask

CONFIGS = Path(__file__).parents[3] / "train" / "configs"


class Clips(Pool):
    """A pool of planted clips."""

    def __init__(self, count: int = 3, frames: int = 24) -> None:
        self._clips = [planted_clip(str(seed), frames, seed) for seed in range(count)]

    def at(self, step: int) -> list[Clip]:
        return self._clips


def task_of(judge: SyncNet | None = None, **changes: object) -> Wav2LipTask:
    torch.manual_seed(0)
    clips = Clips()
    return Wav2LipTask(training(**changes), judge or tiny_expert(), clips, clips.at(0))


class Echo(nn.Module):
    """A generator that gives back its reference."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        return face[:, 3:] * self.weight


def test_the_expert_joins_for_good_when_the_held_out_sync_loss_is_low_enough() -> None:
    never, at_once = task_of(loss=LossConfig(sync_below=0.0)), task_of(loss=LossConfig(sync=0.2, sync_below=99.0))
    for task in (never, at_once):
        assert task.state() == {"sync_weight": 0.0}
        assert "sync" not in task.losses("model", task.networks, task.batch(0, 0, 1))
    assert never.evaluate(Echo()).figures["sync weight"] == 0.0
    figures = at_once.evaluate(Echo()).figures
    assert figures["sync weight"] == 0.2 and at_once.state() == {"sync_weight": 0.2}
    assert figures["l1"] > 0 and figures["sync"] > 0 and figures["sync real"] > 0
    # It stays on, here after a change of mind of the expert's.
    stubborn = task_of(loss=LossConfig(sync=0.2, sync_below=0.0))
    stubborn.restore(at_once.state())
    assert stubborn.evaluate(Echo()).figures["sync weight"] == 0.2


def test_the_loss_is_weighed_as_published() -> None:
    task = task_of(loss=LossConfig(sync=0.03, sync_below=99.0, quality=0.07), batch=1)
    batch = task.batch(0, 0, 1)
    before = task.losses("model", task.networks, batch)
    assert float(before["loss"].detach()) == pytest.approx(
        float((0.93 * before["l1"] + 0.07 * before["quality"]).detach()), rel=1e-5
    )
    task.evaluate(Echo())
    after = task.losses("model", task.networks, batch)
    expected = 0.90 * after["l1"] + 0.07 * after["quality"] + 0.03 * after["sync"]
    assert float(after["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    quality = task.losses("quality", task.networks, batch)["loss"]
    # Untrained, it cannot tell; its lesson is none of the generator's.
    assert float(quality.detach()) == pytest.approx(2 * math.log(2), abs=0.1)
    quality.backward()
    assert all(parameter.grad is None for parameter in task.networks["model"].parameters())
    assert all(parameter.grad is not None for parameter in task.networks["quality"].parameters())


def test_the_expert_never_moves_and_the_generator_does() -> None:
    expert = tiny_expert()
    task = task_of(expert, loss=LossConfig(sync=0.5, sync_below=99.0))
    task.evaluate(Echo())
    before = {key: value.clone() for key, value in expert.state_dict().items()}
    losses = task.losses("model", task.networks, task.batch(0, 0, 1))
    losses["sync"].backward()
    model = task.networks["model"]
    assert isinstance(model, Wav2Lip)
    assert any(bool((p.grad != 0).any()) for p in model.face_decoder_blocks.parameters() if p.grad is not None)
    assert all(parameter.grad is None for parameter in expert.parameters())
    assert all(torch.equal(value, before[key]) for key, value in expert.state_dict().items())


@pytest.mark.parametrize("sees", ["crop", "box"])
@pytest.mark.parametrize("frames", [1, 5])
def test_the_expert_judges_the_made_mouth_in_either_view(sees: str, frames: int) -> None:
    task = task_of(tiny_expert(frames), expert={"file": "x.onnx", "sees": sees}, held_out=6)
    real, still = task.evaluate(Truth(task)).figures, task.evaluate(Echo()).figures
    # The real box pasted back is as good as the real crop, to within its resampling.
    assert real["sync"] == pytest.approx(real["sync real"], rel=1e-4)
    assert still["sync real"] == pytest.approx(real["sync real"]) and still["sync"] != still["sync real"]


class Grey(Echo):
    """A generator that has learned nothing."""

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        return torch.full_like(face[:, 3:], 0.5)


class Truth(Echo):
    """A generator that knows the answers of its task's evaluation."""

    def __init__(self, task: Wav2LipTask) -> None:
        super().__init__()
        self._answers = iter(task._held_out["truth"].split(task._config.batch))

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        answer: Tensor = next(self._answers)
        return answer.float() / 255.0


def test_batches_depend_on_seed_step_and_rank_alone() -> None:
    task, other = task_of(), task_of()
    task.batch(3, 0, 1)
    assert torch.equal(task.batch(7, 0, 2)["truth"], other.batch(7, 0, 2)["truth"])
    assert not torch.equal(task.batch(7, 0, 2)["truth"], task.batch(7, 1, 2)["truth"])


LOOP = LoopConfig(
    steps=10, learning_rate=5e-3, warmup=0, weight_decay=0.0, clip=1e6, ema=0.0, schedule="constant", evaluate_every=10
)


def test_a_tiny_run_learns_and_its_sync_weight_survives_a_resume(tmp_path: Path) -> None:
    loss = LossConfig(sync=0.01, sync_below=99.0)
    lines: list[str] = []
    first = task_of(loss=loss, batch=3)
    start = first.evaluate(Grey()).figures["l1"]
    first.restore({"sync_weight": 0.0})
    train_task(first, LOOP, tmp_path / "run", Options(report=lines.append))
    assert first.state() == {"sync_weight": 0.01}
    resumed = task_of(loss=loss, batch=3)
    longer = LOOP.model_copy(update={"steps": 14})
    model = train_task(resumed, longer, tmp_path / "run", Options(report=lines.append))
    assert any("going on from step 10" in line for line in lines)
    assert resumed.state() == {"sync_weight": 0.01}
    figures = resumed.evaluate(model).figures
    assert figures["l1"] < 0.7 * start and math.isfinite(figures["sync"])


def write_shards(folder: Path, clips: int = 6) -> Path:
    with ShardWriter(folder, "planted") as writer:
        for seed in range(clips):
            clip = planted_clip(f"clip{seed}", 20, seed)
            info = SampleInfo(
                speaker="someone",
                source=f"clip{seed}",
                source_sha256="0" * 64,
                start_s=0.0,
                frames=20,
                size=128,
                offset_ms=None,
                confidence=None,
                sharpness=50.0,
                yaw=0.0,
            )
            writer.write(Sample(clip.key, info, clip.crops, clip.landmarks, clip.samples))
    return folder


def test_the_command_writes_a_generator_that_a_call_takes(tmp_path: Path) -> None:
    expert = tiny_expert().eval()
    file = tmp_path / "expert.onnx"
    export_onnx(expert, expert.config.contract(), file, expert.config.metadata())
    changes = (
        f"expert.file='{file}'", "data.by=clip", "data.test=0.4", "data.judge=0.0", "batch=2", "width=0.05",
        "held_out=2", "loop.steps=2", "loop.evaluate_every=2",
    )  # fmt: skip
    out, lines = tmp_path / "mine.onnx", list[str]()
    shards = write_shards(tmp_path / "shards")
    options = Options(1, None, changes, True, lines.append)
    config = CONFIGS / "wav2lip.toml"
    assert find_run("wav2lip")(config, [shards], tmp_path / "run", out, options) == 0
    assert any("wrote mine.onnx" in line for line in lines)
    generator = open_generator(out)
    clip = planted_clip()
    pose = generator.prepare(FaceImage(clip.crops[0], landmarks(0.3)))
    patch = generator.generate(np.full((80, 16), -4.0, dtype=np.float32), pose, [pose])
    assert patch.image.shape == (96, 96, 3) and generator.hearing.place(80.0) == (3, 0.0)


def test_an_expert_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    expert, file = tiny_expert(3).eval(), tmp_path / "expert.onnx"
    export_onnx(expert, expert.config.contract(), file, expert.config.metadata())
    read = read_expert(file)
    assert read.config == expert.config
    mel, face = torch.randn(2, 1, 80, 10), torch.rand(2, 9, 48, 96)
    for mine, theirs in zip(read(mel, face), expert(mel, face), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_wrong_expert_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train one with `lipline train expert`"):
        read_expert(tmp_path / "none.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("no model at all")
    with pytest.raises(ModelError, match="cannot be read as ONNX|lacks an expert's weights"):
        read_expert(text)
    torch.save(task_of().networks["model"].state_dict(), tmp_path / "narrow.pth")
    with pytest.raises(ModelError, match="does not fit"):
        read_expert(tmp_path / "narrow.pth")


@pytest.mark.parametrize(
    ("name", "sync", "quality", "beta"), [("wav2lip", 0.01, 0.0, 0.9), ("wav2lip-gan", 0.03, 0.07, 0.5)]
)
def test_the_example_configs_are_the_published_schedule(name: str, sync: float, quality: float, beta: float) -> None:
    config = read_config(CONFIGS / f"{name}.toml", Wav2LipTraining)
    loop = config.loop
    assert (config.batch, config.width, config.loss.sync_below) == (16, 1.0, 0.75)
    assert (config.loss.sync, config.loss.quality) == (sync, quality)
    assert (loop.learning_rate, loop.betas, loop.schedule) == (1e-4, (beta, 0.999), "constant")
    assert (loop.weight_decay, loop.ema, loop.warmup, loop.evaluate_every) == (0.0, 0.0, 0, 3000)


def test_a_narrow_generator_keeps_every_key_and_scales_what_it_weighs() -> None:
    with torch.device("meta"):
        stock, half = Wav2Lip(), Wav2Lip(0.5)
    assert half.state_dict().keys() == stock.state_dict().keys()
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (half, stock)]
    assert sizes[0] / sizes[1] == pytest.approx(0.25, abs=0.01)


def test_weights_that_leave_nothing_for_l1_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave nothing for L1"):
        read_config(CONFIGS / "wav2lip.toml", Wav2LipTraining, ["loss.sync=0.6", "loss.quality=0.4"])
