"""The visual quality discriminator of Wav2Lip's GAN training. Needs torch."""

from typing import Final

from torch import Tensor, nn

from models.blocks import BlockStage, PlainBlock

STAGES: Final = (
    (BlockStage(32, kernel=7, padding=3),),
    (BlockStage(64, kernel=5, stride=(1, 2), padding=2), BlockStage(64, kernel=5, padding=2)),
    (BlockStage(128, kernel=5, stride=2, padding=2), BlockStage(128, kernel=5, padding=2)),
    (BlockStage(256, kernel=5, stride=2, padding=2), BlockStage(256, kernel=5, padding=2)),
    (BlockStage(512, stride=2), BlockStage(512)),
    (BlockStage(512, stride=2), BlockStage(512)),
    (BlockStage(512, padding=0), BlockStage(512, kernel=1, padding=0)),
)
"""Encoder of one lower half, 48x96 px down to 1."""


class QualityDiscriminator(nn.Module):
    """Say how real the lower half of a face looks. Architecture: Prajwal et al. 2020; 14,113,793 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList()
        width = 3
        for group in STAGES:
            blocks = nn.Sequential()
            for stage in group:
                blocks.append(PlainBlock(width, stage))
                width = stage.channels
            self.face_encoder_blocks.append(blocks)
        self.binary_pred = nn.Sequential(nn.Conv2d(width, 1, 1), nn.Sigmoid())

    def forward(self, frames: Tensor) -> Tensor:
        """Return the probability that each frame is real.

        Args:
            frames: (N, 3, 96, 96), or clips (B, 3, T, 96, 96), BGR, 0..1; only the lower half is looked at.

        Returns:
            (N, 1), or (T B, 1) time-major; 0..1.
        """
        if frames.dim() == 5:
            frames = frames.permute(2, 0, 1, 3, 4).flatten(0, 1)
        x = frames[:, :, frames.shape[2] // 2 :]
        for block in self.face_encoder_blocks:
            x = block(x)
        probability: Tensor = self.binary_pred(x).flatten(1)
        return probability
