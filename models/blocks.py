"""The layers that Wav2Lip's networks are made of, built from tables.

Architecture after Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild" (2020)
and its public checkpoints: the module names here (`conv_block.0` convolution, `conv_block.1` batch norm) are their key
names. Needs torch.
"""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn

from models.expert.contract import channels

Pair = int | tuple[int, int]


class BlockStage(NamedTuple):
    """What one stage of a network is: a convolution, then residual ones of the same width.

    Attributes:
        channels: width that the stage puts out.
        kernel: kernel size of the first convolution (the residual ones are 3x3).
        stride: stride of the first convolution.
        padding: padding of the first convolution.
        residual: number of residual convolutions after it.
        up: whether the first convolution is transposed (with stride 2 it doubles height and width exactly).
    """

    channels: int
    kernel: int = 3
    stride: Pair = 1
    padding: int = 1
    residual: int = 0
    up: bool = False


class ConvBlock(nn.Module):
    """Convolve, normalise, add the input where residual, rectify."""

    def __init__(self, width_in: int, stage: BlockStage, *, skip: bool = False) -> None:
        super().__init__()
        geometry = (width_in, stage.channels, stage.kernel, stage.stride, stage.padding)
        convolution: nn.Module
        if stage.up:
            convolution = nn.ConvTranspose2d(*geometry, output_padding=1 if stage.stride == 2 else 0)
        else:
            convolution = nn.Conv2d(*geometry)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(stage.channels))
        self.act = nn.ReLU()
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H', W') for x (N, C, H, W)."""
        y: Tensor = self.conv_block(x)
        rectified: Tensor = self.act(y + x if self.skip else y)
        return rectified


class PlainBlock(nn.Module):
    """Convolve and rectify leakily, without normalisation (the discriminator's layer)."""

    def __init__(self, width_in: int, stage: BlockStage) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(width_in, stage.channels, stage.kernel, stage.stride, stage.padding))
        self.act = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H', W') for x (N, C, H, W)."""
        y: Tensor = self.act(self.conv_block(x))
        return y


def build_stage(width_in: int, stage: BlockStage) -> list[nn.Module]:
    """Build a stage's blocks in order, the first one taking `width_in` channels."""
    blocks: list[nn.Module] = [ConvBlock(width_in, stage)]
    blocks += [ConvBlock(stage.channels, BlockStage(stage.channels), skip=True) for _ in range(stage.residual)]
    return blocks


def build_chain(width_in: int, stages: Iterable[BlockStage]) -> nn.Sequential:
    """Build stages one after the other, numbered through (`N.conv_block...`)."""
    blocks: list[nn.Module] = []
    for stage in stages:
        blocks += build_stage(width_in, stage)
        width_in = stage.channels
    return nn.Sequential(*blocks)


def audio_stages(deep_residual: int, strides: tuple[int, int] = (3, 2)) -> tuple[BlockStage, ...]:
    """Return the audio encoder's table: mel (N, 1, 80, T) to (N, 512, 1, 1).

    Args:
        deep_residual: residual blocks at width 256: 1 in the generator, 2 in the expert.
        strides: of its third and fourth stage in time, so that T columns become three: (3, 2) for 16.
    """
    third, fourth = strides
    return (
        BlockStage(32, residual=2),
        BlockStage(64, stride=(3, 1), residual=2),
        BlockStage(128, stride=(3, third), residual=2),
        BlockStage(256, stride=(3, fourth), residual=deep_residual),
        BlockStage(512, padding=0),
        BlockStage(512, kernel=1, padding=0),
    )


def widened(stages: Iterable[BlockStage], width: float) -> list[BlockStage]:
    """Return stages with `width` times their channels (models.expert.contract.channels)."""
    return [stage._replace(channels=channels(stage.channels, width)) for stage in stages]


def conv_norm_relu(inputs: int, outputs: int, stride: Pair = 1, kernel: tuple[int, int] = (3, 3)) -> nn.Sequential:
    """Return a convolution (odd kernel), batch norm and ReLU: the layer of the lite networks."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
