"""What draws in lite: sources are seen once, then moved, chosen and completed for every new shape. Needs torch.

Shape suffixes as in models.lite.network.
"""

from typing import NamedTuple

from torch import Tensor, nn

from models.lite.contract import LiteConfig
from models.lite.picture import Encoder, PictureNetwork
from models.lite.warp import Warp, channels_last, enlarge, sample


class Drawing(NamedTuple):
    """How a picture is made of its sources.

    `flow_NK2hw` where to sample each source relative to the pixel (px of the aligned crop); `weights_NKhw` sum to 1
    over K; `residual_N3hw` is added to the mixture. All are smooth and enlarged to the picture's resolution.
    """

    flow_NK2hw: Tensor
    weights_NKhw: Tensor
    residual_N3hw: Tensor


class Painter(nn.Module):
    """Draw mouth shapes with a person's own pixels."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        self.warp = Warp(config)
        self.encoder = Encoder(config)
        self.picture = PictureNetwork(config)

    def see(self, crops_NKCSS: Tensor) -> Tensor:
        """Return the features (N, K, G, C) of sources."""
        features: Tensor = self.encoder(crops_NKCSS.flatten(0, 1))
        return features.reshape(*crops_NKCSS.shape[:2], *features.shape[1:])

    def draw(self, target_NP2: Tensor, features_NKGC: Tensor, shapes_NKP2: Tensor) -> Drawing:
        """Say how `target_NP2` is shown with the sources' pixels."""
        flow = self.warp(target_NP2, shapes_NKP2)
        warped = sample(features_NKGC, flow + self.warp.half_2HW, self.config.size, self.config.size // 2)
        correction, weights, residual = self.picture(warped, self.warp.outline(target_NP2))
        return Drawing(flow + correction, weights, residual)

    def forward(self, targets_NTP2: Tensor, crops_NKCSS: Tensor, shapes_NKP2: Tensor) -> Drawing:
        """Draw T shapes from the same sources, which are seen once: a drawing of N * T pictures."""
        times = targets_NTP2.shape[1]
        features = self.see(crops_NKCSS).repeat_interleave(times, 0)
        return self.draw(targets_NTP2.flatten(0, 1), features, shapes_NKP2.repeat_interleave(times, 0))

    def mixture(self, drawing: Drawing, crops_NKCSS: Tensor) -> Tensor:
        """Return the picture (N, 3, H, W) that a drawing describes; at run time this happens at native resolution."""
        size = self.config.size
        taken = sample(channels_last(crops_NKCSS), self.warp.maps(drawing.flow_NK2hw), size, size)
        return (taken * enlarge(drawing.weights_NKhw)[:, :, None]).sum(1) + enlarge(drawing.residual_N3hw)
