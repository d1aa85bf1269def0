"""The picture networks of lite: what is seen of a past frame once, and what is decided for every new one. Needs torch.

Both work at half the crop's resolution: what is sharp comes from the sources' own pixels. Shape suffixes as in
models.lite.network.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import conv_norm_relu
from models.lite.contract import LiteConfig
from models.lite.warp import enlarge

FLOW_PX = 4.0
"""Bound of the learned correction to the flow, in crop px."""

RESIDUAL = 0.5
"""Bound of the painted residual, in units of full scale."""


class Encoder(nn.Module):
    """See a past frame: its crop (N, 3, S, S) becomes features (N, S/2 * S/2, C), once, when it is stored.

    The first three channels are its colours; the others tell of the detail that halving loses.
    """

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        w = config.width
        self.body = nn.Sequential(conv_norm_relu(12, w), nn.Conv2d(w, config.features - 3, 3, 1, 1))

    def forward(self, crop_N3SS: Tensor) -> Tensor:
        """Return the features, pixel by pixel, channels last."""
        seen = torch.cat([F.avg_pool2d(crop_N3SS, 2), self.body(F.pixel_unshuffle(crop_N3SS, 2))], 1)
        return seen.flatten(2).transpose(1, 2)


class PictureNetwork(nn.Module):
    """Refine, choose and complete warped sources: a small U-Net over the mouth region."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.count = config.sources
        w = config.width
        self.stem = conv_norm_relu(config.sources * config.features + 4, w)
        self.down1 = nn.Sequential(conv_norm_relu(w, 2 * w, 2), conv_norm_relu(2 * w, 2 * w))
        self.down2 = nn.Sequential(conv_norm_relu(2 * w, 3 * w, 2), conv_norm_relu(3 * w, 3 * w))
        self.up1 = conv_norm_relu(5 * w, 2 * w)
        self.up0 = conv_norm_relu(3 * w, w)
        self.flow = nn.Conv2d(w, config.sources * 2, 3, 1, 1)
        self.mix = nn.Conv2d(w, config.sources + 4, 3, 1, 1)
        for parameter in (*self.flow.parameters(), *self.mix.parameters()):
            nn.init.zeros_(parameter)
        # The rim belongs to the pose frame, so that the patch has no edge.
        height, width = config.region_hw
        ys, xs = torch.arange(height), torch.arange(width)
        depth = torch.minimum(
            torch.minimum(ys, height - 1 - ys)[:, None], torch.minimum(xs, width - 1 - xs)[None]
        ).float()
        inside = (depth / 8.0).clamp(0, 1)
        self.inside_hw: Tensor
        # The least of four: a mean would move the rim itself.
        self.register_buffer("inside_hw", -F.max_pool2d(-inside[None, None], 2)[0, 0], persistent=False)

    def forward(self, warped_NKChw: Tensor, outline_N4hw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return flow corrections (N, K, 2, h, w) px, weights (N, K, h, w), residual (N, 3, h, w).

        Nothing is painted at full resolution: a network that may do so makes up grain where the real mouth has teeth.
        """
        x0 = self.stem(torch.cat([warped_NKChw.flatten(1, 2), outline_N4hw], 1))
        x1 = self.down1(x0)
        y1 = self.up1(torch.cat([enlarge(self.down2(x1)), x1], 1))
        y0 = self.up0(torch.cat([enlarge(y1), x0], 1))
        flow = torch.tanh(self.flow(y0)) * FLOW_PX * self.inside_hw
        mix = self.mix(y0)
        rim = (1.0 - self.inside_hw) * 12.0
        logits = torch.cat([mix[:, :1] + rim, mix[:, 1 : self.count]], 1)
        paint = torch.sigmoid(mix[:, self.count : self.count + 1] - 2.0) * self.inside_hw
        residual = torch.tanh(mix[:, self.count + 1 :]) * RESIDUAL * paint
        # A softmax over few channels of many pixels is slow in ONNX Runtime; its sum is not.
        chosen = torch.exp(logits.clamp(-30.0, 30.0))
        flow = flow.reshape(flow.shape[0], self.count, 2, *flow.shape[-2:])
        return flow, chosen / chosen.sum(1, keepdim=True), residual
