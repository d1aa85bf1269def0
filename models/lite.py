"""Lite: a generator that moves the caller's own pixels instead of painting a mouth.

Two small networks and a warp between them:

1. `Voice` hears a mel window and tells the mouth shape, as coefficients of a basis of lip and jaw motion.
2. A scattered-data interpolation (D. Shepard, 1968) turns the shape into a smooth flow that brings every source
   picture (the pose frame and references with other mouth openings) to that shape.
3. `Picture` looks at the warped sources, refines the flow by a few px, chooses per pixel among the sources, and adds a
   small bounded residual where no source has what is needed.

Because the picture network is told the shape, it has nothing to guess and need not blur; because the shape network
works on geometry, little data goes a long way. Pictures are BGR 0..1.

Shape suffixes: N batch, K sources, P points, C channels, H W the mouth region, S the aligned crop.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.landmarks import ALIGNED_ORIGIN
from models.lite_contract import CHIN, GAP, INNER, INNER_LOWER, INNER_UPPER, OUTER, POINTS, LiteConfig

FLOW_PX = 4.0
"""Bound of the learned correction to the flow, in crop px."""

CLOSED_GAP = 0.01
"""Gap that FaceMesh sees between closed lips, in eye distances."""

RESIDUAL = 0.5
"""Bound of the painted residual, in units of full scale."""


class LiteOutput(NamedTuple):
    """Hold what the generator says about one frame.

    `shape_NP2` in eye distances; `maps_NK2HW` where to sample each source (x, y in px of its aligned crop);
    `weights_NKHW` sum to 1 over K; `residual_N3HW` is added to the mixture.
    """

    shape_NP2: Tensor
    maps_NK2HW: Tensor
    weights_NKHW: Tensor
    residual_N3HW: Tensor


def _conv(inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Voice(nn.Module):
    """Tell mouth-shape coefficients (N, coefficients) from a mel window (N, 1, 80, columns)."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        columns = config.columns
        self.body = nn.Sequential(
            _conv(1, 32, (2, 1)),
            _conv(32, 64, 2),
            _conv(64, 96, 2),
            _conv(96, 128, (2, 2)),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        for _ in range(3):
            columns = (columns + 1) // 2
        self.head = nn.Sequential(
            nn.Linear(128 * 5 * columns, 192), nn.ReLU(inplace=True), nn.Linear(192, config.coefficients)
        )
        # Regression under-articulates by its own correlation; the trainer measures that and sets the gain.
        self.gain: Tensor
        self.register_buffer("gain", torch.ones(config.coefficients))

    def forward(self, mel_N1FT: Tensor) -> Tensor:
        """Return coefficients before the gain is applied: the trainer compares these with the truth."""
        coefficients: Tensor = self.head(self.body(mel_N1FT / 4.0))
        return coefficients


class Warp(nn.Module):
    """Turn pairs of shapes into sampling maps, without parameters."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        height, width = config.region_hw
        left, top, right, bottom = config.region
        ys, xs = torch.meshgrid(torch.arange(height) + top, torch.arange(width) + left, indexing="ij")
        full_HW2 = torch.stack([xs, ys], -1).float()
        self.full_2HW: Tensor
        self.coarse_X: Tensor
        self.coarse_Y: Tensor
        self.anchors_A2: Tensor
        self.register_buffer("full_2HW", full_HW2.permute(2, 0, 1).contiguous(), persistent=False)
        # The flow is smooth: half the resolution tells it all at a quarter of the cost.
        coarse = F.avg_pool2d(self.full_2HW[None], 2)[0]
        self.register_buffer("coarse_X", coarse[0, 0].contiguous(), persistent=False)
        self.register_buffer("coarse_Y", coarse[1, :, 0].contiguous(), persistent=False)
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
        """Return sampling maps (N, K, 2, H, W) in crop px that bring each source's shape onto the target's.

        The rim of the region stays where it is.
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
        flow = flow_NGV.transpose(1, 2).reshape(batch, count * 2, height // 2, width // 2)
        flow = F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
        return flow.reshape(batch, count, 2, height, width) + self.full_2HW

    def outline(self, target_NP2: Tensor) -> Tensor:
        """Draw the target shape as maps (N, 4, H, W): outer lips, inner lips, jaw, and the opening between the lips."""
        points_px = self.to_px(target_NP2)
        drawn = [self._near(points_px[:, part]) for part in (OUTER, INNER, CHIN)]
        return torch.stack([*drawn, self._opening(points_px)], 1)

    def _near(self, points_NQ2: Tensor) -> Tensor:
        batch = points_NQ2.shape[0]
        height, width = self.config.region_hw
        heat = torch.exp(self._squared(points_NQ2).amin(-1) / -8.0).reshape(batch, 1, height // 2, width // 2)
        return F.interpolate(heat, size=(height, width), mode="bilinear", align_corners=False)[:, 0]

    def _squared(self, points_NQ2: Tensor) -> Tensor:
        """Return squared distances (N, G, Q) from the coarse grid to points.

        Rows and columns apart: exact in float32, which the expansion into a matrix product is not, and as cheap.
        """
        across = (self.coarse_X[None, :, None] - points_NQ2[:, None, :, 0]) ** 2
        down = (self.coarse_Y[None, :, None] - points_NQ2[:, None, :, 1]) ** 2
        return (down[:, :, None] + across[:, None]).flatten(1, 2)

    def _opening(self, points_px: Tensor) -> Tensor:
        xs_W, ys_H = self.full_2HW[0, 0], self.full_2HW[1, :, 0]
        edges = []
        for contour in (INNER_UPPER, INNER_LOWER):
            line_NQ2 = points_px[:, list(contour)]
            share_NWQ = torch.softmax(-((xs_W[None, :, None] - line_NQ2[:, None, :, 0]) ** 2) / 8.0, -1)
            edges.append((share_NWQ * line_NQ2[:, None, :, 1]).sum(-1))
        upper_NW, lower_NW = edges
        corner_left, corner_right = points_px[:, INNER_UPPER[0], 0], points_px[:, INNER_UPPER[-1], 0]
        inside_NW = torch.sigmoid(xs_W - corner_left[:, None]) * torch.sigmoid(corner_right[:, None] - xs_W)
        below = torch.sigmoid(2.0 * (ys_H[None, :, None] - upper_NW[:, None]))
        above = torch.sigmoid(2.0 * (lower_NW[:, None] - ys_H[None, :, None]))
        return below * above * inside_NW[:, None]


class Picture(nn.Module):
    """Refine, choose and complete warped sources: a small U-Net over the mouth region.

    It works at half the resolution (2x2 px folded into channels): what is sharp comes from the sources.
    """

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.count = config.sources
        w = config.width
        self.stem = _conv((config.sources * 3 + 4) * 4, w)
        self.down1 = nn.Sequential(_conv(w, 2 * w, 2), _conv(2 * w, 2 * w))
        self.down2 = nn.Sequential(_conv(2 * w, 3 * w, 2), _conv(3 * w, 3 * w))
        self.up1 = _conv(5 * w, 2 * w)
        self.up0 = _conv(3 * w, w)
        self.flow = nn.Conv2d(w, config.sources * 2, 3, 1, 1)
        self.mix = nn.Conv2d(w, (config.sources + 4) * 4, 3, 1, 1)
        for parameter in (*self.flow.parameters(), *self.mix.parameters()):
            nn.init.zeros_(parameter)
        # The rim belongs to the pose frame, so that the patch has no edge.
        height, width = config.region_hw
        ys, xs = torch.arange(height), torch.arange(width)
        depth = torch.minimum(
            torch.minimum(ys, height - 1 - ys)[:, None], torch.minimum(xs, width - 1 - xs)[None]
        ).float()
        self.inside_HW: Tensor
        self.register_buffer("inside_HW", (depth / 8.0).clamp(0, 1), persistent=False)

    def forward(self, warped_NKCHW: Tensor, outline_N4HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return flow corrections (N, K, 2, H, W) px, weights (N, K, H, W), residual (N, 3, H, W)."""
        seen = torch.cat([warped_NKCHW.flatten(1, 2), outline_N4HW], 1)
        x0 = self.stem(F.pixel_unshuffle(seen, 2))
        x1 = self.down1(x0)
        y1 = self.up1(torch.cat([_up(self.down2(x1)), x1], 1))
        y0 = self.up0(torch.cat([_up(y1), x0], 1))
        flow = _up(torch.tanh(self.flow(y0))) * FLOW_PX * self.inside_HW
        mix = F.pixel_shuffle(self.mix(y0), 2)
        rim = (1.0 - self.inside_HW) * 12.0
        logits = torch.cat([mix[:, :1] + rim, mix[:, 1 : self.count]], 1)
        paint = torch.sigmoid(mix[:, self.count : self.count + 1] - 2.0) * self.inside_HW
        residual = torch.tanh(mix[:, self.count + 1 :]) * RESIDUAL * paint
        return flow.reshape(flow.shape[0], self.count, 2, *flow.shape[2:]), torch.softmax(logits, 1), residual


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def sample(crops_NKCSS: Tensor, maps_NK2HW: Tensor) -> Tensor:
    """Sample source crops (N, K, 3, S, S) at px positions: (N, K, 3, H, W); outside the crop its edge goes on."""
    size = crops_NKCSS.shape[-1]
    grid = (maps_NK2HW.flatten(0, 1).permute(0, 2, 3, 1) * 2.0 + 1.0) / size - 1.0
    taken = F.grid_sample(crops_NKCSS.flatten(0, 1), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return taken.reshape(*crops_NKCSS.shape[:3], *taken.shape[2:])


class Lite(nn.Module):
    """Join voice, warp and picture; this is what is exported."""

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config or LiteConfig()
        self.voice = Voice(self.config)
        self.warp = Warp(self.config)
        self.picture = Picture(self.config)
        self.basis_BV: Tensor
        self.register_buffer("basis_BV", torch.zeros(self.config.coefficients, len(POINTS) * 2))

    def shape(self, mel_N1FT: Tensor, pose_NP2: Tensor, neutral_NP2: Tensor) -> Tensor:
        """Return the pose's shape with its speech replaced by that of `mel`.

        What the basis cannot express (identity, turn of the head) stays as the pose has it.
        """
        heard_NB = self.voice(mel_N1FT) * self.voice.gain
        shown_NB = (pose_NP2 - self.close(neutral_NP2)).flatten(1) @ self.basis_BV.T
        shape: Tensor = pose_NP2 + ((heard_NB - shown_NB) @ self.basis_BV).reshape(pose_NP2.shape)
        return shape

    def close(self, shape_NP2: Tensor) -> Tensor:
        """Shut the lips of a shape that is not quite closed, by the least motion that the basis has for it."""
        upper, lower = GAP
        table = self.basis_BV.reshape(self.config.coefficients, -1, 2)
        gap_B = table[:, lower, 1] - table[:, upper, 1]
        excess = (shape_NP2[:, lower, 1] - shape_NP2[:, upper, 1] - CLOSED_GAP).clamp(min=0.0)
        least_V = (gap_B @ self.basis_BV) / (gap_B @ gap_B).clamp(min=1e-6)
        return shape_NP2 - (excess[:, None] * least_V).reshape(shape_NP2.shape)

    def draw(self, target_NP2: Tensor, crops_NKCSS: Tensor, shapes_NKP2: Tensor) -> LiteOutput:
        """Return maps, weights and residual that show `target_NP2` with the sources' pixels."""
        maps = self.warp(target_NP2, shapes_NKP2)
        warped = sample(crops_NKCSS, maps)
        flow, weights, residual = self.picture(warped, self.warp.outline(target_NP2))
        return LiteOutput(target_NP2, maps + flow, weights, residual)

    def forward(
        self, mel_N1FT: Tensor, crops_NKCSS: Tensor, shapes_NKP2: Tensor, neutral_NP2: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Speak: source 0 is the pose frame, `neutral` this person's shape with the mouth closed.

        Returns shape, maps, weights and residual as in `LiteOutput`, but maps as shares of the crop (0..1 from its left
        and upper edge), so that they hold at any resolution.
        """
        target = self.shape(mel_N1FT, shapes_NKP2[:, 0], neutral_NP2)
        output = self.draw(target, crops_NKCSS, shapes_NKP2)
        shares = (output.maps_NK2HW + 0.5) / self.config.size
        return output.shape_NP2, shares, output.weights_NKHW, output.residual_N3HW


def mixture(output: LiteOutput, crops_NKCSS: Tensor) -> Tensor:
    """Return the picture (N, 3, H, W) that an output describes; at run time this happens at native resolution."""
    taken = sample(crops_NKCSS, output.maps_NK2HW)
    return (taken * output.weights_NKHW[:, :, None]).sum(1) + output.residual_N3HW
