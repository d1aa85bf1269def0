"""The colour SyncNet expert of Wav2Lip: does this mouth say this sound? Needs torch."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from models.blocks import BlockStage, audio_stages, build_chain, widened
from models.expert.contract import FACE_HW, ExpertConfig, region_px

FACE_STAGES: Final = (
    BlockStage(32, kernel=7, padding=3),
    BlockStage(64, kernel=5, stride=(1, 2), residual=2),
    BlockStage(128, stride=2, residual=3),
    BlockStage(256, stride=2, residual=2),
    BlockStage(512, stride=2, residual=2),
    BlockStage(512, stride=2),
    BlockStage(512, padding=0),
    BlockStage(512, kernel=1, padding=0),
)
"""Encoder of the stacked lower faces, 48x96 px down to 1."""


class SyncNet(nn.Module):
    """Embed a moment's sound and the lower faces of the same moment, so that their cosine says how well they agree.

    The last layer is rectified before normalisation, so a cosine lies in 0..1. Architecture: Prajwal et al. 2020 after
    Chung and Zisserman, "Out of time" (2016). The default config is the public network, 200 ms and 16,435,072
    parameters; fewer frames or less width keep its keys.
    """

    def __init__(self, config: ExpertConfig | None = None) -> None:
        super().__init__()
        self.config = config or ExpertConfig()
        sound = audio_stages(deep_residual=2, strides=self.config.strides)
        self.face_encoder = build_chain(3 * self.config.frames, widened(FACE_STAGES, self.config.width))
        self.audio_encoder = build_chain(1, widened(sound, self.config.width))

    def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings of sound and mouth.

        Args:
            mel: (N, 1, 80, columns), exactly the frames' own columns (16 for five).
            face: (N, 3 * frames, 48, 96), BGR lower faces stacked in time, 0..1.

        Returns:
            audio (N, E) and video (N, E), L2-normalised; E is 512 at width 1.
        """
        audio = functional.normalize(self.audio_encoder(mel).flatten(1), dim=1)
        video = functional.normalize(self.face_encoder(face).flatten(1), dim=1)
        return audio, video


def see(crops: Tensor, config: ExpertConfig) -> Tensor:
    """Cut what an expert sees out of aligned crops, so that gradients flow back into them.

    Args:
        crops: (N, T, 3, S, S) BGR, 0..1, T the expert's frames.
        config: of the expert.

    Returns:
        (N, 3 * T, 48, 96), as `models.expert.contract.lower_faces` and `stack_frames` cut it (to within a grey level or
        two where it shrinks).
    """
    flat = crops.flatten(1, 2)
    left, top, right, bottom = region_px(config, crops.shape[-1])
    part = flat[..., top:bottom, left:right]
    shrinks = right - left > FACE_HW[1]
    return functional.interpolate(part, FACE_HW, mode="bilinear", align_corners=False, antialias=shrinks)
