"""The near-voice network: a file of it, asked column by column, says what torch says of the whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.catalog import NEAR, WEIGHTS, bundled_models
from models.errors import ModelError
from models.near.network import AHEAD, NearNet
from models.near.onnx import NearVoice
from models.onnx.export import export_onnx
from realtime.speech import voice


def test_column_by_column_it_hears_what_torch_hears_in_one_go(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = NearNet(hidden=16, front=12).eval()
    export_onnx(network, network.contract(), tmp_path / "own.onnx")
    rng = np.random.default_rng(0)
    mel, voice = rng.uniform(-4.0, 1.0, (60, 80)).astype(np.float32), rng.random(60).astype(np.float32)
    with torch.no_grad():
        whole = torch.sigmoid(network.heard(torch.from_numpy(mel)[None], torch.from_numpy(voice)[None]))[0]
    near = NearVoice(tmp_path / "own.onnx")
    steps = [near.push(column, float(one)) for column, one in zip(mel, voice, strict=True)]
    np.testing.assert_allclose(steps, whole.numpy(), atol=1e-5)


def test_the_bundled_one_is_small_and_no_generator() -> None:
    assert (WEIGHTS / f"{NEAR}.onnx").stat().st_size <= 200_000
    assert NEAR not in bundled_models()
    near, silence = NearVoice(), np.full(80, -4.0, np.float32)
    assert 0.0 <= [near.push(silence, 0.0) for _ in range(20)][-1] < 0.05


def test_calls_wait_for_as_much_sound_as_it_was_trained_with() -> None:
    assert voice.AHEAD == AHEAD


def test_other_networks_are_refused() -> None:
    with pytest.raises(ModelError, match="lipline train near"):
        NearVoice(WEIGHTS / "expert.onnx")
