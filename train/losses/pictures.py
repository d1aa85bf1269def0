"""How near a picture is to the real one: pixels, edges, structure, sharpness. Weights say where that matters."""

from torch import Tensor
from torch.nn import functional as F

_GREY = (0.114, 0.587, 0.299)
"""BGR to luma (ITU-R BT.601)."""

_NOISE = 1e-4
"""Energy of the Laplacian that an even patch of camera noise has (about 0.5 of 255 per pixel): the floor of ratios."""

_STABLE_MEAN, _STABLE_SPREAD = 0.01**2, 0.03**2
_SSIM_PX = 7


def weighted_l1(made_NCHW: Tensor, truth_NCHW: Tensor, weights_N1HW: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference, each pixel counted by its weight (None: all alike).

    Weights of mean one (`train.losses.lips.normalised`) keep the scale of plain L1.
    """
    error = (made_NCHW - truth_NCHW).abs()
    return error.mean() if weights_N1HW is None else (weights_N1HW * error).mean()


def edge_l1(made_NCHW: Tensor, truth_NCHW: Tensor, weights_N1HW: Tensor | None = None) -> Tensor:
    """Return the weighted L1 of both spatial gradients: blind to brightness, strict about where an edge lies."""
    weights = made_NCHW.new_ones(1, 1, *made_NCHW.shape[-2:]) if weights_N1HW is None else weights_N1HW
    error = made_NCHW - truth_NCHW
    across = (weights[..., 1:] * error.diff(dim=-1).abs()).mean()
    down = (weights[..., 1:, :] * error.diff(dim=-2).abs()).mean()
    return across + down


def structure_loss(
    made_NCHW: Tensor, truth_NCHW: Tensor, weights_N1HW: Tensor | None = None, scales: int = 3
) -> Tensor:
    """Return 1 - SSIM, averaged over an octave pyramid: 0 for equal pictures, about 1 for unrelated ones, at most 2.

    This is the perceptual loss that needs no pretrained network (none with ImageNet weights comes with a package): it
    compares local contrast and pattern rather than values, at the sizes of a tooth, a lip and a mouth.

    Windows are 7x7 boxes: a Gaussian costs more and measures the same here. Source: Z. Wang et al., "Multiscale
    structural similarity for image quality assessment", 2003; averaged over scales instead of multiplied, so that one
    scale gone wrong does not still the others' gradients.

    Raises:
        ValueError: a picture too small for `scales` (7 px at the coarsest).
    """
    if min(made_NCHW.shape[-2:]) >> (scales - 1) < _SSIM_PX:
        raise ValueError(f"pictures of {tuple(made_NCHW.shape[-2:])} px are too small for {scales} scales of SSIM")
    total = made_NCHW.new_zeros(())
    for scale in range(scales):
        if scale:
            made_NCHW, truth_NCHW = F.avg_pool2d(made_NCHW, 2), F.avg_pool2d(truth_NCHW, 2)
            weights_N1HW = None if weights_N1HW is None else F.avg_pool2d(weights_N1HW, 2)
        unlike = 1.0 - _ssim(made_NCHW, truth_NCHW)
        if weights_N1HW is not None:
            unlike = unlike * F.avg_pool2d(weights_N1HW, _SSIM_PX, 1)
        total = total + unlike.mean()
    return total / scales


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the map of structural similarity of every 7x7 window, per channel."""

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, _SSIM_PX, 1)

    mean_x, mean_y = mean(x), mean(y)
    spread = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    shared = mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _STABLE_MEAN) / (mean_x**2 + mean_y**2 + _STABLE_MEAN)
    return likeness * (2 * shared + _STABLE_SPREAD) / (spread + _STABLE_SPREAD)


def sharpness_loss(made_N3HW: Tensor, truth_N3HW: Tensor, weights_N1HW: Tensor | None = None) -> Tensor:
    """Return how far the detail of made pictures is from that of real ones: mean |log(made energy / real energy)|.

    Energy is the weighted mean square of the Laplacian of BGR pictures' luma; 0 when both are as sharp as each other
    wherever their edges lie, log 4 when one has half the contrast in its detail. Pixel losses alone are smallest for a
    blur wherever the answer is uncertain; this one makes that blur cost something without saying where the edge must
    be. Too sharp costs as much as too soft.
    """
    made, truth = (laplacian_energy(pictures, weights_N1HW) for pictures in (made_N3HW, truth_N3HW))
    return ((made + _NOISE) / (truth + _NOISE)).log().abs().mean()


def laplacian_energy(pictures_N3HW: Tensor, weights_N1HW: Tensor | None = None) -> Tensor:
    """Return the weighted mean square (N,) of the 4-neighbour Laplacian of BGR pictures' luma, without their rim."""
    grey_NHW = (pictures_N3HW * pictures_N3HW.new_tensor(_GREY)[:, None, None]).sum(1)
    middle = grey_NHW[:, 1:-1, 1:-1]
    around = grey_NHW[:, :-2, 1:-1] + grey_NHW[:, 2:, 1:-1] + grey_NHW[:, 1:-1, :-2] + grey_NHW[:, 1:-1, 2:]
    square = (around - 4.0 * middle) ** 2
    if weights_N1HW is None:
        return square.mean(dim=(1, 2))
    weights = weights_N1HW[:, 0, 1:-1, 1:-1]
    return (weights * square).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp(min=1e-6)


def flow_variation(flow_N2HW: Tensor, order: int = 1) -> Tensor:
    """Return the total variation of a flow: the mean absolute difference of order `order` over both directions.

    Order 1 leaves a shift free (Rudin, Osher, Fatemi 1992); order 2 also a stretch, and may be given sampling
    positions instead of displacements, since the grid that they differ by is linear. Leading dimensions are free:
    (..., 2, H, W), px.
    """
    return flow_N2HW.diff(n=order, dim=-1).abs().mean() + flow_N2HW.diff(n=order, dim=-2).abs().mean()
