"""Losses between a generator and the discriminator of its pictures.

The trainers' loop keeps the gradient of one network's loss out of the others' parameters.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def real_loss(probability: Tensor) -> Tensor:
    """Return what a generator pays for not passing as real: BCE of a discriminator's probabilities (0..1) against 1.

    In the Wav2Lip code this is the "perceptual" term (Prajwal et al. 2020, L_gen).
    """
    return _cross_entropy(probability, 1.0)


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return what Wav2Lip's quality discriminator pays: BCE of real pictures against 1 plus made ones against 0.

    Both are probabilities (0..1); 2 log 2 is a discriminator that cannot tell.
    """
    return real_loss(real) + _cross_entropy(made, 0.0)


def _cross_entropy(probability: Tensor, label: float) -> Tensor:
    # In bfloat16 a probability rounds to 1 and its loss to infinity; torch refuses to try.
    with torch.autocast(probability.device.type, enabled=False):
        sure = probability.float()
        return F.binary_cross_entropy(sure, torch.full_like(sure, label))


def hinge_real_loss(made: Tensor) -> Tensor:
    """Return what a generator pays to a patch discriminator: the mean of its scores, negated."""
    return -made.mean()


def hinge_discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator whose scores are unbounded, positive for real.

    0 when every real patch scores at least 1 and every made one at most -1, beyond which nothing is gained; 2 when all
    scores are 0. Source: Lim and Ye, "Geometric GAN", 2017.
    """
    return F.relu(1.0 - real).mean() + F.relu(1.0 + made).mean()
