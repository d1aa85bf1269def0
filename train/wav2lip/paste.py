"""Put made face boxes back into their aligned crops, so that gradients flow through."""

import torch
from torch import Tensor
from torch.nn import functional as F


def paste(made: Tensor, crops: Tensor, boxes: Tensor) -> Tensor:
    """Replace what lies in the lower half of a box by the made box, bilinearly.

    Args:
        made: (N, T, 3, B, B) boxes, 0..1.
        crops: (N, T, 3, S, S) the crops they were cut from, 0..1.
        boxes: (N, 2, 3) from crop px to box px, pixel centres at whole numbers; without rotation.

    Returns:
        (N, T, 3, S, S).
    """
    side, size = made.shape[-1], crops.shape[-1]
    px = torch.arange(size, dtype=boxes.dtype, device=boxes.device)
    across_NS = px * boxes[:, 0, 0, None] + boxes[:, 0, 2, None]
    down_NS = px * boxes[:, 1, 1, None] + boxes[:, 1, 2, None]
    shape = (len(boxes), size, size)
    grid = torch.stack([across_NS[:, None, :].expand(shape), down_NS[:, :, None].expand(shape)], -1)
    grid = (grid * 2.0 + 1.0) / side - 1.0
    # The frames of a window lie as channels: they share the grid.
    taken = F.grid_sample(made.flatten(1, 2), grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside_NS = (across_NS >= -0.5) & (across_NS <= side - 0.5)
    lower_NS = (down_NS >= side / 2 - 0.5) & (down_NS <= side - 0.5)
    where = (lower_NS[:, :, None] & inside_NS[:, None, :])[:, None]
    return torch.where(where, taken, crops.flatten(1, 2)).reshape(crops.shape)
