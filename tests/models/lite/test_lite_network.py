"""The lite network: what the warp promises, what the shape promises, and that ONNX computes the same."""

import json
from pathlib import Path

import pytest
import torch
from ears_files import ears_bytes

from models.errors import ModelError
from models.lite.contract import GAP, POINTS, LiteConfig, gap
from models.lite.export import export_lite, load_lite
from models.lite.network import CLOSED_GAP, Lite
from models.lite.onnx import CONFIG_KEY
from models.lite.warp import channels_last, sample

CONFIG = LiteConfig(heard=64, width=8, coefficients=4)
UPPER, LOWER = GAP


def mouth(opening: float = 0.0) -> torch.Tensor:
    """Return a plausible shape (1, 55, 2): lips on ellipses that open downward, the jaw below them."""
    around = torch.arange(20) / 20 * 2 * torch.pi
    outer = torch.stack([-0.25 * around.cos(), 0.85 + (0.10 + opening / 2) * around.sin()], -1)
    inner = torch.stack([-0.18 * around.cos(), 0.85 + (0.005 + opening / 2) * around.sin()], -1)
    across = torch.linspace(-0.6, 0.6, 15)
    jaw = torch.stack([across, 1.35 + opening / 2 - 0.8 * across**2], -1)
    return torch.cat([outer, inner, jaw])[None].float()


def basis() -> torch.Tensor:
    moves = torch.cat([mouth(0.3) - mouth(), torch.randn(3, 55, 2, generator=torch.Generator().manual_seed(1))])
    directions: torch.Tensor = torch.linalg.qr(moves.flatten(1).T).Q
    return directions.T.contiguous()


@pytest.fixture
def lite() -> Lite:
    torch.manual_seed(0)
    network = Lite(CONFIG).eval()
    network.basis_BV.copy_(basis())
    return network


def test_equal_shapes_leave_every_pixel_where_it_is(lite: Lite) -> None:
    assert float(lite.painter.warp(mouth(0.1), mouth(0.1)[:, None]).abs().max()) < 1e-4


def test_the_warp_brings_the_sources_points_to_the_target_and_holds_the_rim(lite: Lite) -> None:
    warp = lite.painter.warp
    maps = warp.maps(warp(mouth(0.0), mouth(0.2)[:, None]))
    left, top, _, _ = CONFIG.region
    source, target = warp.to_px(mouth(0.2))[0], warp.to_px(mouth(0.0))[0]
    for index in (POINTS.index(17), POINTS.index(152)):
        x, y = (target[index] - torch.tensor([left, top])).round().long().tolist()
        assert torch.allclose(maps[0, 0, :, y, x], source[index], atol=1.5)
    rim = maps[0, 0, :, 0] - warp.full_2HW[:, 0]
    assert rim.abs().max() < 0.7


def test_sampling_where_a_pixel_is_returns_that_pixel(lite: Lite) -> None:
    crops = torch.rand(1, 1, 3, CONFIG.size, CONFIG.size)
    left, top, right, bottom = CONFIG.region
    taken = sample(channels_last(crops), lite.painter.warp.full_2HW[None, None], CONFIG.size, CONFIG.size)
    assert torch.allclose(taken[0, 0], crops[0, 0, :, top:bottom, left:right], atol=1e-4)


def test_sampling_is_torchs_bilinear_sampling_with_its_gradients() -> None:
    places = torch.rand(2, 3, 2, 6, 8) * 60 - 12
    gradients = []
    for ours in (True, False):
        pictures, where = torch.rand(2, 3, 5, 16, 16, generator=torch.Generator().manual_seed(1)), places.clone()
        pictures.requires_grad_(), where.requires_grad_()
        if ours:
            taken = sample(channels_last(pictures), where, 32, 16)
        else:
            grid = (where.flatten(0, 1).permute(0, 2, 3, 1) * 2.0 + 1.0) / 32 - 1.0
            flat = torch.nn.functional.grid_sample(
                pictures.flatten(0, 1), grid, mode="bilinear", padding_mode="border", align_corners=False
            )
            taken = flat.reshape(2, 3, 5, 6, 8)
        (taken * torch.arange(taken.numel()).reshape(taken.shape)).sum().backward()
        gradients.append((taken.detach(), pictures.grad, where.grad))
    for mine, theirs in zip(*gradients, strict=True):
        assert mine is not None and theirs is not None and torch.allclose(mine, theirs, rtol=1e-3, atol=1e-2)


