"""The hearing network in torch: a stream with a bounded state that never looks ahead."""

import pytest
import torch
from ears_files import TINY, random_ears
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ears.contract import EarsConfig
from models.ears.logmel import FLOOR
from models.onnx.export import TOLERANCE

TWO = EarsConfig(layers=2, width=64, heads=1, past=4)
FRAMES = 40


def some_mel(frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 80, 2 * frames + 3, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def hear(config: EarsConfig, mel: torch.Tensor, sizes: tuple[int, ...] = (FRAMES,)) -> torch.Tensor:
    ears = random_ears(config)
    state, heard, at = ears.silence(FLOOR)[None], [], 0
    for size in sizes:
        frames, state = ears(mel[..., 2 * at : 2 * (at + size) + 3], state)
        heard.append(frames)
        at += size
    return torch.cat(heard, 1)[0]


def changed(before: torch.Tensor, after: torch.Tensor) -> list[int]:
    """Frames that differ."""
    return [at for at in range(len(before)) if not torch.allclose(before[at], after[at], atol=1e-5)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_frames_heard_in_chunks_equal_those_heard_at_once(sizes: list[int]) -> None:
    mel = some_mel(sum(sizes))
    torch.testing.assert_close(hear(TWO, mel, tuple(sizes)), hear(TWO, mel, (sum(sizes),)), atol=TOLERANCE, rtol=0.0)


@pytest.mark.parametrize("config", [TINY, TWO])
def test_a_column_reaches_no_earlier_frame_and_is_forgotten_in_time(config: EarsConfig) -> None:
    mel = some_mel()
    other = mel.clone()
    other[..., 2 * 12 : 2 * 12 + 1] += 2.0  # the first column of frame 12, the last of frame 10
    found = changed(hear(config, mel), hear(config, other))
    assert found[0] == 10 and 12 + config.past <= found[-1] <= 12 + config.layers * config.past
