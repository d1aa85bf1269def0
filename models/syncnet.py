"""The colour SyncNet expert of Wav2Lip: does this mouth say this sound? Needs torch."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from models.blocks import Stage, audio_stages, build_chain

FRAMES: Final = 5
"""Frames of one judgement (200 ms at 25 fps)."""

FACE_STAGES: Final = (
    Stage(32, kernel=7, padding=3),
    Stage(64, kernel=5, stride=(1, 2), residual=2),
    Stage(128, stride=2, residual=3),
    Stage(256, stride=2, residual=2),
    Stage(512, stride=2, residual=2),
    Stage(512, stride=2),
    Stage(512, padding=0),
    Stage(512, kernel=1, padding=0),
)
"""Encoder of five stacked lower halves, 48x96 px down to 1."""


class SyncNet(nn.Module):
    """Embed 200 ms of mel and the five lower faces of the same 200 ms, so that their cosine says how well they agree.

    The last layer is rectified before normalisation, so a cosine lies in 0..1. Architecture: Prajwal et al. 2020 after
    Chung and Zisserman, "Out of time" (2016); 16,435,072 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder = build_chain(3 * FRAMES, FACE_STAGES)
        self.audio_encoder = build_chain(1, audio_stages(deep_residual=2))

    def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings of sound and mouth.

        Args:
            mel: (N, 1, 80, 16), exactly the five frames' 16 columns.
            face: (N, 15, 48, 96), five BGR lower halves stacked in time, 0..1.

        Returns:
            audio (N, 512) and video (N, 512), L2-normalised.
        """
        audio = functional.normalize(self.audio_encoder(mel).flatten(1), dim=1)
        video = functional.normalize(self.face_encoder(face).flatten(1), dim=1)
        return audio, video
