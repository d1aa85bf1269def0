"""What the expert's trainer draws: windows, pairs and their kinds, views of a face."""

import numpy as np
import pytest
import torch
from spoken_bars import bar_clip

from models.expert.contract import ExpertConfig, cut_sound, lower_faces
from train.expert.config import AugmentConfig, PairsConfig
from train.expert.pairs import IN_SYNC, KINDS, SILENT, draw_batch, draw_starts, relate
from train.expert.windows import draw_view, look, measures

PLAIN = AugmentConfig(scale=0, shift=0, turn=0, mirror=0, light=0, sound=0)
HARD, NEAR, SAME, SPEAKER, OTHER = (1 + KINDS.index(kind) for kind in ("hard", "near", "same", "speaker", "other"))


def test_kinds_of_pairs_by_hand() -> None:
    places = np.array([(0, 0), (0, 2), (0, 6), (1, 0), (2, 9), (2, 12), (2, 40), (2, 9)])
    people = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    silent = np.array([False, False, False, False, False, True, True, False])
    codes = relate(places, people, silent)
    assert codes[0].tolist() == [IN_SYNC, HARD, SAME, SPEAKER, OTHER, OTHER, OTHER, OTHER]
    assert codes[1, 2] == NEAR
    # A silent mouth is told from speech, but neither from its own silence nor from another.
    assert codes[4, 5] == NEAR and codes[5, 5] == codes[5, 6] == codes[6, 6] == SILENT
    assert codes[4, 7] == SILENT, "the same moment twice"
    assert (codes == codes.T).all()


def test_starts_are_different_moments_some_close_together() -> None:
    clip, pairs = bar_clip("anna", seed=1, frames=60), PairsConfig(windows=4, within=6, silent=0.0)
    rng = np.random.default_rng(0)
    drawn = [draw_starts(clip, 5, pairs, rng) for _ in range(100)]
    for starts in drawn:
        assert len(set(starts)) == 4 and min(starts) >= 0 and max(starts) <= 55
        assert abs(starts[1] - starts[0]) <= 6 and abs(starts[3] - starts[2]) <= 6
        assert all(clip.speech[start : start + 5].any() for start in starts)
    assert len({tuple(starts) for starts in drawn}) > 90


def test_a_clip_of_one_window_still_gives_its_share() -> None:
    assert draw_starts(bar_clip("anna", frames=5), 5, PairsConfig(windows=3), np.random.default_rng(0)).tolist() == [
        0,
        0,
        0,
    ]


def test_plain_windows_are_what_the_runtime_cuts() -> None:
    expert, clip = ExpertConfig(3, 0.02), bar_clip("anna", seed=3, frames=40)
    pairs = PairsConfig(clips=2, windows=3)
    batch = draw_batch([clip], expert, pairs, PLAIN, np.random.default_rng(4))
    assert batch["face"].shape == (3, 9, 48, 96) and batch["face"].dtype == torch.uint8
    assert batch["kinds"].shape == (3, 3) and batch["measures"].shape == (3, 9)
    faces = lower_faces(clip.crops, expert).transpose(0, 3, 1, 2).astype(int)
    for face, sound, told in zip(batch["face"].numpy(), batch["mel"].numpy(), batch["measures"].numpy(), strict=True):
        starts = np.arange(38)
        heard = [np.array_equal(sound, other) for other in cut_sound(clip.mel, starts, expert)]
        (start,) = np.flatnonzero(heard)
        assert np.abs(faces[start : start + 3].reshape(9, 48, 96) - face).max() <= 2
        np.testing.assert_array_equal(told, measures(clip)[start : start + 3].reshape(-1))


def test_batches_depend_on_the_generator_alone() -> None:
    clips = [bar_clip(name, seed=seed) for seed, name in enumerate(("anna", "anna", "ben"))]
    one, again, other = (
        draw_batch(clips, ExpertConfig(1, 0.02), PairsConfig(clips=3), AugmentConfig(), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["face"], other["face"]) and not torch.equal(one["mel"], other["mel"])


def test_views_mirror_and_shift_all_frames_alike() -> None:
    expert, rng = ExpertConfig(5, 0.02), np.random.default_rng(2)
    crops = bar_clip("anna", frames=5).crops
    plain = look(crops, draw_view(expert, PLAIN, 128, rng))
    mirrored = look(crops, draw_view(expert, PLAIN.model_copy(update={"mirror": 1.0}), 128, rng))
    np.testing.assert_allclose(mirrored[:, :, ::-1].astype(int), plain.astype(int), atol=2)
    varied = AugmentConfig(light=1.0)
    views = [look(np.repeat(crops[:1], 5, 0), draw_view(expert, varied, 128, rng)) for _ in range(2)]
    for view in views:
        assert (view.reshape(5, 3, 48, 96) == view[None, :3]).all()
    assert (views[0] != views[1]).mean() > 0.5


def test_no_clip_long_enough_is_said() -> None:
    with pytest.raises(ValueError, match="prepare longer videos"):
        draw_batch([bar_clip("anna", frames=4)], ExpertConfig(5), PairsConfig(), PLAIN, np.random.default_rng(0))
