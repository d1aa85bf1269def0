"""Generators that plan what is loud, its opposite, or nothing, against a curve that is as high as the sound is loud."""

import numpy as np
import pytest
from face_curves import RATE, loudness
from numpy.typing import NDArray

from models.alignment import MelWindow
from models.callerlayer import CallerLayer
from models.generator import FaceImage, Landmarks, Patch
from models.hearing import Columns, Hearing
from train.evaluate.protocol import LOUDNESS, OTHER
from train.evaluate.recordings import LAYER, curve_figures, curve_grid, follow
from train.lite.curves import CurveRecording

Numbers = NDArray[np.float32]


class Loud:
    """Plan lips that open by `sign` times the loudness; one of its hidden numbers is that loudness."""

    name = "loud"
    references_wanted = 1
    caller: CallerLayer | None = None
    hearing: Hearing = MelWindow(16, -95.0)

    def __init__(self, sign: float) -> None:
        self._sign = np.float32(sign)

    @property
    def opens(self) -> Numbers:
        return np.ones(1, np.float32)

    def hear(self, windows: Columns) -> tuple[Numbers, Numbers]:
        loud = windows[:, :, 7:9].mean((1, 2))
        hidden = np.stack([loud, windows[:, 0, 0], np.zeros_like(loud)], 1)
        return hidden, self._sign * loud[:, None]

    def mouth(self, landmarks: Landmarks) -> Numbers:
        raise AssertionError("nobody is seen in a recording")

    def prepare(self, face: FaceImage) -> FaceImage:
        raise AssertionError("nobody is seen in a recording")

    def generate(self, window: Columns, pose: object, references: object) -> Patch:
        raise AssertionError("nothing is drawn")


def recording(name: str, seed: int, frames: int = 150) -> CurveRecording:
    loud = loudness(frames, seed)
    level = np.interp(np.arange(frames * RATE // 30) * 30 / RATE, np.arange(frames), loud)
    noise = 3000.0 * (0.05 + level) * np.random.default_rng(seed).standard_normal(len(level))
    return CurveRecording(f"curves-{name}", noise.astype(np.int16), np.log(0.05 + loud)[:, None], 30.0)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    judged, others = [recording("anna", 1), recording("ben", 2)], [recording("cleo", 3)]
    return curve_figures(follow({"loud": Loud(1.0), "contrary": Loud(-1.0)}, judged, others))


def test_lips_that_plan_the_curve_follow_it_and_others_do_not(found: dict[str, dict[str, float]]) -> None:
    assert found["loud"]["r"] > 0.8
    assert found["contrary"]["r"] == pytest.approx(-found["loud"]["r"])
    assert abs(found["loud" + OTHER]["r"]) < 0.4
    assert found[LOUDNESS]["r"] > 0.7
    assert abs(found["loud"]["lag"]) < 40.0


def test_a_layer_of_its_own_tells_what_is_heard_and_not_planned(found: dict[str, dict[str, float]]) -> None:
    assert found["contrary" + LAYER]["r"] > 0.8


def test_without_other_recordings_each_layer_is_fitted_to_the_rest() -> None:
    alone = follow({"loud": Loud(-1.0)}, [recording("anna", 1)], [])
    assert set(alone) == {"loud", LOUDNESS}, "one recording leaves nothing to fit to and no other speech"
    both = curve_figures(follow({"loud": Loud(-1.0)}, [recording("anna", 1), recording("ben", 2)], []))
    assert both["loud" + LAYER]["r"] > 0.8


def test_the_table_names_the_recordings(found: dict[str, dict[str, float]]) -> None:
    head = curve_grid(found).text().splitlines()[0]
    assert head.split() == ["r", "lag,", "ms", "r", "at", "that", "lag", "anna", "ben"]
