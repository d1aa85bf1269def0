"""The judge passes the expert's verdict on, also for clips that are short."""

from typing import cast

import numpy as np
import pytest

from models.expert.onnx import Expert
from train.evaluate.judge import ExpertJudge


@pytest.mark.parametrize("windows", [12, 60])
def test_agreement_is_told_from_chance(windows: int) -> None:
    judge = ExpertJudge(cast(Expert, None))  # nothing is embedded here
    random = np.random.default_rng(1)
    sound, chance = (random.normal(size=(windows, 32)).astype(np.float32) for _ in range(2))
    sound, chance = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (sound, chance))
    right, wrong = judge.lse(sound, sound), judge.lse(chance, sound)
    assert right[0] == pytest.approx(0.0, abs=1e-6)
    assert right[0] < wrong[0] - 0.5
    assert right[1] > wrong[1] + 0.5
