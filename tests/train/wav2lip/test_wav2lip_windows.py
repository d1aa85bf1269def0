"""What Wav2Lip learns from: masked targets, references from elsewhere, aligned mel, boxes that tell nothing."""

import numpy as np
import pytest
import torch
from wav2lip_clips import landmarks, planted_clip, planted_mel, tiny_expert

from models.expert.network import see
from models.generator import FaceImage
from models.landmarks import box_matrix
from models.wav2lip.onnx import Wav2LipGenerator
from train.data.clips import Clip
from train.wav2lip.paste import paste
from train.wav2lip.windows import FEWEST, FRAMES, cut_box, draw_windows, last_start, pick_starts, window_box


def numbered_clip(frames: int = 40) -> Clip:
    """Return a clip whose crops are as bright as their number and whose mel columns hold theirs."""
    clip = planted_clip(frames=frames)
    crops = np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], clip.crops.shape).copy()
    numbered = Clip("n", "someone", "n", crops, clip.landmarks, clip.samples)
    return planted_mel(numbered, np.arange(1 + len(clip.samples) // 200, dtype=np.float32))


def test_the_lower_half_of_the_target_is_hidden_and_nothing_else() -> None:
    batch = draw_windows(
        [planted_clip(seed=seed) for seed in range(3)], 4, tiny_expert().config, np.random.default_rng(0)
    )
    face, truth = batch["face"], batch["truth"]
    assert face.shape == (4, 6, 5, 96, 96) and truth.shape == (4, 3, 5, 96, 96)
    assert not face[:, :3, :, 48:].any()
    assert torch.equal(face[:, :3, :, :48], truth[:, :, :, :48])
    assert bool(face[:, 3:, :, 48:].any()) and not torch.equal(face[:, 3:], truth)


def test_two_mouths_that_differ_in_the_target_alone_look_the_same_to_the_network() -> None:
    clip = planted_clip(frames=30)
    replayed = np.random.default_rng(9)
    replayed.choice(1, 1, p=[1.0])
    target, _ = pick_starts(clip, replayed)
    crops, points = clip.crops.copy(), clip.landmarks.copy()
    # Another mouth and a chin much lower, in the target's frames.
    crops[target : target + FRAMES, 70:] = 7
    points[target : target + FRAMES] = landmarks(1.0)
    other = Clip("b", "someone", "b", crops, points, clip.samples)
    one, two = (draw_windows([c], 1, tiny_expert().config, np.random.default_rng(9)) for c in (clip, other))
    assert torch.equal(one["face"], two["face"]) and torch.equal(one["boxes"], two["boxes"])
    assert float((one["truth"].float() - two["truth"].float()).abs().mean()) > 5.0


@pytest.mark.parametrize("frames", [FEWEST, 17, 25, 60])
def test_windows_lie_in_the_clip_and_never_share_a_frame(frames: int) -> None:
    clip, rng = planted_clip(frames=frames), np.random.default_rng(0)
    pairs = [pick_starts(clip, rng) for _ in range(400)]
    targets, references = {target for target, _ in pairs}, {reference for _, reference in pairs}
    assert all(abs(target - reference) >= FRAMES for target, reference in pairs)
    assert targets == set(range(1, last_start(clip) + 1))
    assert min(references) >= 0 and max(references) == frames - FRAMES
    # The last target's mel ends with the clip's: 3 frames more would not be there.
    assert last_start(clip) + FRAMES - 1 + 3 <= frames


def test_sound_is_cut_in_training_alignment() -> None:
    clip, expert = numbered_clip(), tiny_expert().config
    batch = draw_windows([clip], 60, expert, np.random.default_rng(1))
    for mel, truth, sound in zip(batch["mel"], batch["truth"], batch["sound"], strict=True):
        for frame in range(FRAMES):
            number = int(truth[0, frame, 50, 50])
            first = int(80 * (number - 1) / 25)
            assert mel[frame, 0, 17].tolist() == list(range(first, first + 16))
        start = int(truth[0, 0, 50, 50])
        assert sound.shape == (1, 1, 80, 16)
        assert sound[0, 0, 0].tolist() == list(range(int(80 * start / 25), int(80 * start / 25) + 16))
    # The published table: frame 1 begins at column 0, then 3, 6, 9, 12.
    starts = {
        int(truth[0, 0, 50, 50]): mel[:, 0, 0, 0].tolist()
        for mel, truth in zip(batch["mel"], batch["truth"], strict=True)
    }
    assert starts[1] == [0, 3, 6, 9, 12]


def test_an_expert_of_fewer_frames_judges_every_window_of_them() -> None:
    clip = numbered_clip()
    batch = draw_windows([clip], 2, tiny_expert(3).config, np.random.default_rng(1))
    assert batch["sound"].shape == (2, 3, 1, 80, 10) and batch["speech"].shape == (2, 3)
    start = int(batch["truth"][0, 0, 0, 50, 50])
    assert batch["sound"][0, :, 0, 0, 0].tolist() == [int(3.2 * (start + shift)) for shift in range(3)]


def test_short_clips_are_passed_over_and_refused_when_there_is_nothing_else() -> None:
    short, long = planted_clip("short", frames=FEWEST - 1), planted_clip("long", frames=30, size=64)
    batch = draw_windows([short, long], 6, tiny_expert().config, np.random.default_rng(0))
    assert batch["crops"].shape == (6, 5, 3, 64, 64)
    with pytest.raises(ValueError, match="no clip has 16 frames"):
        draw_windows([short], 2, tiny_expert().config, np.random.default_rng(0))


def test_windows_of_silence_are_marked() -> None:
    clip = planted_clip(frames=60)
    loud = np.full(193, -4.0, dtype=np.float32)
    loud[100:140] = 2.0
    batch = draw_windows([planted_mel(clip, loud)], 40, tiny_expert().config, np.random.default_rng(0))
    speaks = batch["sound"].amax(dim=(2, 3, 4))[:, 0] > 0
    assert bool(speaks.any()) and not bool(speaks.all())
    assert torch.equal(batch["speech"][:, 0], speaks)


def test_the_box_is_cut_as_at_run_time() -> None:
    clip = planted_clip()
    points = clip.landmarks[4]
    still = Clip("s", "someone", "s", clip.crops, np.repeat(points[None], len(clip), 0), clip.samples)
    box = window_box(still, 3)
    np.testing.assert_allclose(box, box_matrix(points, 96), atol=1e-3)
    told = Wav2LipGenerator.prepare(object.__new__(Wav2LipGenerator), FaceImage(clip.crops[4], points)).planes[0]
    np.testing.assert_allclose(cut_box(clip.crops[4:5], box)[:, 0] / 255.0, told[3:], atol=2 / 255)


def test_a_real_box_pasted_back_is_the_crop_and_nothing_else_is_touched() -> None:
    clip = planted_clip()
    batch = draw_windows([clip], 3, tiny_expert().config, np.random.default_rng(0))
    crops, made = batch["crops"] / 255.0, batch["truth"].transpose(1, 2) / 255.0
    pasted = paste(made, crops, batch["boxes"])
    assert pasted.shape == crops.shape
    assert float((pasted - crops).abs().mean()) < 0.01
    black = paste(torch.zeros_like(made), crops, batch["boxes"])
    changed = (black != crops).any(dim=2)
    rows, columns = changed[0, 0].any(1).nonzero().flatten(), changed[0, 0].any(0).nonzero().flatten()
    (left, top), scale = batch["boxes"][0, :, 2].tolist(), batch["boxes"][0].diagonal().tolist()
    # Rows from the box's middle to its end; columns from side to side.
    expected = [(47.5 - top) / scale[1], (95.5 - top) / scale[1], (-0.5 - left) / scale[0], (95.5 - left) / scale[0]]
    found = [int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])]
    assert np.allclose(found, expected, atol=1.01)
    assert torch.equal(black[~changed[:, :, None].expand_as(black)], crops[~changed[:, :, None].expand_as(crops)])


def test_gradients_of_what_the_expert_sees_reach_the_lower_half_alone() -> None:
    expert = tiny_expert().config
    batch = draw_windows([planted_clip()], 2, expert, np.random.default_rng(0))
    made = (batch["truth"].transpose(1, 2) / 255.0).requires_grad_()
    seen = see(paste(made, batch["crops"] / 255.0, batch["boxes"]), expert)
    seen.sum().backward()
    assert made.grad is not None and bool((made.grad[..., 60:80, 30:60] != 0).all())
    # One row above the middle lends half a pixel to what lies on the edge.
    assert not bool(made.grad[..., :47, :].any())
