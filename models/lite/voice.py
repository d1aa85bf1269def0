"""The hearing of lite: from a mel window to a mouth shape. Needs torch."""

import torch
from torch import Tensor, nn

from models.blocks import conv_norm_relu
from models.lite.contract import LiteConfig


class Residual(nn.Module):
    """Two convolutions around which the input passes by (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return torch.relu(x + self.second(self.first(x)))


class VoiceNetwork(nn.Module):
    """Tell mouth-shape coefficients (N, coefficients) from a mel window (N, 1, 80, columns)."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        columns = config.columns
        self.body = nn.Sequential(
            # Over frequency coarse at once: formants are wide, and what is halved early is cheap everywhere after.
            conv_norm_relu(1, 24, (4, 1), (7, 3)),
            conv_norm_relu(24, 64, 2),
            Residual(64),
            conv_norm_relu(64, 128, 2),
            Residual(128),
            conv_norm_relu(128, 128, 2),
            nn.Flatten(),
            nn.Dropout(0.3),
        )
        for _ in range(3):
            columns = (columns + 1) // 2
        self.head = nn.Sequential(
            nn.Linear(128 * 3 * columns, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
            nn.Linear(256, config.coefficients),
        )
        # Regression under-articulates by its own correlation; the trainer measures that and sets the gain.
        self.gain: Tensor
        self.register_buffer("gain", torch.ones(config.coefficients))

    def forward(self, mel_N1FT: Tensor) -> Tensor:
        """Return coefficients before the gain is applied: the trainer compares these with the truth."""
        coefficients: Tensor = self.head(self.body(mel_N1FT / 4.0))
        return coefficients
