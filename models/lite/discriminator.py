"""A small discriminator of mouth regions that judges patches, for training the lite generator. Needs torch."""

from typing import Final

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

GAIN: Final = 2.0
"""What follows each rectifier: a normalised layer shrinks all but one direction, and scores near zero teach nobody."""


class PatchDiscriminator(nn.Module):
    """Score how real each patch of a mouth region looks; 166,753 parameters at the default width.

    Three strided convolutions and a scoring one; a score sees 38x38 px, about a lip and the teeth behind it. Every
    layer is spectrally normalised (Miyato et al. 2018), which keeps its gradients usable with few pictures and needs no
    batch statistics. Patches after Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
    2017.
    """

    def __init__(self, channels: int = 3, width: int = 32) -> None:
        """Take `channels` maps, such as BGR, or BGR and the outline that it was drawn for."""
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1))
            for inputs, outputs in zip(widths, widths[1:], strict=False)
        )
        self.act = nn.LeakyReLU(0.2)
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return scores (N, 1, H/8, W/8), unbounded and positive for real, of pictures (N, channels, H, W) 0..1."""
        x = 2.0 * pictures - 1.0
        for layer in self.layers:
            x = GAIN * self.act(layer(x))
        scores: Tensor = self.score(x)
        return scores
