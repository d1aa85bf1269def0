"""The first trainer: what it draws, what it learns from planted data, and that a stopped run goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.alignment import SILENCE
from models.lite import Lite, LiteOutput, Voice
from models.lite_contract import GAP, POINTS, LiteConfig
from train import picture, voice
from train.oldloop import LoopConfig, train
from train.picture import APART, Weights, mirrored_points, pick_sources, picture_loss
from train.prepare import FaceLostError, prepare
from train.npz import Clip, closed_shape, fit_basis, held_out, load, spoken

CONFIG = LiteConfig(width=8, coefficients=3)


def planted_clip(name: str = "a", frames: int = 60, seed: int = 0) -> Clip:
    """Return a clip whose mouth opens as far as its mel is loud, over a face of smooth noise."""
    rng = np.random.default_rng(seed)
    around = np.arange(20) / 20 * 2 * np.pi
    rest = np.concatenate(
        [
            np.stack([-0.25 * np.cos(around), 0.85 + 0.10 * np.sin(around)], -1),
            np.stack([-0.18 * np.cos(around), 0.85 + 0.005 * np.sin(around)], -1),
            np.stack([np.linspace(-0.6, 0.6, 15), np.full(15, 1.3)], -1),
        ]
    )
    opening = np.clip(np.convolve(rng.normal(0, 1, frames + 8), np.ones(5) / 5, "same")[4:-4], 0, 1)
    down = np.maximum(rest[:, 1] - 0.85, 0)[:, None] * np.array([0.0, 2.0])
    shapes = (rest + opening[:, None, None] * down).astype(np.float32)
    columns = np.repeat(opening, 4)[: int(frames * 3.2)].astype(np.float32)
    loud = np.interp(np.arange(int(frames * 3.2)) / 3.2, np.arange(frames), opening).astype(np.float32)
    mel = np.full((80, len(columns)), SILENCE, np.float32) + 6.0 * loud
    crops = np.clip(rng.normal(128, 40, (frames, 128, 128, 3)), 0, 255).astype(np.uint8)
    return Clip("someone", name, crops, shapes, closed_shape(shapes), mel, np.ones(frames, bool))


def test_mirroring_twice_changes_nothing_and_swaps_the_corners() -> None:
    mirror = mirrored_points()
    assert np.array_equal(mirror[mirror], np.arange(len(POINTS)))
    for left, right in ((61, 291), (78, 308), (58, 288), (146, 375), (185, 409)):
        assert POINTS[mirror[POINTS.index(left)]] == right
    for middle in (0, 17, 152):
        assert POINTS[mirror[POINTS.index(middle)]] == middle
    assert tuple(mirror[list(GAP)]) == GAP


def test_sources_never_hold_the_answer_and_go_from_closed_to_open() -> None:
    clip, rng = planted_clip(), np.random.default_rng(0)
    for target in range(0, 60, 7):
        pose, *references = pick_sources(clip, target, 4, rng)
        assert all(abs(source - target) >= APART for source in (pose, *references))
        assert list(clip.gaps[references]) == sorted(clip.gaps[references])


def test_the_basis_is_orthonormal_and_holds_the_planted_motion() -> None:
    clip = planted_clip()
    basis = fit_basis([clip], 3)
    assert np.allclose(basis @ basis.T, np.eye(3), atol=1e-5)
    moves = (clip.shapes - clip.neutral).reshape(len(clip.shapes), -1)
    assert np.abs(moves - moves @ basis.T @ basis).max() < 1e-4


def test_the_split_goes_by_name_and_stays() -> None:
    names = [f"clip{i}" for i in range(2000)]
    kept = [held_out(name) for name in names]
    assert kept == [held_out(name) for name in names]
    assert 0.04 < np.mean(kept) < 0.08


def test_silence_before_and_after_is_not_speech() -> None:
    mel = np.full((80, 240), SILENCE, np.float32)
    mel[:, 80:160] = 0.0
    inside = spoken(mel, 75)
    assert np.flatnonzero(inside)[0] == 25 and np.flatnonzero(inside)[-1] in (49, 50)


def test_no_clips_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.prepare"):
        load(tmp_path, CONFIG)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    steps: list[float] = []

    def loss_of(network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        loss = (network(batch) - batch.sum(1, keepdim=True)).square().mean()
        steps.append(float(loss.detach()))
        return {"loss": loss}

    def run(count: int) -> nn.Module:
        torch.manual_seed(0)
        batches = iter(lambda: torch.randn(32, 3), None)
        config = LoopConfig(1.0, count, learning_rate=0.05, report=lambda line: None)
        return train(nn.Linear(3, 1), batches, loss_of, tmp_path / "run.pt", config)

    run(150)
    assert len(steps) == 150
    trained = run(250)
    assert len(steps) == 250
    assert steps[150] < steps[0] / 2
    assert isinstance(trained, nn.Linear) and not trained.training


def test_the_voice_learns_a_planted_relation_and_its_gain(tmp_path: Path) -> None:
    clips = [planted_clip(f"c{i}", seed=i) for i in range(3)]
    basis = fit_basis(clips, 3)
    loop = LoopConfig(2.0, 60, learning_rate=4e-3, report=lambda line: None)
    learned = voice.train_voice(clips, basis, CONFIG, tmp_path / "voice.pt", loop, seed=0, size=8)
    frames = voice.frames_of([planted_clip("new", seed=9)], basis, CONFIG)
    figures = voice.measure_voice(learned, frames, basis, CONFIG.window)
    assert figures["correlation"] > 0.6
    assert figures["loudness"] > 0.9
    assert 0.5 < figures["spread"] < 1.5
    assert 1.0 <= float(learned.gain.min()) <= float(learned.gain.max()) <= 1.8


def test_augmented_mel_stays_in_range() -> None:
    mel = torch.rand(8, 80, 48) * 8 - 4
    changed = voice.augment(mel, torch.Generator().manual_seed(0))
    assert changed.shape == mel.shape
    assert float(changed.min()) >= SILENCE and float(changed.max()) <= 4.0


def test_a_perfect_picture_costs_less_than_a_shifted_one() -> None:
    lite = Lite(CONFIG)
    shape = torch.from_numpy(planted_clip().shapes[:1])
    outline, maps = lite.warp.outline(shape), lite.warp(shape, shape[:, None].expand(-1, 4, -1, -1))
    height, width = CONFIG.region_hw
    weights = torch.zeros(1, 4, height, width)
    weights[:, 0] = 1.0
    output = LiteOutput(shape, maps, weights, torch.zeros(1, 3, height, width))
    truth = torch.rand(1, 3, height, width)
    perfect = picture_loss(output, truth, truth, outline, Weights())
    shifted = picture_loss(output, truth.roll(2, -1), truth, outline, Weights())
    assert float(perfect["picture"]) == float(perfect["edges"]) == 0.0
    assert float(shifted["loss"]) > float(perfect["loss"]) + 0.1


def test_the_picture_network_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lite, clips = Lite(CONFIG), [planted_clip()]
    before = lite.picture.mix.weight.clone()
    picture.train_picture(lite, clips, tmp_path / "p.pt", LoopConfig(2.0, 2), seed=0, size=1)
    assert not torch.equal(before, lite.picture.mix.weight)
    assert not lite.picture.training


def test_a_clip_is_prepared_from_a_face_and_refused_without_one(caller_clip: Path) -> None:
    from realtime.media_file import read_video

    frames = [frame.image for _, frame in zip(range(26), read_video(caller_clip, 25.0), strict=False)]
    clip = prepare(frames, np.zeros(16_000, np.float32), 128)
    assert clip.crops.shape == (26, 128, 128, 3) and clip.speech.dtype == np.int16
    eyes = clip.landmarks[:, [33, 263]].mean((0, 1))
    assert np.allclose(eyes, [64.0, 0.24 * 128], atol=2.0)
    with pytest.raises(FaceLostError, match="no face in frame 0"):
        prepare([np.zeros((120, 160, 3), np.uint8)], np.zeros(0, np.float32), 128)
    with pytest.raises(FaceLostError, match="at least 25"):
        prepare(frames[:3], np.zeros(0, np.float32), 128)


def test_the_voice_hears_every_width(tmp_path: Path) -> None:
    for columns in (16, 20, 24):
        config = LiteConfig(columns=columns)
        assert Voice(config).eval()(torch.zeros(2, 1, 80, columns)).shape == (2, config.coefficients)