def test_the_opening_is_drawn_only_between_open_lips(lite: Lite) -> None:
    warp = lite.painter.warp
    closed, opened = warp.outline(mouth(0.0))[0, 3], warp.outline(mouth(0.3))[0, 3]
    assert opened.sum() > 4 * closed.sum()
    middle = (warp.to_px(mouth(0.3))[0, [UPPER, LOWER]].mean(0) - torch.tensor(CONFIG.region[:2])) / 2
    assert opened[int(middle[1]), int(middle[0])] > 0.9


def test_speech_is_replaced_and_what_is_no_speech_is_kept(lite: Lite) -> None:
    said = torch.rand(1, CONFIG.coefficients)
    stranger = 0.01 * torch.randn(1, 55, 2)
    beyond = stranger - ((stranger.flatten(1) @ lite.basis_BV.T) @ lite.basis_BV).reshape(1, 55, 2)
    with torch.no_grad():
        from_closed = lite.shape(said, mouth(0.0) + beyond, mouth(0.0))
        from_open = lite.shape(said, mouth(0.3) + beyond, mouth(0.0))
    assert torch.allclose(from_closed, from_open, atol=1e-4)
    heard = (from_closed - beyond - lite.close(mouth(0.0))).flatten(1) @ lite.basis_BV.T
    assert torch.allclose(heard, said, atol=1e-4)


def test_a_neutral_that_is_not_quite_closed_is_closed(lite: Lite) -> None:
    shut = lite.close(mouth(0.12))
    assert float(gap(shut.numpy())[0]) == pytest.approx(CLOSED_GAP, abs=1e-4)
    assert torch.equal(lite.close(shut - 0.0), shut) or float((lite.close(shut) - shut).abs().max()) < 1e-5


def test_weights_share_out_each_pixel_and_the_rim_is_the_poses(lite: Lite) -> None:
    painter = lite.painter
    for parameter in painter.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    crops = torch.rand(2, CONFIG.sources, 3, CONFIG.size, CONFIG.size)
    shapes = torch.cat([mouth(0.1)[:, None]] * CONFIG.sources, 1).expand(2, -1, -1, -1)
    with torch.no_grad():
        drawing = painter(mouth(0.1)[None].expand(2, -1, -1, -1), crops, shapes)
        picture = painter.mixture(drawing, crops)
    assert torch.allclose(drawing.weights_NKhw.sum(1), torch.ones(1), atol=1e-5)
    left, top, right, _ = CONFIG.region
    assert (picture[:, :, 0] - crops[:, 0, :, top, left:right]).abs().max() < 0.02


def test_onnx_equals_torch_and_carries_its_config(lite: Lite, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    out = tmp_path / "lite.onnx"
    assert export_lite(lite, ears_bytes(), out) <= 1e-4
    properties = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert LiteConfig.from_json(json.loads(properties[CONFIG_KEY])) == CONFIG


def test_a_file_can_be_trained_on(lite: Lite, tmp_path: Path) -> None:
    for parameter in lite.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    export_lite(lite, ears_bytes(), tmp_path / "lite.onnx")
    again = load_lite(tmp_path / "lite.onnx")
    assert again.config == CONFIG and not again.training
    for name, value in lite.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]) or name.endswith("num_batches_tracked")


def test_a_file_that_is_no_lite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"x\.onnx"):
        load_lite(tmp_path / "x.onnx")


def test_several_shapes_of_one_person_are_drawn_as_one_by_one(lite: Lite) -> None:
    painter, crops = lite.painter, torch.rand(2, CONFIG.sources, 3, CONFIG.size, CONFIG.size)
    for parameter in painter.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    sources = torch.cat([mouth(0.1)[:, None]] * CONFIG.sources, 1).expand(2, -1, -1, -1)
    targets = torch.cat([mouth(0.0), mouth(0.2)])[None].expand(2, -1, -1, -1)
    with torch.no_grad():
        together = painter(targets, crops, sources)
        alone = painter(targets[:, 1:], crops, sources)
    for all_of_them, one in zip(together, alone, strict=True):
        assert torch.allclose(all_of_them[1::2], one, atol=1e-5)
