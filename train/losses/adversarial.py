"""Losses between a generator and the discriminator of its pictures."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def real_loss(probability: Tensor) -> Tensor:
    """Return what a generator pays for not passing as real: BCE of a discriminator's probabilities (0..1) against 1.

    In the Wav2Lip code this is the "perceptual" term (Prajwal et al. 2020, L_gen).
    """
    return F.binary_cross_entropy(probability, torch.ones_like(probability))


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return what Wav2Lip's quality discriminator pays: BCE of real pictures against 1 plus made ones against 0.

    Both are probabilities (0..1); 2 log 2 is a discriminator that cannot tell.
    """
    return real_loss(real) + F.binary_cross_entropy(made, torch.zeros_like(made))


def hinge_real_loss(made: Tensor) -> Tensor:
    """Return what a generator pays to a patch discriminator: the mean of its scores, negated."""
    return -made.mean()


def hinge_discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator whose scores are unbounded, positive for real.

    0 when every real patch scores at least 1 and every made one at most -1, beyond which nothing is gained; 2 when all
    scores are 0. Source: Lim and Ye, "Geometric GAN", 2017.
    """
    return F.relu(1.0 - real).mean() + F.relu(1.0 + made).mean()


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """Lend a network whose parameters get no gradient meanwhile; what flows through to its inputs stays.

    Lends the network itself where it is wrapped for a distributed run: the wrapper would wait for gradients.
    """
    inner = getattr(network, "module", network)
    wanted = [parameter for parameter in inner.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield inner
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
