"""Each loss of the trainers: zero where it must be, growing with its fault, moving only what it is for."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.lite.discriminator import PatchDiscriminator
from train.losses.adversarial import discriminator_loss, hinge_discriminator_loss, hinge_real_loss, real_loss
from train.losses.frozen import SyncLoss, stack_lower
from train.losses.lips import normalised, outline_weights
from train.losses.motion import correlation_loss, temporal_loss
from train.losses.pictures import (
    edge_l1,
    flow_variation,
    laplacian_energy,
    sharpness_loss,
    structure_loss,
    weighted_l1,
)

PictureLoss = Callable[[Tensor, Tensor], Tensor]
PICTURE_LOSSES = (weighted_l1, edge_l1, structure_loss, sharpness_loss)


def pictures(seed: int = 0, count: int = 2, size: int = 32) -> Tensor:
    """Return smooth random pictures (count, 3, size, size) with detail in them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, size // 4, size // 4, generator=generator)
    fine = torch.rand(count, 3, size, size, generator=generator)
    return 0.8 * F.interpolate(coarse, size=(size, size), mode="bilinear") + 0.2 * fine


def blurred(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x


@pytest.mark.parametrize("loss", PICTURE_LOSSES)
def test_a_picture_loss_is_nothing_for_the_real_picture_and_grows_with_softness(loss: PictureLoss) -> None:
    real = pictures()
    blur = blurred(real, 2)
    amounts = [float(loss(torch.lerp(real, blur, share), real)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert amounts[0] == pytest.approx(0.0, abs=1e-6)
    assert amounts == sorted(amounts) and amounts[1] > 0.005


@pytest.mark.parametrize("loss", PICTURE_LOSSES)
def test_a_picture_loss_moves_what_is_made(loss: PictureLoss) -> None:
    made = blurred(pictures(), 2).requires_grad_()
    loss(made, pictures()).backward()
    assert made.grad is not None and torch.isfinite(made.grad).all() and bool((made.grad != 0).any())


@pytest.mark.parametrize("loss", [weighted_l1, edge_l1, structure_loss])
def test_an_error_costs_more_where_the_weights_are(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    real = pictures()
    weights = torch.full((2, 1, 32, 32), 0.2)
    weights[..., 16:, :] = 1.8
    above, below = real.clone(), real.clone()
    above[..., 2:8, 8:16] = 0.0
    below[..., 24:30, 8:16] = 0.0
    assert float(loss(below, real, weights)) > 3 * float(loss(above, real, weights)) > 0


def test_even_weights_change_no_picture_loss() -> None:
    made, real, ones = blurred(pictures(), 1), pictures(), torch.ones(2, 1, 32, 32)
    for loss in (weighted_l1, edge_l1, structure_loss, sharpness_loss):
        assert float(loss(made, real, ones)) == pytest.approx(float(loss(made, real)), rel=1e-5)


def test_edges_and_sharpness_do_not_see_brightness_and_l1_does() -> None:
    real = pictures()
    brighter = real + 0.1
    assert float(edge_l1(brighter, real)) == pytest.approx(0.0, abs=1e-6)
    assert float(sharpness_loss(brighter, real)) == pytest.approx(0.0, abs=1e-4)
    assert float(weighted_l1(brighter, real)) == pytest.approx(0.1, rel=1e-5)


def test_structure_lies_between_equal_and_unrelated() -> None:
    real = pictures()
    assert float(structure_loss(0.9 * real, real)) < 0.05 < float(structure_loss(blurred(real, 3), real))
    # Two scales: at 16 px nothing is left of unrelated noise but its mean.
    noise, other = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    assert 0.8 < float(structure_loss(noise, other, scales=1)) < 1.2
    assert 1.0 < float(structure_loss(1.0 - noise, noise, scales=1)) <= 2.0
    with pytest.raises(ValueError, match="too small for 4 scales"):
        structure_loss(real, real, scales=4)


def test_sharpness_is_the_log_ratio_of_detail_wherever_it_lies() -> None:
    real = pictures(count=1, size=64)
    softer = 0.5 + 0.5 * (real - 0.5)
    assert float(sharpness_loss(softer, real)) == pytest.approx(math.log(4.0), rel=0.02)
    assert float(sharpness_loss(real, softer)) == pytest.approx(math.log(4.0), rel=0.02)
    # The same detail elsewhere costs nothing: mirrored, each pixel differs and the energy does not.
    assert float(sharpness_loss(real.flip(-1), real)) == pytest.approx(0.0, abs=1e-5)
    assert float(weighted_l1(real.flip(-1), real)) > 0.05


def test_sharpness_looks_only_where_the_lips_are_and_rewards_detail() -> None:
    real = pictures(count=1)
    lips = torch.zeros(1, 1, 32, 32)
    lips[..., 10:22, 10:22] = 1.0
    elsewhere = real.clone()
    elsewhere[..., :8, :] = 0.5
    assert float(sharpness_loss(elsewhere, real, lips)) == pytest.approx(0.0, abs=1e-6)
    made = blurred(real, 2).requires_grad_()
    sharpness_loss(made, real, lips).backward()
    assert made.grad is not None
    assert float(laplacian_energy((made - 0.1 * made.grad / made.grad.norm()).detach(), lips)) > float(
        laplacian_energy(made.detach(), lips)
    )
    # Flat pictures, as of a covered camera, stay finite.
    assert float(sharpness_loss(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))) == pytest.approx(0.0, abs=1e-6)


def test_flow_pays_for_variation_not_for_a_shift_and_at_second_order_not_for_a_stretch() -> None:
    ys, xs = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    grid = torch.stack([xs, ys])[None]
    shift = torch.full_like(grid, 3.0)
    swirl = torch.sin(grid * 2.0)
    assert float(flow_variation(shift)) == 0.0
    assert float(flow_variation(0.1 * grid)) == pytest.approx(0.1, rel=1e-5)
    assert float(flow_variation(1.1 * grid, order=2)) == pytest.approx(0.0, abs=1e-5)
    assert float(flow_variation(swirl)) > float(flow_variation(0.5 * swirl)) > 0.1


def test_outline_weights_have_mean_one_and_follow_the_drawing() -> None:
    outline = torch.zeros(2, 4, 8, 8)
    outline[0, 3, 4, 4] = 1.0
    outline[1, 2, 2, 2] = 1.0
    weights = outline_weights(outline)
    assert torch.allclose(weights.mean(dim=(1, 2, 3)), torch.ones(2))
    assert float(weights[0, 0, 4, 4] / weights[0, 0, 0, 0]) == pytest.approx(7.0)
    assert float(weights[1, 0, 2, 2] / weights[1, 0, 0, 0]) == pytest.approx(3.0)
    assert torch.isfinite(normalised(torch.zeros(1, 1, 4, 4))).all()


def test_temporal_loss_sees_flicker_and_stillness_but_no_constant_error() -> None:
    real = torch.stack([pictures(seed=seed) for seed in range(4)], 1)
    flicker = real.clone()
    flicker[:, 1::2] += 0.05
    assert float(temporal_loss(real + 0.2, real)) == pytest.approx(0.0, abs=1e-6)
    assert float(temporal_loss(flicker, real)) == pytest.approx(0.05, rel=1e-4)
    still = real[:, :1].expand_as(real)
    assert float(temporal_loss(still, real)) > 0.05
    mouth = torch.zeros(2, 4, 1, 32, 32)
    mouth[..., 16:, :] = 2.0
    flicker = real.clone()
    flicker[:, 1::2, :, :16] += 0.05
    assert float(temporal_loss(flicker, real, mouth)) == pytest.approx(0.0, abs=1e-7)
    with pytest.raises(ValueError, match="two frames"):
        temporal_loss(real[:, :1], real[:, :1])


def test_correlation_of_lip_gaps_ignores_size_and_place_and_punishes_lag() -> None:
    time = torch.arange(60.0)
    gap = (0.1 + 0.05 * torch.sin(time * 0.7) + 0.03 * torch.sin(time * 0.31))[None]
    assert float(correlation_loss(gap, gap)) == pytest.approx(0.0, abs=1e-4)
    # Half as open, with an offset and a drift: the motion is the same.
    assert float(correlation_loss(gap, 0.5 * gap + 0.3 + 0.01 * time)) == pytest.approx(0.0, abs=1e-4)
    assert float(correlation_loss(gap, -gap)) == pytest.approx(2.0, abs=1e-4)
    lags = [float(correlation_loss(gap[:, 6:-6], gap.roll(lag, 1)[:, 6:-6])) for lag in range(4)]
    assert lags == sorted(lags) and lags[3] > 0.5
    noise = torch.randn(1, 2000, generator=torch.Generator().manual_seed(1))
    assert float(correlation_loss(noise[:, :1000], noise[:, 1000:])) == pytest.approx(1.0, abs=0.1)


def test_correlation_is_pearsons_of_the_speeds() -> None:
    pair = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    expected = float(torch.corrcoef(pair.diff(dim=1))[0, 1])
    assert float(correlation_loss(pair[:1], pair[1:])) == pytest.approx(1.0 - expected, abs=1e-5)


def test_correlation_of_features_counts_every_feature() -> None:
    audio = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0))
    assert float(correlation_loss(audio, audio)) == pytest.approx(0.0, abs=1e-5)
    half = audio.clone()
    half[..., :4] *= -1.0
    assert float(correlation_loss(audio, half)) == pytest.approx(1.0, abs=0.3)


def test_correlation_leaves_out_what_stands_still_or_lies_outside() -> None:
    gap = torch.sin(torch.arange(40.0) * 0.7)[None]
    shown = torch.randn(2, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    nothing = correlation_loss(torch.full((2, 40), 0.3), shown)
    nothing.backward()
    assert float(nothing.detach()) == 0.0 and shown.grad is not None and not bool(shown.grad.any())
    mixed = torch.cat([gap, torch.zeros(1, 40)])
    moved = shown.detach()
    assert torch.equal(correlation_loss(mixed, moved), correlation_loss(gap, moved[:1]))
    inside = torch.zeros(1, 40, dtype=torch.bool)
    inside[:, 5:30] = True
    disturbed = gap.clone()
    disturbed[:, :5] = 9.0
    assert float(correlation_loss(gap, disturbed, inside)) == pytest.approx(0.0, abs=1e-5)
    assert float(correlation_loss(gap, disturbed)) > 0.3
    with pytest.raises(ValueError, match="over time"):
        correlation_loss(gap[:, :2], gap[:, :2])


def test_a_mouth_that_stands_still_gets_a_finite_gradient() -> None:
    gap = torch.sin(torch.arange(40.0) * 0.7)[None]
    still = torch.full((1, 40), 0.2, requires_grad=True)
    loss = correlation_loss(gap, still)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1.0, abs=1e-5)
    assert still.grad is not None and torch.isfinite(still.grad).all()


class TinyExpert(nn.Module):
    """An expert that hears and sees brightness through layers with batch statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.ear = nn.Sequential(nn.Flatten(), nn.Linear(80 * 16, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.eye = nn.Sequential(nn.Conv2d(15, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        return F.normalize(self.ear(mel), dim=1), F.normalize(self.eye(face).mean((2, 3)), dim=1)


def test_the_frozen_expert_moves_faces_and_never_itself() -> None:
    torch.manual_seed(0)
    expert = TinyExpert().train()
    sync = SyncLoss(expert)
    before = {name: value.clone() for name, value in expert.state_dict().items()}
    holder = nn.ModuleList([nn.Linear(2, 2), sync]).train()
    faces = torch.rand(4, 15, 8, 16, requires_grad=True)
    mel = torch.randn(4, 1, 80, 16)
    first, second = sync(mel, faces), sync(mel, faces)
    first.backward()
    # Dropout would make them differ, batch statistics would make a face depend on its neighbours.
    assert torch.equal(first, second)
    assert faces.grad is not None and bool((faces.grad != 0).any())
    assert all(parameter.grad is None for parameter in expert.parameters())
    assert all(torch.equal(value, before[name]) for name, value in expert.state_dict().items())
    assert len(list(holder.parameters())) == 2 and not any(name.startswith("1.") for name in holder.state_dict())


def test_sync_loss_is_the_bce_of_the_cosine_over_windows_with_speech() -> None:
    class Known(nn.Module):
        """The first pixel is the cosine."""

        def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
            cosine = face[:, 0, 0, 0]
            video = torch.stack([cosine, (1.0 - cosine**2 + 1e-12).sqrt()], 1)
            return torch.tensor([[1.0, 0.0]]).expand(len(mel), 2), video

    sync = SyncLoss(Known())
    mel = torch.zeros(3, 1, 80, 16)
    faces = torch.tensor([1.0, 0.5, 0.25])[:, None, None, None].expand(3, 15, 4, 4)
    assert float(sync(mel[:1], faces[:1])) == pytest.approx(0.0, abs=1e-5)
    assert float(sync(mel, faces)) == pytest.approx((math.log(2) + math.log(4)) / 3, rel=1e-3)
    assert float(sync(mel, faces, torch.tensor([False, True, False]))) == pytest.approx(math.log(2), rel=1e-3)
    silent = faces.clone().requires_grad_()
    orthogonal = torch.zeros(1, 15, 4, 4, requires_grad=True)
    sync(mel[:1], orthogonal).backward()
    assert orthogonal.grad is not None and torch.isfinite(orthogonal.grad).all()
    assert float(orthogonal.grad[0, 0, 0, 0]) < 0.0
    none = sync(mel, silent, torch.zeros(3, dtype=torch.bool))
    none.backward()
    assert float(none.detach()) == 0.0 and silent.grad is not None and not bool(silent.grad.any())


def test_lower_halves_are_stacked_frame_by_frame() -> None:
    frames = torch.arange(2 * 5 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 5, 3, 4, 6)
    stacked = stack_lower(frames)
    assert stacked.shape == (2, 15, 2, 6)
    assert torch.equal(stacked[1, 3 * 4 + 2], frames[1, 4, 2, 2:])


def test_quality_losses_are_the_published_ones() -> None:
    sure, unsure = torch.full((4, 1), 0.9), torch.full((4, 1), 0.5)
    assert float(real_loss(sure)) == pytest.approx(-math.log(0.9), rel=1e-5)
    assert float(discriminator_loss(unsure, unsure)) == pytest.approx(2 * math.log(2), rel=1e-5)
    assert float(discriminator_loss(sure, 1.0 - sure)) == pytest.approx(-2 * math.log(0.9), rel=1e-4)


def test_hinge_stops_at_the_margin() -> None:
    score = torch.tensor([1.0, 3.0])
    assert float(hinge_discriminator_loss(score, -score)) == 0.0
    assert float(hinge_discriminator_loss(torch.zeros(2), torch.zeros(2))) == 2.0
    assert float(hinge_discriminator_loss(-score, score)) == 6.0
    assert float(hinge_real_loss(score)) == -2.0


def test_quality_losses_take_half_precision_probabilities() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        loss = discriminator_loss(torch.full((2, 1), 0.9).bfloat16(), torch.ones(2, 1).bfloat16())
    assert loss.dtype == torch.float32 and bool(torch.isfinite(loss))


def test_patch_discriminator_is_small_and_local_and_learns_to_tell_blur() -> None:
    torch.manual_seed(0)
    assert sum(parameter.numel() for parameter in PatchDiscriminator().parameters()) <= 300_000
    judge = PatchDiscriminator(width=8)
    region = torch.rand(1, 3, 80, 96)
    assert judge(region).shape == (1, 1, 10, 12)
    changed = region.clone()
    changed[..., :8, :8] = 0.0
    judge.eval()
    difference = (judge(changed) - judge(region)).abs()[0, 0].detach()
    assert float(difference[0, 0]) > 0 and float(difference[5:, 6:].max()) == 0.0
    optimiser = torch.optim.Adam(judge.train().parameters(), 3e-3)
    losses = []
    for step in range(30):
        real = pictures(step, 4)
        loss = hinge_discriminator_loss(judge(real), judge(blurred(real, 1)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
