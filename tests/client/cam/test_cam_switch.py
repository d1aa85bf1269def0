"""Keys, clicks and wishes of a room do the same, within limits, and what cannot be is said."""

import math
from dataclasses import replace

import pytest
from cam_desk import Desk

from realtime.cam.modes import Mode
from realtime.picture.stats import ShownState
from signaling.messages import CameraFace, CameraMode, decode, encode


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_keys_choose_modes_faces_and_the_end(desk: Desk) -> None:
    for key in "datxf3 9":
        desk.switch.press(key)
    assert desk.call.chosen == [Mode.DUB, Mode.AWAY, Mode.THROUGH]
    assert desk.faces.asked == ["next", (250.0, 100.0)] and not desk.ended.is_set()
    desk.switch.press("q")
    assert desk.ended.is_set()


def test_what_cannot_be_is_said_and_told_to_the_room_until_something_works(desk: Desk) -> None:
    desk.switch.press("p")
    assert desk.said == ["there is no photo: start with --photo FILE"] and desk.switch.state().detail == desk.said[0]
    desk.switch.press("a")
    assert desk.switch.state().detail == ""


def test_a_click_is_a_place_in_the_picture(desk: Desk) -> None:
    desk.switch.click(0.5, 0.25)
    assert desk.faces.asked == [(320.0, 120.0)]


@pytest.mark.parametrize(
    ("mode", "state"), [(mode, ShownState.SYNTH) for mode in (Mode.PHOTO, Mode.AWAY, Mode.THROUGH)]
)
def test_a_picture_that_is_not_the_cameras_has_no_faces_to_choose(desk: Desk, mode: Mode, state: ShownState) -> None:
    desk.call.mode, desk.call.state = mode, state
    desk.switch.click(0.1, 0.1)
    desk.switch.press("1")
    assert desk.faces.asked == [] and desk.switch.state().faces == 0


def test_a_room_is_told_what_is_shown(desk: Desk) -> None:
    state = desk.switch.state()
    assert (state.mode, state.modes, state.state) == ("through", ("through", "dub", "away"), "real")
    assert (state.since_ms, state.fps, state.faces) == (1234.0, 25.0, 2.0)
    assert state.followed == 1.0 and decode(encode(state)) == state


def test_who_is_followed_is_counted_from_the_left(desk: Desk) -> None:
    left, right = desk.faces.marks
    for marks, place in (((right, left), 1), ((replace(left, followed=False), right), 0), ((), 0),
                         ((replace(left, followed=False), replace(right, followed=True)), 2)):  # fmt: skip
        desk.faces.marks = marks
        assert desk.switch.followed == desk.switch.state().followed == place


def test_wishes_come_in_at_a_bounded_rate(desk: Desk) -> None:
    for _ in range(100):
        desk.switch.wish(CameraFace(sender="x"), 10.0)
    assert len(desk.faces.asked) == 8 and "too many" in desk.switch.state().detail
    desk.switch.wish(CameraMode("away", sender="x"), 10.3)
    assert desk.call.mode is Mode.AWAY and desk.switch.state().detail == ""
    for tick in range(1000):
        desk.switch.wish(CameraFace(sender="x"), 11.0 + tick / 100.0)
    assert 40 <= len(desk.faces.asked) - 8 <= 50


def test_a_refused_wish_changes_nothing(desk: Desk) -> None:
    desk.switch.wish(CameraMode("photo", sender="x"), 0.0)
    assert desk.call.mode is Mode.THROUGH and "no photo" in desk.switch.state().detail
    assert math.isfinite(desk.switch.state().since_ms)
