"""Distance of two sets of embeddings as clouds: the Fréchet distance that FID takes of Inception's features."""

import math

import numpy as np
from numpy.typing import NDArray


def frechet_distance(made: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """Return the squared Fréchet distance of the Gaussians fitted to two sets; 0 for equal ones.

    Source: M. Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017.

    Args:
        made: (n, E).
        real: (m, E).

    Returns:
        NaN when a set has fewer than 2 E members: its covariance would be noise.
    """
    if min(len(made), len(real)) < 2 * made.shape[1]:
        return math.nan
    a, b = made.astype(np.float64), real.astype(np.float64)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # tr sqrt(A B) = tr sqrt(sqrt(A) B sqrt(A)), which is symmetric and so has real roots.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0.0)).sum()
    apart = a.mean(0) - b.mean(0)
    return max(0.0, float(apart @ apart + np.trace(first) + np.trace(second) - 2.0 * shared))
