"""Real frames between their arrival and their moment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from realtime.media import VideoFrame
from realtime.picture.realframes import AxisMap, RealFrame, RealFrames


def frame(media_ms: float, arrival_ms: float = 0.0) -> RealFrame:
    return RealFrame(media_ms, VideoFrame(np.zeros((2, 2, 3), np.uint8), media_ms), media_ms, arrival_ms)


def test_the_newest_frame_that_is_due_is_given_and_stays() -> None:
    frames = RealFrames()
    for at in (80.0, 0.0, 40.0, 40.0):
        frames.add(frame(at, arrival_ms=at))
    assert len(frames) == 3
    due = frames.due(50.0)
    assert due is not None and due.media_ms == 40.0 and len(frames) == 3
    assert frames.due(50.0, since_ms=60.0) is None and frames.due(-1.0) is None
    after = frames.after(40.0)
    assert after is not None and after.media_ms == 80.0 and frames.after(80.0) is None
    frames.drop_until(40.0)
    assert len(frames) == 1


def test_too_many_frames_cost_the_oldest() -> None:
    frames = RealFrames()
    for index in range(100):
        frames.add(frame(40.0 * index))
    oldest = frames.after(float("-inf"))
    assert len(frames) == 32 and oldest is not None and oldest.media_ms == 40.0 * 68


def test_before_any_sound_the_first_frame_is_of_now_and_the_next_follow() -> None:
    axis = AxisMap()
    assert axis.stamp(5000.0, 100.0) == 100.0
    assert axis.stamp(5040.0, 100.0) == 140.0


@given(st.lists(st.floats(-400, 400), max_size=40))
def test_a_step_of_the_sound_makes_pictures_faster_or_slower_but_never_stop(steps: list[float]) -> None:
    axis, media_ms, stamps = AxisMap(), 0.0, [0.0]
    axis.anchor(0.0, 0.0)
    axis.stamp(0.0, 0.0)
    for index, step in enumerate(steps, 1):
        media_ms += 40.0 + step
        axis.anchor(media_ms, 40.0 * index)
        stamps.append(axis.stamp(40.0 * index, 0.0))
    snaps = [b - a for a, b in zip(stamps, stamps[1:], strict=False) if abs(b - a - 40.0) > 20.0 + 1e-6]
    assert all(abs(snap - 40.0) > AxisMap.SNAP_MS - 420.0 for snap in snaps)
    assert all(b - a >= 20.0 - 1e-6 for a, b in zip(stamps, stamps[1:], strict=False) if abs(b - a - 40.0) <= 21.0)
