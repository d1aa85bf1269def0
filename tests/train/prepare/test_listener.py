"""Who says how well a mouth and a sound belong together: a generator's hearing and voice, or a sync expert."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ears_files import random_ears
from spoken_bars import bar_sample

from models.ears.export import export_ears
from models.ears.onnx import Ears, EarsHearing
from models.errors import ModelError
from models.expert.contract import ExpertConfig
from models.expert.network import SyncNet
from models.expert.onnx import Expert
from models.lite.contract import GAP, POINTS, LiteConfig
from models.lite.export import export_lite
from models.lite.network import Lite
from models.mel import melspectrogram
from models.onnx.export import export_onnx
from tests.train.lite.planted_mouths import as_sample, planted_clip
from train.data.clips import Clip
from train.prepare.listener import ExpertListener, MouthListener, open_listener
from train.prepare.offset import curve

COLUMNS = 5


def planted_lite(path: Path, clip: Clip) -> Path:
    """Write a generator whose voice is fitted to the opening of `clip` by least squares."""
    torch.manual_seed(0)
    ears = path.with_name("ears.onnx")
    export_ears(random_ears(), ears)
    config = LiteConfig(coefficients=1, heard=64, columns=COLUMNS, hidden=64 * COLUMNS, width=8, features=4)
    lite = Lite(config).eval()
    basis = torch.zeros(len(POINTS), 2)
    basis[GAP[0], 1], basis[GAP[1], 1] = -0.5, 0.5
    lite.basis_BV.copy_(basis.reshape(1, -1))
    hearing = EarsHearing(Ears(ears), COLUMNS, config.lookahead_ms)
    heard = hearing.hear(clip.samples.astype(np.float32) / np.float32(32768.0))
    windows = np.stack([hearing.cut(heard, at * 40.0).ravel() for at in range(len(clip))])
    centred = windows - windows.mean(0)
    weight = np.linalg.solve(centred.T @ centred + 30.0 * np.eye(centred.shape[1]), centred.T @ clip.gaps)
    linear = lite.voice.body[2]
    assert isinstance(linear, torch.nn.Linear)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
        # A hidden number is rectified: far above zero it is linear.
        linear.weight[0] = torch.from_numpy(weight.astype(np.float32))
        linear.bias[0] = 50.0
        lite.voice.last.weight.zero_()
        lite.voice.last.bias.fill_(-50.0)
        lite.voice.last.weight[0, 0] = 1.0
    export_lite(lite, ears.read_bytes(), path)
    return path


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_lite(tmp_path_factory.mktemp("lite") / "lite.onnx", planted_clip(frames=400, seed=1))


@pytest.mark.parametrize("late", [0, 3, -2])
def test_a_generator_finds_by_how_much_the_picture_is_late(generator: Path, late: int) -> None:
    clip = planted_clip("new", frames=120, seed=2)
    clip.landmarks[:] = np.roll(clip.landmarks, late, 0)
    listener = open_listener(generator)
    assert isinstance(listener, MouthListener)
    seen, heard = listener.embed(as_sample(clip))
    assert seen.shape == heard.shape == (120 - 15 + 1, 15)
    lengths = np.linalg.norm(seen, axis=1)
    assert (np.isclose(lengths, 1.0) | (lengths == 0.0)).all() and lengths.mean() > 0.5
    found = curve(seen, heard)
    assert found.offset == late and found.confidence(late) > 0.2


def test_a_still_mouth_says_nothing(generator: Path) -> None:
    clip = planted_clip("still", frames=40, seed=2)
    clip.landmarks[:] = clip.landmarks[0]
    seen, heard = open_listener(generator).embed(as_sample(clip))
    assert not seen.any() and heard.any()


def test_an_expert_listens_with_its_own_embeddings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SyncNet(ExpertConfig(frames=3, width=0.02))
    path = tmp_path / "expert.onnx"
    export_onnx(network, network.config.contract(), path, network.config.metadata())
    sample = bar_sample("anna", 0)
    listener = open_listener(path)
    assert isinstance(listener, ExpertListener)
    mel = melspectrogram(sample.speech.astype(np.float32) / np.float32(32768.0))
    expected = Expert.open(path).embed(sample.crops, mel)
    for one, other in zip(listener.embed(sample), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ears.onnx"
    export_ears(random_ears(), path)
    with pytest.raises(ModelError):
        open_listener(path)
