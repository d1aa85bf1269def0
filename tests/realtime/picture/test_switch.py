"""The switch as a table: what is known, and what is to be done."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.media import VideoFrame
from realtime.picture.monitor import VideoState
from realtime.picture.realframes import RealFrame
from realtime.picture.switch import Moment, Output, Step, Switch

GOOD, LATE, GONE, BACK = VideoState.GOOD, VideoState.LATE, VideoState.GONE, VideoState.BACK
REAL, SYNTH, RETURNING = Output.REAL, Output.SYNTH, Output.RETURNING
STEP = 40.0 / 480.0


def real(media_ms: float) -> RealFrame:
    return RealFrame(media_ms, VideoFrame(np.zeros((2, 2, 3), np.uint8), media_ms), media_ms, media_ms)


FLOWING = Moment(next_ms=1040.0, state=GOOD, last_ms=1000.0, followed_ms=1040.0, coming_ms=1040.0)
"""All is well: the next real frame waits."""
HOLE = Moment(next_ms=1040.0, state=GONE, given_up=True, last_ms=1000.0, followed_ms=1040.0)
"""No frame waits, and the video is given up."""
AGAIN = Moment(
    next_ms=2040.0, state=BACK, last_ms=1000.0, followed_ms=1040.0, due=real(2040.0), due_in_run=real(2040.0)
)
"""Frames of a new run are due."""


def switch() -> Switch:
    return Switch(40.0, 480.0, 240.0)


def in_outage() -> Switch:
    made = switch()
    assert made.next(HOLE).output is SYNTH and made.show_synthetic()
    return made


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (FLOWING, Step(REAL)),
        (replace(FLOWING, state=LATE), Step(REAL)),
        (replace(FLOWING, state=LATE, coming_ms=None), Step(REAL, begin_ms=1040.0)),
        (replace(FLOWING, state=GONE), Step(REAL, begin_ms=1040.0)),
        (replace(FLOWING, state=GONE, ready=False), Step(REAL)),
        (replace(FLOWING, state=GONE, possible=False), Step(REAL)),
        (HOLE, Step(SYNTH, 1040.0)),
        (replace(HOLE, state=LATE), Step(SYNTH, 1040.0)),
        (replace(HOLE, ready=False), Step(REAL)),
        (replace(HOLE, last_ms=None), Step(REAL, begin_ms=1040.0)),
        (replace(HOLE, given_up=False, state=LATE), Step(REAL, begin_ms=1040.0)),
        (replace(HOLE, followed_ms=1061.0), Step(REAL, begin_ms=1061.0)),
        (replace(HOLE, coming_ms=1060.0), Step(REAL, begin_ms=1040.0)),
        (replace(HOLE, coming_ms=1061.0), Step(REAL, begin_ms=1040.0)),
        (replace(HOLE, coming_ms=1101.0), Step(SYNTH, 1040.0)),
        (replace(FLOWING, pinned=True), Step(SYNTH, 1040.0)),
        (replace(FLOWING, pinned=True, possible=False), Step(REAL)),
    ],
)
def test_from_real_pictures(now: Moment, step: Step) -> None:
    assert switch().next(now) == step


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (replace(HOLE, next_ms=1080.0), Step(SYNTH, 1080.0)),
        (AGAIN, Step(RETURNING, 2040.0, AGAIN.due, STEP, returns=True)),
        (replace(AGAIN, state=GOOD), Step(RETURNING, 2040.0, AGAIN.due, STEP, returns=True)),
        (replace(AGAIN, state=LATE), Step(SYNTH, 2040.0)),
        (replace(AGAIN, due_in_run=None), Step(SYNTH, 2040.0)),
        (replace(AGAIN, pinned=True), Step(SYNTH, 2040.0)),
    ],
)
def test_from_synthetic_pictures(now: Moment, step: Step) -> None:
    assert in_outage().next(now) == step


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (replace(AGAIN, next_ms=2080.0, due=None), Step(RETURNING, 2080.0, AGAIN.due, 2 * STEP)),
        (replace(AGAIN, next_ms=2080.0, state=GONE), Step(SYNTH, 2080.0)),
        (replace(AGAIN, next_ms=2080.0, pinned=True), Step(SYNTH, 2080.0)),
    ],
)
def test_in_the_hand_back(now: Moment, step: Step) -> None:
    made = in_outage()
    made.next(AGAIN)
    assert made.next(now) == step


def test_what_is_got_ready_is_released_when_the_frame_comes_after_all() -> None:
    made = switch()
    late = replace(FLOWING, state=LATE, coming_ms=None)
    assert made.next(late).begin_ms == 1040.0 and made.next(late).begin_ms is None
    assert made.next(FLOWING) == Step(REAL, release=True)
    assert made.next(FLOWING) == Step(REAL)


def test_before_a_synthetic_picture_is_shown_a_real_one_takes_it_back() -> None:
    made = switch()
    made.next(HOLE)
    assert made.shows_real and made.show_real(pinned=False)
    assert made.output is REAL and not made.show_real(pinned=False)


def test_a_hand_back_lasts_twelve_frames_and_waits_for_a_head_that_is_not_home_six_more() -> None:
    for settled, frames in ((True, 12), (False, 18)):
        made = in_outage()
        steps = [made.next(replace(AGAIN, next_ms=2040.0 + 40.0 * i, settled=settled)) for i in range(frames)]
        assert [step.output for step in steps] == [RETURNING] * (frames - 1) + [REAL]
        assert steps[-1] == Step(REAL, release=True)
        progress = [step.progress for step in steps[:-1]]
        assert progress == sorted(progress) and progress[-1] < 1.0
        assert made.shows_real


def test_a_pinned_outage_is_no_outage_to_be_timed() -> None:
    made = switch()
    made.next(replace(FLOWING, pinned=True))
    assert made.was_pinned and not made.show_real(pinned=True)
    made.show_synthetic()
    assert made.next(AGAIN).returns and made.was_pinned


MOMENTS = st.builds(
    Moment,
    next_ms=st.floats(0, 5000),
    state=st.sampled_from(VideoState),
    given_up=st.booleans(),
    pinned=st.booleans(),
    possible=st.just(True),
    ready=st.booleans(),
    last_ms=st.none() | st.floats(0, 5000),
    followed_ms=st.floats(0, 5000),
    coming_ms=st.none() | st.floats(0, 5000),
    due=st.none() | st.floats(0, 5000).map(real),
    due_in_run=st.none() | st.floats(0, 5000).map(real),
    settled=st.booleans(),
)


@given(st.lists(st.tuples(MOMENTS, st.sampled_from(["real", "synthetic", "nothing"])), max_size=60))
def test_whatever_is_known_a_step_asks_for_what_it_shows(moments: list[tuple[Moment, str]]) -> None:
    made = switch()
    for now, shown in moments:
        before = made.output
        step = made.next(now)
        assert step.output is made.output
        # A real picture asks for nothing; every other tick asks for its frame.
        assert (step.ask_ms is None) == (step.output is REAL)
        assert (step.target is not None) == (step.output is RETURNING) and 0.0 <= step.progress < 1.0
        assert step.returns == (before is SYNTH and step.target is not None)
        if shown == "synthetic" and made.output is not REAL:
            made.show_synthetic()
        elif shown == "real" and made.shows_real:
            made.show_real(pinned=now.pinned)
