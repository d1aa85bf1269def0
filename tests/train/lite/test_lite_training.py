"""Lite's two stages learn what is planted, and the command writes a generator that runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ears_files import ears_bytes
from numpy.typing import NDArray

from models.catalog import open_generator
from models.ears.onnx import Ears
from models.expert.contract import ExpertConfig
from models.expert.network import SyncNet
from models.generator import FaceImage
from models.lite.contract import LiteConfig
from models.lite.export import load_lite
from models.lite.network import Lite
from models.lite.painter import Drawing
from models.lite.voice import VoiceNetwork
from models.onnx.export import export_onnx
from tests.train.lite.planted_mouths import TINY, as_sample, planted_clip
from train.data.clips import Clip, Split
from train.data.pool import Pool
from train.data.shards import ShardWriter
from train.ears.config import SpoiltConfig
from train.kinds import Options
from train.lite.basis import fit_basis, gap_of_basis
from train.lite.command import make_judge, run
from train.lite.config import LiteTraining, ModelConfig, PictureConfig, PictureLoss, VoiceLoss, VoiceTrainingConfig
from train.lite.heard import ClipHearing
from train.lite.lip_gap import measure
from train.lite.picture import PictureTask, region_of
from train.lite.sync import SyncJudge
from train.lite.voice import GAIN_MOST, VoiceAndCurves, VoiceTask, set_gain, set_range
from train.lite.voicefile import save_voice
from train.loop.loop import train_task
from train.loop.trainer import LoopConfig

# The planted crops are noise: what can be learned of them is to mix sources, which edges and detail speak against.
LEARNABLE = {"edges": 0.1, "sharpness": 0.001, "structure": 0.01, "quality": 0.01, "stay": 0.0, "choice": 0.0}
QUIET = SpoiltConfig(room=0.0, microphone=0.0, noise=0.0, codec=0.0, gain_db=3.0, voice=1.0)
EVERYTHING = PictureLoss(sharpness=0.1, structure=0.1, quality=0.1, temporal=0.1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, "planted") as writer:
        for seed in range(3):
            writer.write(as_sample(planted_clip(f"c{seed}", seed=seed)))
    return folder


@pytest.fixture
def pool(shards: Path) -> Pool:
    return Pool([shards], Split("clip", 0.0), ["train"])


def tiny_lite(pool: Pool, seed: int = 0) -> Lite:
    torch.manual_seed(seed)
    lite = Lite(replace(ModelConfig(**TINY).lite, heard=64))
    lite.basis_BV.copy_(torch.from_numpy(fit_basis(pool.at(0), 3)))
    return lite


def loop(steps: int, rate: float) -> LoopConfig:
    return LoopConfig(steps=steps, learning_rate=rate, ema=0.9, evaluate_every=steps)


def test_the_voice_learns_a_planted_relation_and_its_gain(pool: Pool, tmp_path: Path) -> None:
    lite, new = tiny_lite(pool, seed=1), [planted_clip("new", seed=9)]
    config = VoiceTrainingConfig(batch=8, frames=8, loop=loop(150, 1e-3), loss=VoiceLoss(correlation=2.0))
    hearing = ClipHearing.of(Ears(ears_bytes()), lite.config, QUIET)
    set_range(lite.voice, pool.at(0), hearing)
    task = VoiceTask(lite, pool, pool.at(0), new, config, hearing)
    before = measure(lite.voice.eval(), new, lite.basis_BV.numpy(), hearing)
    trained = train_task(task, config.loop, tmp_path, Options(report=lambda line: None))
    assert isinstance(trained, VoiceAndCurves)
    lite.voice.load_state_dict(trained.voice.state_dict())
    set_gain(lite.eval(), pool.at(0), hearing)
    after = measure(lite.voice, new, lite.basis_BV.numpy(), hearing)
    assert after.correlation > max(0.5, before.correlation + 0.2)
    assert after.loudness > 0.8
    assert 0.4 < after.spread < 1.6
    assert 1.0 <= float(lite.voice.gain.min()) <= float(lite.voice.gain.max()) <= GAIN_MOST
    trained.voice.gain.copy_(lite.voice.gain)
    assert task.evaluate(trained.eval()).figures["correlation"] == pytest.approx(after.correlation)


@pytest.mark.parametrize("late_frames", [2, -1])
def test_a_prediction_that_lags_is_told_by_how_much(late_frames: int) -> None:
    clip = planted_clip(seed=4)
    basis = fit_basis([clip], 1)

    class Told(ClipHearing):
        """Hear the opening of `late_frames` before."""

        def windows(self, clip: Clip, frames: NDArray[np.int64], rendition: int = 0) -> NDArray[np.float32]:
            told = np.interp(frames - late_frames, np.arange(len(clip)), clip.gaps).astype(np.float32)
            return told[:, None, None]

    class Reader(VoiceNetwork):
        """Say what was heard."""

        def forward(self, heard_NRC: torch.Tensor) -> torch.Tensor:
            return heard_NRC[:, :, 0] * float(np.sign(gap_of_basis(basis)[0]))

    config = LiteConfig(coefficients=1, heard=64)
    heard = measure(Reader(config).eval(), [clip], basis, Told.of(Ears(ears_bytes()), config))
    assert heard.lag_ms == 40.0 * late_frames


def test_a_perfect_picture_costs_less_than_a_shifted_one(pool: Pool) -> None:
    lite = tiny_lite(pool)
    task = PictureTask(lite.painter, pool, [], PictureConfig(loss=PictureLoss(sharpness=0.1, structure=0.1)))
    shape = torch.from_numpy(pool.at(0)[0].shapes[:1])
    height, width = lite.config.region_hw
    weights = torch.zeros(1, 4, height // 2, width // 2)
    weights[:, 0] = 1.0
    still, nothing = torch.zeros(1, 4, 2, height // 2, width // 2), torch.zeros(1, 3, height // 2, width // 2)
    drawing = Drawing(still, weights, nothing)
    truth = torch.rand(1, 1, 3, height, width)
    perfect = task._parts(drawing, shape, truth, truth)
    shifted = task._parts(drawing, shape, truth.roll(2, -1), truth)
    for name in ("pixels", "edges", "structure"):
        assert float(perfect[name]) == pytest.approx(0.0, abs=1e-5)
        assert float(shifted[name]) > 0.05
    assert float(perfect["stay"]) == 0.0


def test_the_pictures_learn_with_every_loss_and_leave_the_voice_alone(pool: Pool, tmp_path: Path) -> None:
    lite = tiny_lite(pool)
    config = PictureConfig(batch=2, frames=2, loop=loop(24, 2e-3), loss=EVERYTHING.model_copy(update=LEARNABLE))
    task = PictureTask(lite.painter, pool, pool.at(0), config)
    assert list(task.networks) == ["model", "discriminator"]
    batch = task.batch(0, 0, 1)
    losses = task.losses("model", task.networks, batch)
    weighted = sum(
        getattr(config.loss, name) * float(value.detach()) for name, value in losses.items() if name != "loss"
    )
    assert float(losses["loss"].detach()) == pytest.approx(weighted, rel=1e-4)
    voice = {name: value.clone() for name, value in lite.voice.state_dict().items()}
    before = float(losses["pixels"].detach())
    painter = train_task(task, config.loop, tmp_path, Options(report=lambda line: None))
    with torch.no_grad():
        assert float(task.losses("model", {**task.networks, "model": painter}, batch)["pixels"]) < before
    assert all(torch.equal(value, lite.voice.state_dict()[name]) for name, value in voice.items())
    seen = task.evaluate(painter)
    assert set(seen.figures) == {"lips L1", "sharpness"}
    (rows,) = seen.pictures.values()
    assert rows.shape[1:] == (3, lite.config.region_hw[0], 3 * lite.config.region_hw[1])


def test_the_region_is_cut_where_the_contract_says() -> None:
    config = ModelConfig().lite
    left, top, right, bottom = config.region
    pictures = torch.arange(128 * 128.0).reshape(1, 1, 128, 128)
    assert torch.equal(region_of(pictures, config), pictures[..., top:bottom, left:right])


def test_the_command_trains_resumes_and_writes_a_generator(shards: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[data]\nby = 'clip'\ntest = 0.0\n[model]\nwidth = 8\ncoefficients = 3\nfeatures = 6\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 2\n[picture]\nbatch = 1\n[picture.loop]\nsteps = 2\n"
    )
    lines: list[str] = []
    out = tmp_path / "lite.onnx"
    options = Options(report=lines.append)
    assert run(config, [shards], tmp_path / "run", out, options) == 0
    assert any(line.startswith("wrote lite.onnx") for line in lines)
    first = load_lite(out).state_dict()
    assert run(config, [shards], tmp_path / "run", out, options) == 0
    assert all(torch.equal(value, load_lite(out).state_dict()[name]) for name, value in first.items())
    generator = open_generator(out)
    landmarks = planted_clip().landmarks[0]
    landmarks[[33, 263]] = [[35, 31], [93, 31]]
    source = generator.prepare(FaceImage(planted_clip().crops[0], landmarks))
    patch = generator.generate(np.repeat(generator.hearing.silence, generator.hearing.columns, 1), source, [source])
    assert patch.image.dtype == np.uint8


def test_stages_can_be_trained_apart_and_joined(shards: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[data]\nby = 'clip'\ntest = 0.0\n[model]\nwidth = 8\ncoefficients = 3\nfeatures = 6\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 2\n[picture]\nbatch = 1\n[picture.loop]\nsteps = 2\n"
    )
    quiet: dict[str, Any] = {"report": lambda line: None}
    for stage in ("picture", "voice"):
        torch.manual_seed(1)
        options = Options(changes=(f"stages=['{stage}']",), **quiet)
        run(config, [shards], tmp_path / "apart", tmp_path / "x.onnx", options)
    run(config, [shards], tmp_path / "apart", tmp_path / "apart.onnx", Options(**quiet))
    torch.manual_seed(1)
    run(config, [shards], tmp_path / "together", tmp_path / "together.onnx", Options(**quiet))
    apart, together = (load_lite(tmp_path / f"{name}.onnx").state_dict() for name in ("apart", "together"))
    for name in together:
        if not name.startswith("painter"):
            assert torch.equal(apart[name], together[name]), name


def test_a_voice_that_was_trained_with_its_ears_is_taken_as_it_is_or_gone_on_from(shards: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[data]\nby = 'clip'\ntest = 0.0\n[model]\nwidth = 8\ncoefficients = 3\nfeatures = 6\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 2\n[picture]\nbatch = 1\n[picture.loop]\nsteps = 2\n"
    )
    sizes = LiteConfig(coefficients=3)
    voice, basis = VoiceNetwork(sizes), torch.linalg.qr(torch.randn(110, 3))[0].T
    start = tmp_path / "ears.voice.pt"
    save_voice(voice, basis, sizes, start)
    made = {}
    for stages in ("['picture']", "['voice', 'picture']"):
        options = Options(changes=(f"voice.start='{start}'", f"stages={stages}"), report=lambda line: None)
        run(config, [shards], tmp_path / stages, tmp_path / "lite.onnx", options)
        made[stages] = load_lite(tmp_path / "lite.onnx")
    taken, trained = made.values()
    torch.testing.assert_close(taken.basis_BV, basis)
    torch.testing.assert_close(taken.voice.last.weight, voice.last.weight.detach())
    apart = (trained.voice.last.weight - voice.last.weight).detach().abs().max()
    assert 0.0 < apart < 0.01, "two steps from where it began"
    assert taken.config.opening == pytest.approx(trained.config.opening) and taken.config.opening > 0.0


def test_the_sync_loss_sees_the_made_mouth_and_hears_its_window(pool: Pool) -> None:
    lite = tiny_lite(pool)
    # Wide enough that an untrained one's rectified embeddings are not orthogonal, where there is no gradient.
    judge = SyncJudge(SyncNet(ExpertConfig(frames=3, width=0.1)), lite.config)
    loss = PictureLoss(sync=0.1, sync_after=0.5)
    task = PictureTask(lite.painter, pool, [], PictureConfig(batch=2, frames=3, loop=loop(10, 1e-3), loss=loss), judge)
    assert "mel" not in task.batch(4, 0, 1)
    batch = task.batch(5, 0, 1)
    clip, first = pool.at(0)[int(batch["index"][0])], int(batch["first"][0])
    assert torch.equal(batch["mel"][0, 0], torch.from_numpy(judge.window.cut(clip.mel, first * 40.0)))
    assert "sync" in task.losses("model", task.networks, batch)
    batch["speech"][:] = True
    made = region_of(batch["targets"], lite.config).clone().requires_grad_()
    judge(made, batch).backward()
    assert made.grad is not None and float(made.grad.abs().sum()) > 0.0


def test_a_sync_loss_wants_windows_as_long_as_its_expert_judges(tmp_path: Path) -> None:
    torch.manual_seed(0)
    expert = SyncNet(ExpertConfig(frames=3, width=0.02))
    export_onnx(expert, expert.config.contract(), tmp_path / "expert.onnx", expert.config.metadata())
    picture = PictureConfig(frames=5, expert=tmp_path / "expert.onnx", loss=PictureLoss(sync=0.1))
    with pytest.raises(ValueError, match=r"picture\.frames=3"):
        make_judge(LiteTraining(picture=picture), Lite(replace(ModelConfig(**TINY).lite, heard=64)))
    assert make_judge(LiteTraining(), Lite(replace(ModelConfig(**TINY).lite, heard=64))) is None
