"""The stock Wav2Lip generator, key for key loadable from the public checkpoints. Needs torch."""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

from models.blocks import BlockStage, ConvBlock, audio_stages, build_chain, build_stage, widened
from models.expert.contract import channels

FACE_STAGES: Final = (
    (BlockStage(16, kernel=7, padding=3),),
    (BlockStage(32, stride=2, residual=2),),
    (BlockStage(64, stride=2, residual=3),),
    (BlockStage(128, stride=2, residual=2),),
    (BlockStage(256, stride=2, residual=2),),
    (BlockStage(512, stride=2, residual=1),),
    (BlockStage(512, padding=0), BlockStage(512, kernel=1, padding=0)),
)
"""Encoder of the six-channel face, 96 px down to 1; each group's result is a skip connection."""

DECODER_STAGES: Final = (
    BlockStage(512, kernel=1, padding=0),
    BlockStage(512, padding=0, residual=1, up=True),
    BlockStage(512, stride=2, residual=2, up=True),
    BlockStage(384, stride=2, residual=2, up=True),
    BlockStage(256, stride=2, residual=2, up=True),
    BlockStage(128, stride=2, residual=2, up=True),
    BlockStage(64, stride=2, residual=2, up=True),
)
"""Decoder of the audio embedding, 1 px up to 96; each group's result is joined with the face's of the same size."""


class Wav2Lip(nn.Module):
    """Paint the lower half of a face from 200 ms of mel.

    Images are BGR, 0..1. Of the six face channels the first three are the target with its lower half zeroed, the last
    three the reference. Architecture: Prajwal et al. 2020; 36,298,035 parameters at width 1, the public network.
    Another `width` scales every layer's channels and keeps inputs, outputs and keys.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        faces = [widened(group, width) for group in FACE_STAGES]
        decoder = widened(DECODER_STAGES, width)
        sound = widened(audio_stages(deep_residual=1), width)
        last = channels(32, width)
        self.face_encoder_blocks = _encoder(faces)
        self.audio_encoder = build_chain(1, sound)
        self.face_decoder_blocks = _decoder(sound[-1].channels, decoder, faces)
        self.output_block = nn.Sequential(
            ConvBlock(decoder[-1].channels + faces[0][-1].channels, BlockStage(last)),
            nn.Conv2d(last, 3, 1),
            nn.Sigmoid(),
        )

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """Return frames for mel windows.

        Args:
            mel: (N, 1, 80, 16), or (B, T, 1, 80, 16) for clips of T frames.
            face: (N, 6, 96, 96), or (B, 6, T, 96, 96).

        Returns:
            (N, 3, 96, 96), or (B, 3, T, 96, 96); 0..1.
        """
        if face.dim() == 4:
            return self._frames(mel, face)
        clips, frames = face.shape[0], face.shape[2]
        # Time-major as in the published training code, so that batch-norm statistics see the same order.
        flat_mel = mel.transpose(0, 1).flatten(0, 1)
        flat_face = face.permute(2, 0, 1, 3, 4).flatten(0, 1)
        painted = self._frames(flat_mel, flat_face)
        return painted.reshape(frames, clips, *painted.shape[1:]).permute(1, 2, 0, 3, 4)

    def _frames(self, mel: Tensor, face: Tensor) -> Tensor:
        skips = []
        for encode in self.face_encoder_blocks:
            face = encode(face)
            skips.append(face)
        x = self.audio_encoder(mel)
        for decode, skip in zip(self.face_decoder_blocks, reversed(skips), strict=True):
            x = torch.cat((decode(x), skip), dim=1)
        frames: Tensor = self.output_block(x)
        return frames


def _encoder(groups: Iterable[list[BlockStage]]) -> nn.ModuleList:
    blocks, width = nn.ModuleList(), 6
    for group in groups:
        blocks.append(build_chain(width, group))
        width = group[-1].channels
    return blocks


def _decoder(width: int, stages: Iterable[BlockStage], faces: Iterable[list[BlockStage]]) -> nn.ModuleList:
    blocks = nn.ModuleList()
    skips = [group[-1].channels for group in reversed(list(faces))]
    for stage, skip in zip(stages, skips, strict=True):
        blocks.append(nn.Sequential(*build_stage(width, stage)))
        width = stage.channels + skip
    return blocks
