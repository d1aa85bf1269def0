"""Two people before one camera: a key, a number and a click decide whose lips are made, by the real tracker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cam_desk import Desk

from benchmarks.scenes.two_people import FPS, SIZE, two_people
from models.catalog import open_generator
from models.generator import Image
from models.mel import Samples
from realtime.cam.modes import Mode
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import read_audio

FRAMES = 100
LEFT, RIGHT = 1, 2


@pytest.fixture(scope="module")
def scene() -> list[Image]:
    return list(two_people(FRAMES))


@pytest.fixture(scope="module")
def sound(caller_clip: Path) -> Samples:
    return read_audio(caller_clip, 16_000)


class Dubbed:
    """A camera whose lips are dubbed, with the switch that keys and clicks go to; time stands still between plays."""

    def __init__(self, scene: list[Image], sound: Samples) -> None:
        self._scene, self._frame = scene, 0
        self._generator, self._tracker = open_generator("lite", threads=1), MediaPipeTracker()
        self._heard = self._generator.hearing.hear(sound)
        self._synth = FaceSynth(self._generator, self._tracker)
        self.desk = Desk(self._tracker, SIZE)
        self.desk.call.mode = Mode.DUB

    def play(self, frames: int) -> list[set[int]]:
        """Return for each of the next frames whose lower faces were painted."""
        painted = []
        for _ in range(frames):
            t_ms, image = 1000.0 / FPS * self._frame, self._scene[self._frame % FRAMES]
            window = self._generator.hearing.cut(self._heard, t_ms)
            shown = self._synth.overlay(image, window, t_ms, speech=True).image
            changed = np.abs(shown.astype(int) - image).max(2) > 24
            # The badge is above, in the corner.
            halves = np.split(changed[SIZE[1] // 3 :], 2, axis=1)
            painted.append({place for place, half in enumerate(halves, 1) if half.sum() > 20})
            self._frame += 1
        return painted

    def close(self) -> None:
        self._synth.close()


@pytest.fixture
def dubbed(scene: list[Image], sound: Samples) -> Iterator[Dubbed]:
    made = Dubbed(scene, sound)
    yield made
    made.close()


def only(painted: list[set[int]], place: int) -> bool:
    """Tell whether nobody else was ever painted, and this one in most frames (some words show shut lips)."""
    return set().union(*painted) == {place} and sum(map(bool, painted)) > len(painted) / 2


def number_of(desk: Desk, place: int) -> str:
    row = sorted(desk.switch.marks, key=lambda mark: mark.box[0])
    return str(row[place - 1].number)


@pytest.mark.parametrize(
    "choose",
    [
        lambda desk: desk.switch.press("f"),
        lambda desk: desk.switch.press(number_of(desk, LEFT)),
        lambda desk: desk.switch.click(0.25, 0.6),
    ],
    ids=["key", "number", "click"],
)
def test_the_lips_that_are_made_are_those_of_who_is_chosen(dubbed: Dubbed, choose: Callable[[Desk], None]) -> None:
    assert only(dubbed.play(30), RIGHT) and dubbed.desk.switch.followed == RIGHT, "the larger one at first"
    choose(dubbed.desk)
    assert only(dubbed.play(30)[5:], LEFT) and dubbed.desk.switch.followed == LEFT
    # The larger one does not take over from who was chosen.
    assert only(dubbed.play(40), LEFT)
    dubbed.desk.switch.press("f")
    assert only(dubbed.play(20)[5:], RIGHT) and dubbed.desk.switch.followed == RIGHT
