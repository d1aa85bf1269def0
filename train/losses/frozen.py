"""The loss that a frozen network gives: the sync expert's."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NEVER = 1e-4
"""Least probability that a cosine stands for."""


class SyncExpert(Protocol):
    """A sync expert: mel (N, 1, 80, columns) and stacked lower faces (N, 3 Tv, H, W) to unit embeddings (N, E) each."""

    def __call__(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return audio and video embeddings."""


class Frozen(nn.Module):
    """A network that never learns: no parameter takes gradients, and it stays in evaluation mode.

    The network is kept out of `modules()` and `state_dict()`, so that neither an optimiser nor a checkpoint of what
    uses the loss ever meets it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a tuple, where torch does not look for submodules.
        self._held = (network.requires_grad_(False),)

    def network_for(self, inputs: Tensor) -> nn.Module:
        """Return the network on the device of `inputs`, in evaluation mode whatever was done to it outside."""
        return self._held[0].to(inputs.device).eval()


class SyncLoss(Frozen):
    """Ask a frozen expert whether mouths say what is heard.

    BCE against 1 of the cosine of both embeddings, -log cosine, as Wav2Lip trains (Prajwal et al. 2020, E_sync): 0 when
    sure, ln 2 at a cosine of one half. The expert's embeddings are rectified, so that a cosine lies in 0..1. Gradients
    reach the faces and nothing else.
    """

    def forward(self, mel: Tensor, faces: Tensor, speech: Tensor | None = None) -> Tensor:
        """Return the mean over windows with speech; 0, still joined to `faces`, when there are none.

        Args:
            mel: (N, 1, 80, columns), exactly the sound of the windows' frames.
            faces: (N, 3 Tv, H, W) as the expert takes them (`stack_lower`).
            speech: (N,) bool, windows that count. In silence an expert has no opinion, and a generator that must
                please it draws what is not there.
        """
        if speech is not None:
            if not bool(speech.any()):
                return faces.sum() * 0.0
            mel, faces = mel[speech], faces[speech]
        audio, video = self.network_for(faces)(mel, faces)
        cosine = F.cosine_similarity(audio.float(), video.float()).clamp(min=0.0)
        # Rectified embeddings can be orthogonal, where the logarithm's gradient would be infinite.
        return -torch.log((1.0 - _NEVER) * cosine + _NEVER).mean()


def stack_lower(frames_NTCHW: Tensor) -> Tensor:
    """Stack the lower halves of windows (N, T, 3, H, W) as channels, first frame first: (N, 3 T, H/2, W)."""
    return frames_NTCHW[..., frames_NTCHW.shape[-2] // 2 :, :].flatten(1, 2)
