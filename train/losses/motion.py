"""How a mouth moves from frame to frame, against the real one or against its sound."""

import torch
from torch import Tensor

_STILL = 1e-8
"""Energy of motion below which a sequence has no direction to correlate with."""


def temporal_loss(made_NTCHW: Tensor, truth_NTCHW: Tensor, weights_NT1HW: Tensor | None = None) -> Tensor:
    """Return the L1 between the changes of successive frames, made and real, weighted by where the mouth is.

    A constant error costs nothing here, flicker does, and so does a mouth that stands still while the real one moves.
    A pixel counts by the mean of its weights in the two frames.

    Raises:
        ValueError: fewer than two frames.
    """
    if made_NTCHW.shape[1] < 2:
        raise ValueError("a temporal loss needs at least two frames")
    error = (made_NTCHW.diff(dim=1) - truth_NTCHW.diff(dim=1)).abs()
    if weights_NT1HW is None:
        return error.mean()
    return (0.5 * (weights_NT1HW[:, 1:] + weights_NT1HW[:, :-1]) * error).mean()


def correlation_loss(heard: Tensor, shown: Tensor, inside_NT: Tensor | None = None) -> Tensor:
    """Return 1 - correlation of the time derivatives of two sequences: 0 when they move together, 2 when against.

    Chen et al., "Lip Movements Generation at a Glance" (2018, arXiv 1803.10404), compare the derivative of sound
    features with that of the mouth (there: encoded optical flow) by their cosine. Two forms of it:

    - geometric, (N, T): the lip gap that the sound calls for (or that the real mouth has) and the gap that is shown;
      then it is Pearson's correlation of the two speeds, and tells nothing about how far the mouth opens;
    - features, (N, T, E): the expert's audio and video embeddings, one window per frame; derivatives of all features
      count together.

    Derivatives are centred over time, so that a drift counts for nothing. Sequences of `heard` that stand still are
    left out: there is nothing to follow.

    Args:
        heard: (N, T) or (N, T, E), what is to be followed.
        shown: the same shape, what moves.
        inside_NT: frames that count, bool, such as those inside speech; None is all. A change counts when both of its
            frames do.

    Raises:
        ValueError: shapes differ, or fewer than three frames.
    """
    if heard.shape != shown.shape or heard.shape[1] < 3:
        raise ValueError(f"sequences {tuple(heard.shape)} and {tuple(shown.shape)} cannot be correlated over time")
    counts_NT1 = heard.new_ones(heard.shape[0], heard.shape[1] - 1, 1)
    if inside_NT is not None:
        counts_NT1 = (inside_NT[:, 1:] & inside_NT[:, :-1])[..., None].to(heard.dtype)
    leader, follower = (_speed(values, counts_NT1) for values in (heard, shown))
    energy_N = (leader**2).sum(dim=(1, 2))
    moving = energy_N > _STILL
    if not bool(moving.any()):
        return shown.sum() * 0.0
    shared_N = (leader * follower).sum(dim=(1, 2))
    scale_N = torch.sqrt(energy_N * (follower**2).sum(dim=(1, 2)) + _STILL**2)
    return (1.0 - shared_N / scale_N)[moving].mean()


def _speed(values: Tensor, counts_NT1: Tensor) -> Tensor:
    """Return centred derivatives (N, T - 1, E), zero where they do not count."""
    speed_NTE = values.reshape(*values.shape[:2], -1).diff(dim=1)
    mean_N1E = (speed_NTE * counts_NT1).sum(1, keepdim=True) / counts_NT1.sum(1, keepdim=True).clamp(min=1.0)
    return (speed_NTE - mean_N1E) * counts_NT1
