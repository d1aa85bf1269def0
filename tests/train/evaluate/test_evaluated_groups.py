"""Folders whose pictures are late or early by a known number of frames, and a mouth that is in step with the sound."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.expert.onnx import REACH as LISTENED
from train.evaluate.groups import FolderFigures, by_group, group_grid
from train.evaluate.measure import Measured, Row
from train.evaluate.opening import moments
from train.prepare.offset import Curve

LEAST = 0.45


def spoken(seed: int, frames: int = 200) -> NDArray[np.float64]:
    """Return an opening without rhythm, so that only one lag fits."""
    noise = np.random.default_rng(seed).normal(size=frames + 20)
    return np.convolve(noise, np.hanning(7) / 3.0, mode="same")[10 : frames + 10] * 0.05 + 0.1


def heard(offset: int, sure: float) -> Curve:
    """Return what a listener says who finds `offset` better than all others by `sure`."""
    sums = np.ones(2 * LISTENED + 1)
    sums[offset + LISTENED] -= sure
    return Curve(sums, np.ones(2 * LISTENED + 1, np.int64))


def clip(speaker: str, seed: int, late: int, drift: Curve | None) -> Measured:
    """Return a clip whose real picture comes `late` frames after its sound, and a mouth in step with the sound."""
    made = spoken(seed)
    real = np.roll(made, late)
    everywhere = np.ones(len(real), dtype=bool)
    row = Row(made, moments(made, real, everywhere), moments(made, real, everywhere))
    return Measured(f"{speaker}-{seed}", f"{speaker}-{seed}", speaker, real, everywhere, {"lite": row}, drift)


def groups_of(*clips: tuple[str, Measured]) -> dict[str, FolderFigures]:
    folders, measured = zip(*clips, strict=True)
    return {group.name: group for group in by_group(measured, folders, ["lite"], LEAST)}


def test_a_mouth_in_step_with_the_sound_is_in_time_at_the_folders_own_offset() -> None:
    early = [("early", clip("anna", seed, -2, heard(-2, 0.8))) for seed in (1, 2)]
    found = groups_of(*early, ("level", clip("ben", 3, 0, heard(0, 0.8))))
    assert (found["early"].clips, found["early"].people, found["early"].offset) == (2, 1, -2)
    figures = found["early"].rows["lite"]
    assert figures["lag"] == pytest.approx(80.0, abs=4.0), "beside a picture that leads, it looks late"
    assert figures["lag_own"] == pytest.approx(0.0, abs=4.0)
    assert figures["r_own"] == pytest.approx(1.0, abs=0.01)
    assert figures["r"] < 0.6
    level = found["level"].rows["lite"]
    assert level["r"] == level["r_own"] == pytest.approx(1.0)
    assert level["spread"] == pytest.approx(1.0)


def test_clips_of_one_folder_are_heard_together() -> None:
    unsure = [("wild", clip(f"p{seed}", seed, 1, heard(at, 0.6))) for seed, at in ((4, 1), (5, 1), (6, -3))]
    assert groups_of(*unsure)["wild"].offset is None, "two of three agree, which is not enough"
    sure = [("wild", clip(f"p{seed}", seed, 1, heard(1, 0.6))) for seed in (4, 5, 6)]
    assert groups_of(*sure)["wild"].offset == 1


@pytest.mark.parametrize("drift", [heard(1, 0.2), heard(LISTENED, 0.9), None], ids=["unsure", "at the edge", "unheard"])
def test_an_offset_that_is_not_sure_moves_nothing(drift: Curve | None) -> None:
    group = groups_of(("some", clip("cleo", 7, 1, drift)))["some"]
    figures = group.as_json()["rows"]["lite"]
    assert group.offset is None and group.as_json()["offset_ms"] is None
    assert figures["r_own"] is None and figures["lag_own"] is None
    assert figures["lag"] == pytest.approx(-40.0, abs=4.0)


def test_the_table_says_a_folder_once() -> None:
    text = group_grid(by_group([clip("dan", 8, -1, heard(-1, 0.9))], ["film"], ["lite"], LEAST)).text()
    head, line = text.splitlines()
    assert head.split()[:6] == ["folder", "clips", "people", "offset,", "ms", "sure"]
    assert line.split()[:6] == ["film", "lite", "1", "1", "-40", "0.90"]
