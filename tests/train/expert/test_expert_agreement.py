"""The expert's losses over all pairs of a batch."""

import math

import pytest
import torch
from torch.nn import functional

from train.expert.agreement import agreement_losses, balanced_bce, contrast
from train.expert.config import Negatives, PairsConfig
from train.expert.pairs import IN_SYNC, KINDS, SILENT

HARD, NEAR, SAME, SPEAKER, OTHER = (1 + KINDS.index(kind) for kind in ("hard", "near", "same", "speaker", "other"))
COSINES = torch.tensor([[0.9, 0.2, 0.4], [0.3, 0.6, 0.1], [0.5, 0.7, 0.8]])


def bce(cosine: float, together: bool) -> float:
    return float(functional.binary_cross_entropy(torch.tensor(cosine), torch.tensor(float(together))))


def test_one_negative_each_is_the_published_loss() -> None:
    kinds = torch.tensor([[IN_SYNC, SAME, SILENT], [SILENT, IN_SYNC, SAME], [SAME, SILENT, IN_SYNC]])
    pairs = [(0.9, True), (0.6, True), (0.8, True), (0.2, False), (0.1, False), (0.5, False)]
    expected = sum(bce(*pair) for pair in pairs) / len(pairs)
    assert float(balanced_bce(COSINES, kinds, Negatives())) == pytest.approx(expected, rel=1e-5)


def test_kinds_count_by_their_weight_and_not_by_their_number() -> None:
    kinds = torch.tensor([[IN_SYNC, NEAR, OTHER], [HARD, IN_SYNC, OTHER], [OTHER, OTHER, IN_SYNC]])
    weights = Negatives(hard=0.0, near=3.0, same=1.0, speaker=1.0, other=1.0)
    together = sum(bce(value, True) for value in (0.9, 0.6, 0.8)) / 3
    others = sum(bce(value, False) for value in (0.4, 0.1, 0.5, 0.7)) / 4
    expected = 0.5 * (together + (3 * bce(0.2, False) + others) / 4)
    assert float(balanced_bce(COSINES, kinds, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("code", [HARD, SILENT])
def test_kinds_left_out_feel_nothing(code: int) -> None:
    kinds = torch.tensor([[IN_SYNC, code, SAME], [SAME, IN_SYNC, SAME], [SAME, SAME, code]])
    cosines = COSINES.clone().requires_grad_()
    pairs = PairsConfig()
    loss = balanced_bce(cosines, kinds, pairs.negatives) + contrast(cosines * 9, kinds, pairs.negatives)
    loss.backward()
    assert cosines.grad is not None
    left_out = (kinds == code) & ~torch.eye(3, dtype=torch.bool)
    assert cosines.grad[left_out].abs().max() == 0 and cosines.grad[kinds == SAME].abs().min() > 0


def test_contrast_is_a_choice_among_sounds_and_among_mouths() -> None:
    kinds = torch.full((3, 3), SPEAKER)
    kinds.fill_diagonal_(IN_SYNC)
    assert float(contrast(torch.zeros(3, 3), kinds, Negatives())) == pytest.approx(math.log(3))
    logits = COSINES * 4
    rows = functional.cross_entropy(logits, torch.arange(3))
    columns = functional.cross_entropy(logits.T, torch.arange(3))
    assert float(contrast(logits, kinds, Negatives())) == pytest.approx(float(rows + columns) / 2)


def test_a_batch_of_silence_is_no_nan() -> None:
    cosines = COSINES.clone().requires_grad_()
    kinds = torch.full((3, 3), SILENT)
    total = balanced_bce(cosines, kinds, Negatives()) + contrast(cosines, kinds, Negatives())
    total.backward()
    assert float(total.detach()) == 0.0 and cosines.grad is not None and float(cosines.grad.abs().max()) == 0.0


def test_equal_embeddings_in_sync_and_right_angles_off_sync_cost_nothing() -> None:
    eye = torch.eye(4)
    kinds = torch.full((4, 4), OTHER)
    kinds.fill_diagonal_(IN_SYNC)
    right = agreement_losses(eye, eye, kinds, PairsConfig(temperature=30.0))
    wrong = agreement_losses(eye, eye.roll(1, 0), kinds, PairsConfig(temperature=30.0))
    assert all(float(value) < 1e-4 for value in right.values()) and all(float(value) > 2 for value in wrong.values())
