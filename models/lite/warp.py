"""The geometry of lite: from mouth shapes to flow and outlines, without parameters. Needs torch.

Shape suffixes as in models.lite.network; h w are the mouth region at half the crop's resolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.landmarks import ALIGNED_ORIGIN
from models.lite.contract import CHIN, INNER, INNER_LOWER, INNER_UPPER, OUTER, LiteConfig


class Warp(nn.Module):
    """Turn pairs of shapes into flow (D. Shepard, "A two-dimensional interpolation function", 1968)."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        height, width = config.region_hw
        left, top, right, bottom = config.region
        self.full_2HW: Tensor
        self.half_2HW: Tensor
        self.anchors_A2: Tensor
        ys, xs = torch.meshgrid(torch.arange(height) + top, torch.arange(width) + left, indexing="ij")
        full_2HW = torch.stack([xs, ys]).float()
        self.register_buffer("full_2HW", full_2HW, persistent=False)
        # The flow is smooth: half the resolution tells it all at a quarter of the cost.
        self.register_buffer("half_2HW", F.avg_pool2d(full_2HW[None], 2)[0], persistent=False)
        across = torch.linspace(left, right, 9)
        down = torch.linspace(top, bottom, 7)[1:-1]
        rim = [torch.stack([across, torch.full_like(across, float(y))], -1) for y in (top, bottom)]
        rim += [torch.stack([torch.full_like(down, float(x)), down], -1) for x in (left, right)]
        self.register_buffer("anchors_A2", torch.cat(rim), persistent=False)

    def to_px(self, shape_NP2: Tensor) -> Tensor:
        """Return shapes in px of the aligned crop."""
        origin = shape_NP2.new_tensor(ALIGNED_ORIGIN) * self.config.size
        return shape_NP2 * self.config.eye_px + origin

    def forward(self, target_NP2: Tensor, sources_NKP2: Tensor) -> Tensor:
        """Return the flow (N, K, 2, h, w) in crop px that brings each source's shape onto the target's.

        A pixel of the target is found in the source at its own place plus the flow. The rim of the region stays.
        """
        batch, count = sources_NKP2.shape[:2]
        height, width = self.config.region_hw
        target_px = self.to_px(target_NP2)
        move_NPV = (self.to_px(sources_NKP2) - target_px[:, None]).permute(0, 2, 1, 3).flatten(2)
        anchors_NA2 = self.anchors_A2[None].expand(batch, -1, -1)
        centres_NQ2 = torch.cat([target_px, anchors_NA2], 1)
        still_NAV = move_NPV.new_zeros(batch, anchors_NA2.shape[1], 2 * count)
        moves_NQV = torch.cat([move_NPV, still_NAV], 1)
        near_NGQ = 1.0 / (self._squared(centres_NQ2) + 2.0) ** 2
        flow_NGV = (near_NGQ / near_NGQ.sum(-1, keepdim=True)) @ moves_NQV
        return flow_NGV.transpose(1, 2).reshape(batch, count, 2, height // 2, width // 2)

    def outline(self, target_NP2: Tensor) -> Tensor:
        """Draw the target shape as maps (N, 4, h, w): outer lips, inner lips, jaw, and the opening between the lips."""
        points_px = self.to_px(target_NP2)
        drawn = [self._near(points_px[:, part]) for part in (OUTER, INNER, CHIN)]
        return torch.stack([*drawn, self._opening(points_px)], 1)

    def _near(self, points_NQ2: Tensor) -> Tensor:
        height, width = self.config.region_hw
        heat = torch.exp(self._squared(points_NQ2).amin(-1) / -8.0)
        return heat.reshape(points_NQ2.shape[0], height // 2, width // 2)

    def _squared(self, points_NQ2: Tensor) -> Tensor:
        """Return squared distances (N, G, Q) from the half grid to points.

        Rows and columns apart: exact in float32, which the expansion into a matrix product is not, and as cheap.
        """
        xs_W, ys_H = self.half_2HW[0, 0], self.half_2HW[1, :, 0]
        across = (xs_W[None, :, None] - points_NQ2[:, None, :, 0]) ** 2
        down = (ys_H[None, :, None] - points_NQ2[:, None, :, 1]) ** 2
        return (down[:, :, None] + across[:, None]).flatten(1, 2)

    def _opening(self, points_px: Tensor) -> Tensor:
        xs_W, ys_H = self.half_2HW[0, 0], self.half_2HW[1, :, 0]
        edges = []
        for contour in (INNER_UPPER, INNER_LOWER):
            line_NQ2 = points_px[:, list(contour)]
            share_NWQ = torch.softmax(-((xs_W[None, :, None] - line_NQ2[:, None, :, 0]) ** 2) / 8.0, -1)
            edges.append((share_NWQ * line_NQ2[:, None, :, 1]).sum(-1))
        upper_NW, lower_NW = edges
        corner_left, corner_right = points_px[:, INNER_UPPER[0], 0], points_px[:, INNER_UPPER[-1], 0]
        inside_NW = torch.sigmoid(xs_W - corner_left[:, None]) * torch.sigmoid(corner_right[:, None] - xs_W)
        below = torch.sigmoid(ys_H[None, :, None] - upper_NW[:, None])
        above = torch.sigmoid(lower_NW[:, None] - ys_H[None, :, None])
        return below * above * inside_NW[:, None]

    def maps(self, flow_NK2hw: Tensor) -> Tensor:
        """Return where to sample (N, K, 2, H, W), px of the crop, for a flow at half the resolution."""
        large = enlarge(flow_NK2hw.flatten(0, 1))
        return large.reshape(*flow_NK2hw.shape[:3], *large.shape[-2:]) + self.full_2HW


def enlarge(x: Tensor) -> Tensor:
    """Double height and width of (N, C, h, w) smoothly."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def sample(pixels_NKGC: Tensor, places_NK2HW: Tensor, size: int, side: int) -> Tensor:
    """Sample pictures or features at places in px of an aligned crop of `size` px: (N, K, C, H, W), bilinear.

    `pixels_NKGC` are the crop's G = `side` x `side` pixels at any resolution, row by row, channels last. Outside the
    crop its edge goes on. Written as gathers of whole pixels: ONNX Runtime's GridSample takes six times as long on
    a CPU.
    """
    batch, count, pixels, channels = pixels_NKGC.shape
    height, width = places_NK2HW.shape[-2:]
    place = ((places_NK2HW.flatten(0, 1).flatten(2) + 0.5) * (side / size) - 0.5).clamp(0.0, side - 1.0)
    low = place.detach().clamp(max=side - 2).floor()
    share_L2G = place - low
    corner = low.long()
    first_LG = corner[:, 1] * side + corner[:, 0]
    # Every square of the batch begins behind the one before it.
    first_LG = first_LG + torch.arange(batch * count, device=first_LG.device)[:, None] * pixels
    flat = pixels_NKGC.reshape(batch * count * pixels, channels)
    across, down = share_L2G[:, 0, :, None], share_L2G[:, 1, :, None]

    def take(offset: int) -> Tensor:
        return flat.index_select(0, (first_LG + offset).reshape(-1)).reshape(batch * count, height * width, channels)

    upper = take(0) * (1.0 - across) + take(1) * across
    lower = take(side) * (1.0 - across) + take(side + 1) * across
    taken_LGC = upper * (1.0 - down) + lower * down
    return taken_LGC.transpose(1, 2).reshape(batch, count, channels, height, width)


def channels_last(pictures_NKCSS: Tensor) -> Tensor:
    """Return pictures (N, K, C, S, S) as rows of pixels (N, K, S * S, C) for `sample`."""
    return pictures_NKCSS.flatten(3).transpose(2, 3)
