"""What lite's trainer draws: the basis, runs of sound, targets and sources."""

import numpy as np
import pytest
import torch
from ears_files import ears_bytes

from models.alignment import SILENCE
from models.ears.onnx import Ears
from models.lite.contract import GAP, POINTS, LiteConfig
from tests.train.lite.planted_mouths import planted_clip
from train.data.augment import augment_mel
from train.ears.config import SpoiltConfig
from train.lite.basis import coefficients_of, fit_basis, gap_of_basis
from train.lite.heard import ClipHearing
from train.lite.sound import draw_runs
from train.lite.sources import draw_windows, mirrored_points, pick_sources


def test_mirroring_twice_changes_nothing_and_swaps_the_corners() -> None:
    mirror = mirrored_points()
    assert np.array_equal(mirror[mirror], np.arange(len(POINTS)))
    for left, right in ((61, 291), (78, 308), (58, 288), (146, 375), (185, 409)):
        assert POINTS[mirror[POINTS.index(left)]] == right
    for middle in (0, 17, 152):
        assert POINTS[mirror[POINTS.index(middle)]] == middle
    assert tuple(mirror[list(GAP)]) == GAP


def test_the_basis_is_orthonormal_and_holds_the_planted_motion() -> None:
    clip = planted_clip()
    basis = fit_basis([clip], 3)
    assert np.allclose(basis @ basis.T, np.eye(3), atol=1e-5)
    moves = (clip.shapes - clip.neutral).reshape(len(clip), -1)
    assert np.abs(moves - coefficients_of(clip, basis) @ basis).max() < 1e-4
    opened = coefficients_of(clip, basis) @ gap_of_basis(basis)
    assert np.corrcoef(opened, clip.gaps)[0, 1] > 0.999


def test_every_speaker_counts_the_same_in_the_basis() -> None:
    much, little = planted_clip(seed=1), planted_clip(seed=2, speaker="other")
    assert np.allclose(
        np.abs(fit_basis([much, little], 1)), np.abs(fit_basis([much, much, much, little], 1)), atol=1e-5
    )


def test_sources_never_hold_the_answer_and_go_from_closed_to_open() -> None:
    gaps, rng = planted_clip().gaps, np.random.default_rng(0)
    for first in range(0, 56, 7):
        targets = np.arange(first, first + 4)
        pose, *references = pick_sources(gaps, targets, 4, 5, rng)
        assert all(np.abs(targets - source).min() >= 5 for source in (pose, *references))
        assert list(gaps[references]) == sorted(gaps[references])


@pytest.fixture(scope="module")
def hearing() -> ClipHearing:
    return ClipHearing.of(Ears(ears_bytes()), LiteConfig(heard=64), SpoiltConfig(codec=0.0))


def test_a_run_is_one_moment_of_one_clip(hearing: ClipHearing) -> None:
    clips = [planted_clip(seed=seed, name=str(seed)) for seed in range(2)]
    basis = fit_basis(clips, 3)
    batch = draw_runs(clips, basis, hearing, 16, 3, 0.0, np.random.default_rng(0))
    assert batch["heard"].shape == (16, 3, 64, LiteConfig().columns) and batch["truth"].shape == (16, 3, 3)
    known = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(coefficients_of(clip, basis), 3, axis=0) for clip in clips]
    ).transpose(0, 2, 1)
    for run in batch["truth"].numpy():
        assert np.abs(known - run).max((1, 2)).min() < 1e-5


def test_a_clip_is_heard_as_it_was_said_and_spoilt_at_the_same_moments(hearing: ClipHearing) -> None:
    clip, frames = planted_clip(), np.arange(10, 50)
    clean, spoilt, again = (hearing.windows(clip, frames, rendition) for rendition in (0, 1, 1))
    whole = hearing.hearing.hear(clip.samples.astype(np.float32) / 32768.0)
    assert np.abs(clean[0] - hearing.hearing.cut(whole, 400.0)).max() < 2e-3  # kept in half precision
    assert np.array_equal(spoilt, again) and not np.allclose(clean, spoilt, atol=0.01)


def test_silence_is_drawn_with_a_closed_mouth(hearing: ClipHearing) -> None:
    clips = [planted_clip()]
    spoken, silent = (
        draw_runs(clips, fit_basis(clips, 3), hearing, 16, 2, share, np.random.default_rng(0)) for share in (0.0, 0.999)
    )
    assert float(silent["truth"].abs().max()) == 0.0 < float(spoken["truth"].abs().max())
    assert torch.equal(silent["heard"][0, 0], torch.from_numpy(hearing.hearing.silence).expand(-1, 11))


def test_batches_depend_on_the_generator_alone() -> None:
    clips = [planted_clip()]
    first, again = (draw_windows(clips, 3, 2, 4, 4, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_windows_show_the_clip_they_name() -> None:
    clips = [planted_clip(seed=seed, name=str(seed)) for seed in range(2)]
    batch = draw_windows(clips, 8, 3, 4, 4, np.random.default_rng(1))
    mirror = mirrored_points()
    assert batch["targets"].shape == (8, 3, 3, 128, 128) and batch["crops"].shape == (8, 4, 3, 128, 128)
    for place in range(8):
        clip, first = clips[int(batch["index"][place])], int(batch["first"][place])
        truth = clip.shapes[first : first + 3]
        if bool(batch["mirrored"][place]):
            truth = truth[:, mirror] * np.array([-1.0, 1.0], dtype=np.float32)
        assert np.allclose(batch["shapes"][place].numpy(), truth)


def test_frames_of_a_window_keep_one_exposure() -> None:
    clip = planted_clip()
    clip.crops[:] = clip.crops[0]
    batch = draw_windows([clip], 2, 3, 4, 4, np.random.default_rng(3))
    assert torch.equal(batch["targets"][:, 0], batch["targets"][:, 2])
    assert not torch.equal(batch["targets"][:, 0], batch["crops"][:, 0])


def test_augmented_mel_stays_in_range_and_is_another_each_time() -> None:
    mel = torch.rand(8, 80, 48) * 8 - 4
    changed = augment_mel(mel, torch.Generator().manual_seed(0))
    assert changed.shape == mel.shape
    assert float(changed.min()) >= SILENCE and float(changed.max()) <= 4.0
    assert not torch.allclose(changed, augment_mel(mel, torch.Generator().manual_seed(1)), atol=0.1)
