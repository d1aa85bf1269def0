"""The voice of lite: from what the ears hear to a mouth shape. Needs torch."""

import torch
from torch import Tensor, nn

from models.lite.contract import LiteConfig


class VoiceNetwork(nn.Module):
    """Tell mouth-shape coefficients from a window of what is heard (models.ears), (N, heard, columns).

    The ears know voices; this knows mouths, and is small, because it learns from few people's. Its last layer is linear
    in `hidden` numbers, so that a caller's own can be fitted in closed form while they are seen speaking
    (realtime.face.caller).
    """

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.mean_R: Tensor
        self.scale_R: Tensor
        self.register_buffer("mean_R", torch.zeros(config.heard))
        self.register_buffer("scale_R", torch.ones(config.heard))
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(config.heard * config.columns, config.hidden),
            nn.ReLU(inplace=True),
        )
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(config.hidden, config.coefficients)
        # Regression under-articulates by its own correlation; the trainer measures that and sets the gain.
        self.gain: Tensor
        self.register_buffer("gain", torch.ones(config.coefficients))

    def hidden(self, heard_NRC: Tensor) -> Tensor:
        """Return the numbers (N, hidden) from which the coefficients follow."""
        hidden: Tensor = self.body((heard_NRC - self.mean_R[:, None]) / self.scale_R[:, None])
        return hidden

    def forward(self, heard_NRC: Tensor) -> Tensor:
        """Return coefficients (N, coefficients) before the gain: the trainer compares these with the truth."""
        coefficients: Tensor = self.last(self.drop(self.hidden(heard_NRC)))
        return coefficients
