"""Other voices and rooms than the corpus has, made from its mel."""

import torch
from torch import Tensor

from models.alignment import SILENCE


def augment_mel(mel_NFT: Tensor, generator: torch.Generator) -> Tensor:
    """Make other voices and rooms: formant shift, loudness, spectral tilt and ripple, background noise."""
    batch, bins, _ = mel_NFT.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(batch, 1, 1, generator=generator) * (high - low) + low

    stretch, offset = uniform(0.85, 1.18), uniform(-2.0, 2.0)
    place = (torch.arange(bins)[None, :, None] * stretch + offset).clamp(0, bins - 1)
    low = place.floor().long().expand_as(mel_NFT)
    high = (low + 1).clamp(max=bins - 1)
    mel = mel_NFT.gather(1, low) + (mel_NFT.gather(1, high) - mel_NFT.gather(1, low)) * (place - low)
    across = torch.linspace(-1, 1, bins)[None, :, None]
    # A microphone's and a room's colour: slopes and slow waves over frequency.
    ripple = uniform(0.0, 0.4) * torch.cos(torch.pi * (uniform(0.5, 4.0) * across + uniform(0.0, 2.0)))
    # 1.6 in mel units is 20 dB: +-16 dB of level, noise 30 to 70 dB below full scale.
    mel = mel + uniform(-1.3, 1.0) + across * uniform(-0.5, 0.5) + ripple
    noise = uniform(-6.0, -1.5) + 0.25 * torch.randn(mel.shape, generator=generator)
    return torch.maximum(mel, noise).clamp(SILENCE, 4.0)
