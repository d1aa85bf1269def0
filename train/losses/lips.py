"""Where the lips are: weight maps of mean one for the picture losses."""

from torch import Tensor

OUTLINE_GAINS = (1.0, 1.0, 0.5, 1.5)
"""What outer lips, inner lips, jaw and the opening between the lips add to a pixel's weight."""


def normalised(weights_N1HW: Tensor) -> Tensor:
    """Scale each picture's weights to mean one, so that a face near the camera does not count more."""
    mean = weights_N1HW.mean(dim=(1, 2, 3), keepdim=True)
    return weights_N1HW / mean.clamp(min=1e-6)


def outline_weights(outline_N4HW: Tensor, floor: float = 0.25) -> Tensor:
    """Return weights (N, 1, H, W), mean one, from the maps of `Warp.outline`; `floor` is far from all."""
    gains = outline_N4HW.new_tensor(OUTLINE_GAINS)[None, :, None, None]
    return normalised(floor + (outline_N4HW * gains).sum(1, keepdim=True))
