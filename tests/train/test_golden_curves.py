"""The same seed gives the same losses on any CPU, and other losses where one of their weights changes a little."""

import pytest
import torch

from tests.train.golden_curves import RUNS, distance, golden, talk


@pytest.mark.parametrize("name", RUNS)
def test_a_run_follows_its_golden_curve(name: str) -> None:
    assert distance(RUNS[name](), golden(name)) < 1.0


# torch's own words about a setting of Intel's GPUs, whenever oneDNN is switched.
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_other_kernels_stay_far_within_the_tolerance() -> None:
    """Rounding differs as it does between CPUs: convolutions here take another path and order of sums."""
    with torch.backends.mkldnn.flags(enabled=False):
        curve = talk()
    assert distance(curve, golden("talk")) < 0.3


@pytest.mark.parametrize(("weight", "value"), [("edges", 0.51), ("motion", 0.31)])
def test_a_wrong_weight_of_two_or_three_percent_is_seen(weight: str, value: float) -> None:
    assert distance(talk(weights={weight: value}), golden("talk")) > 2.0


def test_a_wrong_order_of_data_is_seen() -> None:
    assert distance(talk(seed=2), golden("talk")) > 10.0
