"""Where the lips are: weight maps of mean one for the picture losses."""

import torch
from torch import Tensor

from models.landmarks import LIPS_INNER, LIPS_OUTER

OUTLINE_GAINS = (1.0, 1.0, 0.5, 1.5)
"""What outer lips, inner lips, jaw and the opening between the lips add to a pixel's weight."""

_REACH = 0.25
"""Distance, in mouth widths, over which a lip point's weight fades: the mouth's inside lies within it."""


def normalised(weights_N1HW: Tensor) -> Tensor:
    """Scale each picture's weights to mean one, so that a face near the camera does not count more."""
    mean = weights_N1HW.mean(dim=(1, 2, 3), keepdim=True)
    return weights_N1HW / mean.clamp(min=1e-6)


def outline_weights(outline_N4HW: Tensor, floor: float = 0.25) -> Tensor:
    """Return weights (N, 1, H, W), mean one, from the maps of `Warp.outline`; `floor` is far from all."""
    gains = outline_N4HW.new_tensor(OUTLINE_GAINS)[None, :, None, None]
    return normalised(floor + (outline_N4HW * gains).sum(1, keepdim=True))


def landmark_weights(landmarks_NP2: Tensor, size: tuple[int, int], floor: float = 0.25, gain: float = 1.0) -> Tensor:
    """Return weights (N, 1, H, W), mean one, that are greatest on and between the lips.

    Args:
        landmarks_NP2: FaceMesh points (N, 468, 2) in px of the picture.
        size: height and width of the picture.
        floor: weight far from the lips, before scaling.
        gain: what the lips add to it.
    """
    height, width = size
    lips_NQ2 = landmarks_NP2[:, list(LIPS_OUTER + LIPS_INNER)]
    reach_N1 = _REACH * (lips_NQ2[..., 0].amax(1) - lips_NQ2[..., 0].amin(1)).clamp(min=1.0)[:, None, None]
    xs = torch.arange(width, dtype=lips_NQ2.dtype, device=lips_NQ2.device)
    ys = torch.arange(height, dtype=lips_NQ2.dtype, device=lips_NQ2.device)
    across_NQW = (xs - lips_NQ2[..., 0:1]) ** 2
    down_NQH = (ys - lips_NQ2[..., 1:2]) ** 2
    nearest_NHW = (down_NQH[..., :, None] + across_NQW[..., None, :]).amin(1)
    near = torch.exp(-nearest_NHW / (2.0 * reach_N1**2))
    return normalised((floor + gain * near)[:, None])
