"""Fine-tuning goes to what was chosen best, stays near its start, and leaves batch norm's statistics alone."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from ears_files import ears_bytes
from torch import Tensor, nn

from models.ears.onnx import Ears
from models.lite.network import Lite
from tests.train.lite.planted_mouths import TINY, planted_clip
from train.data.clips import Clip
from train.ears.config import SpoiltConfig
from train.enroll.config import EnrolConfig, StageConfig
from train.enroll.figures import Figures, measure_person, shortcoming, table
from train.enroll.parts import Parts
from train.enroll.person import enrol
from train.enroll.tune import NearStart, Tuned, tune
from train.lite.basis import fit_basis
from train.lite.config import ModelConfig, PictureConfig, VoiceLoss, VoiceTrainingConfig
from train.lite.heard import ClipHearing
from train.lite.voice import set_range
from train.loop.task import Batch, Evaluation
from train.loop.trainer import LoopConfig

QUIET = SpoiltConfig(room=0.0, microphone=0.0, noise=0.0, codec=0.0, gain_db=3.0, voice=1.0)
WEIGHT = "0.weight"
"""Name of the one weight that is drawn."""


class Pulled:
    """Draw one weight towards 1; what is measured is best where it comes near `peak`."""

    def __init__(self, peak: float) -> None:
        weight = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(weight.weight)
        self.model = nn.Sequential(weight, nn.BatchNorm1d(1, affine=False))
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.peak, self.seen = peak, 0

    def batch(self, step: int, rank: int, world: int) -> Batch:
        return {"x": torch.full((4, 1), 5.0)}

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        nets[name](batch["x"])
        return {"loss": (nets[name].get_parameter(WEIGHT) - 1.0).square().sum()}

    def evaluate(self, average: nn.Module) -> Evaluation:
        self.seen += 1
        return Evaluation({"gap": abs(float(average.get_parameter(WEIGHT)) - self.peak)})

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        pass


LOOP = LoopConfig(steps=200, learning_rate=0.02, warmup=0, ema=0.5, schedule="constant", evaluate_every=5)


def unseen(share: float, now: float, best: float) -> None:
    """Take an evaluation's scores and show them to nobody."""


def run(
    task: Pulled,
    stage: StageConfig,
    budget_s: float | None = None,
    show: Callable[[float, float, float], None] = unseen,
) -> Tuned:
    return tune(task, LOOP, stage, lambda figures: -figures["gap"], budget_s=budget_s, show=show)


def test_the_best_weights_are_kept_and_it_ends_when_nothing_gets_better() -> None:
    shown: list[float] = []
    done = run(Pulled(0.5), StageConfig(enough=3), show=lambda share, now, best: shown.append(best))
    assert float(done.network.get_parameter(WEIGHT)) == pytest.approx(0.5, abs=0.06)
    assert done.before == -0.5 and done.best > -0.06
    assert done.steps == done.step + 15 < 200 and shown == sorted(shown)
    mean, variance = (done.network.get_buffer(f"1.running_{name}") for name in ("mean", "var"))
    assert float(mean) == 0.0 and float(variance) == 1.0


def test_the_start_is_kept_when_learning_only_makes_it_worse() -> None:
    done = run(Pulled(0.0), StageConfig(enough=2))
    assert (done.step, done.steps) == (0, 10) and float(done.network.get_parameter(WEIGHT)) == 0.0


def test_the_pull_to_the_start_holds_it_where_both_agree() -> None:
    done = run(Pulled(1.0), StageConfig(stay=1.0, enough=100))
    # Momentum carries it a little past the middle on its way.
    assert 0.45 < float(done.network.get_parameter(WEIGHT)) < 0.65
    near = NearStart(Pulled(1.0), 2.0)
    with torch.no_grad():
        near.networks["model"].get_parameter(WEIGHT).fill_(3.0)
    raw = near.losses("model", near.networks, near.batch(0, 0, 1))
    losses = {name: value.detach() for name, value in raw.items()}
    assert float(losses["stay"]) == 9.0 and float(losses["loss"]) == pytest.approx(4.0 + 18.0)


def test_a_spent_budget_ends_it_at_once() -> None:
    task = Pulled(1.0)
    done = run(task, StageConfig(), budget_s=1e-9)
    assert done.steps == 0 and task.seen == 1


def tiny_config() -> EnrolConfig:
    loop = LoopConfig(steps=20, learning_rate=2e-3, warmup=0, ema=0.9, evaluate_every=10)
    return EnrolConfig(
        voice=VoiceTrainingConfig(batch=4, frames=8, silent=0.0, loss=VoiceLoss(correlation=2.0), loop=loop),
        picture=PictureConfig(batch=2, loop=loop.model_copy(update={"steps": 3, "evaluate_every": 3})),
        voice_stage=StageConfig(stay=0.001, enough=9),
    )


def untaught_lite(clips: list[Clip]) -> Lite:
    """Return a generator whose layers have the statistics of speech, which enrolment leaves alone, and nothing more."""
    torch.manual_seed(2)
    lite = Lite(replace(ModelConfig(**TINY).lite, heard=64)).eval()
    lite.basis_BV.copy_(torch.from_numpy(fit_basis(clips, 3)))
    set_range(lite.voice, clips, hearing_of(lite))
    return lite


def hearing_of(lite: Lite) -> ClipHearing:
    return ClipHearing.of(Ears(ears_bytes()), lite.config, QUIET)


def test_a_person_is_learned_and_measured_on_what_was_held_out() -> None:
    clips = [planted_clip(f"c{seed}", seed=seed) for seed in range(5)]
    parts = Parts(tuple(clips[:3]), (clips[3],), (clips[4],))
    lite = untaught_lite(clips[:3])
    start = {name: value.clone() for name, value in lite.state_dict().items()}
    config, lines = tiny_config(), list[str]()
    hearing = hearing_of(lite)
    enrolled = enrol(lite, hearing, parts, config, lines.append)
    assert all(torch.equal(value, lite.state_dict()[name]) for name, value in start.items())
    before, after = (measure_person(one, hearing, parts.held, config.picture) for one in (lite, enrolled.lite))
    assert after.correlation > max(0.5, before.correlation + 0.2) and after.lips <= before.lips
    assert shortcoming(before, after, config) is None
    assert "had to rise" in (shortcoming(after, before, config) or "")
    assert any(line.startswith("voice: ") for line in lines) and any(line.startswith("pictures: ") for line in lines)


def test_what_is_no_better_is_told_by_its_figures() -> None:
    good = Figures(0.6, 0.3, 0.9, 0.0, 0.03, 1.0)
    config = EnrolConfig()
    nothing = Figures(math.nan, 0.3, 0.0, 0.0, 0.03, 1.0)
    blurred = Figures(0.7, 0.3, 0.9, 0.0, 0.04, 0.5)
    assert "0.600 to nan" in (shortcoming(good, nothing, config) or "")
    assert "0.0300 to 0.0400" in (shortcoming(good, blurred, config) or "")
    assert shortcoming(good, Figures(0.65, 0.3, 0.9, 0.0, 0.0301, 1.0), config) is None
    rows = table(good, blurred).splitlines()
    assert len({len(row) for row in rows}) == 1 and "0.600" in rows[1] and "0.0400" in rows[2]
    assert np.isfinite(config.gain)
