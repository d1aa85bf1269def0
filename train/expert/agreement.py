"""The expert's losses over a batch in which every mouth meets every sound."""

import torch
from torch import Tensor
from torch.nn import functional

from train.expert.config import Negatives, PairsConfig
from train.expert.pairs import IN_SYNC, KINDS, SILENT

_NEVER = 1e-6


def agreement_losses(audio: Tensor, video: Tensor, kinds: Tensor, pairs: PairsConfig) -> dict[str, Tensor]:
    """Return "bce" and "contrast" of unit embeddings.

    Args:
        audio: (N, E).
        video: (N, E).
        kinds: (N, N) int64, how the sound of column j relates to the mouth of row i (train.expert.pairs).
        pairs: weights of the negatives, and the temperature.
    """
    # Half precision ends before the logarithm's argument does.
    cosine = (video.float() @ audio.float().T).clamp(_NEVER, 1.0 - _NEVER)
    return {
        "bce": balanced_bce(cosine, kinds, pairs.negatives),
        "contrast": contrast(cosine * pairs.temperature, kinds, pairs.negatives),
    }


def balanced_bce(cosine: Tensor, kinds: Tensor, negatives: Negatives) -> Tensor:
    """Return the BCE of cosines (N, N) in 0..1: in sync and off sync half and half, kinds of negatives by weight.

    Prajwal et al. 2020 draw one pair at a time, half of them off sync; here all pairs of a batch stand for them.
    """
    in_sync = kinds == IN_SYNC
    together = _mean(-cosine.log(), in_sync)
    total, weight = cosine.new_zeros(()), 0.0
    apart = -torch.log1p(-cosine)
    for code, kind in enumerate(KINDS, 1):
        chosen = kinds == code
        share: float = getattr(negatives, kind)
        if share > 0 and bool(chosen.any()):
            total, weight = total + share * _mean(apart, chosen), weight + share
    return 0.5 * (together + total / max(weight, _NEVER))


def contrast(logits: Tensor, kinds: Tensor, negatives: Negatives) -> Tensor:
    """Return the cross-entropy of finding each mouth's sound, and each sound's mouth, among a batch's.

    After Chung, Chung and Kang, "Perfect match" (2019). Kinds of negatives without weight do not compete.
    """
    off = [SILENT, *(code for code, kind in enumerate(KINDS, 1) if getattr(negatives, kind) == 0)]
    heard = kinds.diagonal() == IN_SYNC
    if not bool(heard.any()):
        return logits.sum() * 0.0
    left_out = torch.isin(kinds, torch.tensor(off, device=kinds.device))
    masked = logits.masked_fill(left_out, -1e4)
    answer = torch.arange(len(kinds), device=kinds.device)[heard]
    sounds = functional.cross_entropy(masked[heard], answer)
    mouths = functional.cross_entropy(masked.T[heard], answer)
    return 0.5 * (sounds + mouths)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    # A mean over nothing is nothing to learn from, not NaN.
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
