"""Sizes of experts, and the part of a face that they see."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from values import not_none

from models.errors import ModelError
from models.expert.contract import ExpertConfig, config_of, cut_sound, lower_faces, region_px, stack_frames
from models.expert.network import SyncNet, see

NARROW = 0.02  # 8 to 16 channels


def smooth_crops(frames: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return pictures without fine grain, in which the ways to shrink agree."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(2 * np.pi * (fx * x + fy * y + phase)) for fx, fy, phase in rng.uniform(0, 2, (frames * 3, 3))]
    planes = np.array(waves).reshape(frames, 3, size, size)
    return np.clip(127.5 + 120 * planes.transpose(0, 2, 3, 1), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("frames", "columns"), [(5, 16), (3, 10), (1, 3)])
def test_every_number_of_frames_hears_its_own_columns_with_the_same_weights(frames: int, columns: int) -> None:
    config = ExpertConfig(frames, NARROW)
    assert config.window.columns == columns and config.window.offset_ms == 0.0
    network = SyncNet(config)
    audio, video = network(torch.randn(2, 1, 80, columns), torch.rand(2, 3 * frames, 48, 96))
    assert audio.shape == video.shape == (2, config.embedding)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    five = {key: value.shape for key, value in SyncNet(ExpertConfig(5, NARROW)).state_dict().items()}
    assert {key for key in shapes if shapes[key] != five[key]} <= {"face_encoder.0.conv_block.0.weight"}


def test_width_scales_channels_in_eights() -> None:
    assert [ExpertConfig(width=width).embedding for width in (1.0, 0.25, 0.3, 0.001)] == [512, 128, 152, 8]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("frames", lambda: ExpertConfig(frames=2)),
        ("width", lambda: ExpertConfig(width=0.0)),
        ("region", lambda: ExpertConfig(region=(0.5, 0.0, 0.5, 1.0))),
        ("region", lambda: ExpertConfig(region=(0.0, 0.5, 1.1, 1.0))),
    ],
)
def test_impossible_sizes_are_refused(field: str, wrong: Callable[[], ExpertConfig]) -> None:
    with pytest.raises(ValueError, match=field):
        wrong()


def test_config_survives_metadata_and_a_public_file_has_the_default() -> None:
    config = ExpertConfig(3, 0.25, (0.0, 0.5, 1.0, 1.0))
    assert config_of(config.metadata()) == config
    assert config_of({}) == ExpertConfig()
    for damaged in ("", "[]", '{"frames": 5}', '{"frames": 4, "width": 1, "region": [0, 0, 1, 1]}'):
        with pytest.raises(ModelError, match="export the expert again"):
            config_of({"lipline.expert": damaged})


@pytest.mark.parametrize(("size", "levels"), [(96, 1), (128, 1), (256, 3)])
def test_torch_sees_what_the_runtime_sees(size: int, levels: int) -> None:
    config, crops = ExpertConfig(), smooth_crops(5, size)
    faces = lower_faces(crops, config)
    assert faces.shape == (5, 48, 96, 3)
    stacked = stack_frames(faces, np.array([0]), 5)
    tensor = torch.from_numpy(crops).permute(0, 3, 1, 2)[None].float() / 255.0
    seen = see(tensor.requires_grad_(), config)
    assert np.abs(seen.detach().numpy() - stacked).max() * 255.0 <= levels
    seen.sum().backward()
    touched = not_none(tensor.grad)[0, 0, 0] != 0
    left, top, right, bottom = region_px(config, size)
    assert touched[top:bottom, left:right].any() and touched.sum() == touched[top:bottom, left:right].sum()


def test_windows_stack_frames_in_time_and_cut_their_own_sound() -> None:
    config = ExpertConfig(3, NARROW)
    faces = np.zeros((6, 48, 96, 3), dtype=np.uint8)
    faces += (np.arange(6)[:, None, None, None] * 10 + np.arange(3)).astype(np.uint8)
    planes = stack_frames(faces, np.array([1, 3]), 3)[:, :, 0, 0] * 255.0
    np.testing.assert_allclose(planes, [[10, 11, 12, 20, 21, 22, 30, 31, 32], [30, 31, 32, 40, 41, 42, 50, 51, 52]])
    mel = np.tile(np.arange(20, dtype=np.float32), (80, 1))
    sound = cut_sound(mel, np.array([0, 2, 5]), config)
    assert sound.shape == (3, 1, 80, 10)
    # 40 ms are 3.2 columns; what lies past the end is silence.
    assert sound[:, 0, 0, 0].tolist() == [0.0, 6.0, 16.0]
    assert sound[2, 0, 0].tolist() == [16.0, 17.0, 18.0, 19.0] + [-4.0] * 6
