"""The expert at run time, and the lip-sync error it measures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_generators import write_slicer

from models.catalog import open_generator
from models.errors import ModelError
from models.expert.contract import ExpertConfig, cut_sound, lower_faces, stack_frames
from models.expert.network import SyncNet
from models.expert.onnx import Expert, lse
from models.onnx.contract import SYNCNET
from models.onnx.export import export_onnx


def random_network(config: ExpertConfig) -> SyncNet:
    torch.manual_seed(3)
    network = SyncNet(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.6)
    return network.eval()


@pytest.fixture(scope="module", params=[5, 1])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SyncNet, Path]:
    config = ExpertConfig(request.param, 0.03)
    network, path = random_network(config), tmp_path_factory.mktemp("expert") / "tiny.onnx"
    assert export_onnx(network, config.contract(), path, config.metadata()) <= 1e-4
    return network, path


def test_embeds_every_window_as_torch_does(exported: tuple[SyncNet, Path]) -> None:
    network, path = exported
    config, rng = network.config, np.random.default_rng(1)
    expert = Expert.open(path)
    assert (expert.frames, expert.columns, expert.config) == (config.frames, config.window.columns, config)
    crops = rng.integers(0, 256, (72, 128, 128, 3), dtype=np.uint8)
    mel = rng.uniform(-4, 4, (80, 230)).astype(np.float32)
    video, audio = expert.embed(crops, mel)
    windows = 72 - config.frames + 1
    assert video.shape == audio.shape == (windows, config.embedding)
    starts = np.array([0, 66, windows - 1])
    with torch.no_grad():
        heard, seen = network(
            torch.from_numpy(cut_sound(mel, starts, config)),
            torch.from_numpy(stack_frames(lower_faces(crops, config), starts, config.frames)),
        )
    np.testing.assert_allclose(video[starts], seen.numpy(), atol=1e-4)
    np.testing.assert_allclose(audio[starts], heard.numpy(), atol=1e-4)
    with pytest.raises(ValueError, match="give a longer clip"):
        expert.embed(crops[: config.frames - 1], mel)


def test_a_converted_public_expert_needs_no_config(tmp_path: Path) -> None:
    small = ExpertConfig(width=0.03)
    export_onnx(random_network(small), small.contract(), tmp_path / "public.onnx")
    assert Expert.open(tmp_path / "public.onnx").config == ExpertConfig()
    assert ExpertConfig().contract() == SYNCNET


def test_what_is_no_expert_is_refused_by_name(tmp_path: Path, exported: tuple[SyncNet, Path]) -> None:
    with pytest.raises(ModelError, match=r"generator\.onnx: it is no lip-sync expert"):
        Expert.open(write_slicer(tmp_path / "generator.onnx"))
    with pytest.raises(ModelError, match="is not a file"):
        Expert.open(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="judges lips and makes none"):
        open_generator(exported[1])


def planted(late: int, windows: int = 60, noise: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return embeddings whose picture comes `late` frames after the sound."""
    rng = np.random.default_rng(5)
    sounds = np.abs(rng.normal(size=(windows + 40, 32)))
    mouths = np.abs(sounds + noise * rng.normal(size=sounds.shape))
    pair = (mouths[20 - late : 20 - late + windows], sounds[20 : 20 + windows])
    video, audio = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in pair)
    return video.astype(np.float32), audio.astype(np.float32)


@pytest.mark.parametrize("late", [-15, -3, 0, 4, 15])
def test_lse_finds_the_offset(late: int) -> None:
    found = lse(*planted(late))
    assert found.offset_frames == late
    assert found.distance == pytest.approx(0.0, abs=1e-6)
    # Every other offset pairs random vectors, whose distance is the confidence.
    video, audio = planted(20)
    assert found.confidence == pytest.approx(float(np.linalg.norm(video - audio, axis=1).mean()), rel=0.05)


def test_lse_worsens_with_noise_and_is_weak_for_strangers() -> None:
    clean, noisy = lse(*planted(0, noise=0.2)), lse(*planted(0, noise=1.0))
    assert clean.distance < noisy.distance and clean.confidence > noisy.confidence > 0.05
    # 20 frames late is further than offsets are tried.
    assert lse(*planted(20)).confidence < 0.05


def test_lse_needs_more_windows_than_its_reach() -> None:
    video, audio = planted(0, windows=15)
    with pytest.raises(ValueError, match="15 windows are too few"):
        lse(video, audio)
    assert lse(video, audio, reach=5).offset_frames == 0
