from itertools import pairwise

import numpy as np
import pytest
from face_fakes import face_at
from hypothesis import given, settings
from hypothesis import strategies as st
from values import not_none

from models.generator import Image, Landmarks
from realtime.face.history import History, natural_motion
from realtime.face.pastframe import PastFrame, count_bytes, motion

Track = list[tuple[float, float]]
"""Where a face is in frames 40 ms apart, px."""

PIXEL = np.zeros((4, 4, 3), np.uint8)


def past(
    t: float,
    landmarks: Landmarks | None = None,
    opening: float = 0.02,
    image: Image = PIXEL,
    sharpness: float = 1.0,
    yaw: float = 0.0,
    eyes: float = 0.3,
) -> PastFrame:
    points = face_at(opening=opening) if landmarks is None else landmarks
    return PastFrame(image, points, t, opening, sharpness, yaw, eyes)


def filled(track: Track) -> History:
    history = History()
    for i, (x, y) in enumerate(track):
        history.add(past(40.0 * i, face_at(x, y)))
    return history


walks = st.builds(
    lambda seed, n, speed, jumps: _walk(seed, n, speed, jumps),
    st.integers(0, 10_000),
    st.integers(1, 150),
    st.floats(0.05, 4.0),
    st.integers(0, 3),
)


def _walk(seed: int, n: int, speed: float, jumps: int) -> Track:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, speed, (n, 2))
    steps[rng.integers(0, n, jumps)] += 60.0  # cuts
    return [(float(x), float(y)) for x, y in np.cumsum(steps, axis=0) + (160.0, 90.0)]


@settings(max_examples=60, deadline=None)
@given(walks, st.integers(0, 99), st.sampled_from([16.0, 33.3, 40.0, 80.0]))
def test_the_path_begins_at_the_last_frame_and_never_jumps(track: Track, seed: int, tick_ms: float) -> None:
    history = filled(track)
    path = history.path(seed)
    shown = [path.step(1e6 + tick_ms * i) for i in range(250)]
    assert shown[0] is history.last
    order = {id(frame): i for i, frame in enumerate(history.frames)}
    for before, after in pairwise(shown):
        assert abs(order[id(before)] - order[id(after)]) <= 1
    limit = 2.0 * natural_motion(history.frames)
    assert all(motion(a.landmarks, b.landmarks) <= limit + 1e-3 for a, b in pairwise(shown))


@settings(max_examples=30, deadline=None)
@given(walks, st.integers(0, 99))
def test_a_moment_without_a_face_is_never_crossed(track: Track, seed: int) -> None:
    history = History()
    for i, (x, y) in enumerate(track):
        if i == len(track) // 2:
            history.interrupt()
        history.add(past(40.0 * i, face_at(x, y)))
    path = history.path(seed)
    last = not_none(history.last)
    assert all(path.step(40.0 * i).section == last.section for i in range(200))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_very_short_history_still_gives_a_path(count: int) -> None:
    history = filled([(160.0 + i, 90.0) for i in range(count)])
    path = history.path()
    shown = [path.step(40.0 * i) for i in range(100)]
    assert shown[0] is history.last
    assert all(frame in history.frames for frame in shown)


def test_a_long_history_is_walked_widely_and_back() -> None:
    history = filled([(160 + 8 * np.sin(i / 9), 90 + 3 * np.cos(i / 13)) for i in range(200)])
    order = {id(frame): i for i, frame in enumerate(history.frames)}
    path = history.path()
    shown = np.array([order[id(path.step(40.0 * i))] for i in range(1000)])
    assert len(set(shown)) > 60
    turns = np.flatnonzero(np.diff(np.sign(np.diff(shown)[np.diff(shown) != 0])))
    assert 4 <= len(turns) <= 40  # a leg lasts a second or more
    # Before and after a turn the head rests: the same frame is shown at least three times.
    lowest = int(np.argmin(shown))
    assert (shown == shown[lowest]).sum() >= 3


def test_blinks_are_not_dwelt_on() -> None:
    history = History()
    for i in range(150):
        eyes = 0.08 if 60 <= i < 65 or i > 146 else 0.3
        history.add(past(40.0 * i, face_at(160 + 4 * np.sin(i / 8), 90), eyes=eyes))
    path = history.path(3)
    shown = [path.step(40.0 * i) for i in range(600)]
    closed = [frame.eyes < 0.1 for frame in shown]
    run = longest = 0
    for shut in closed:
        run = run + 1 if shut else 0
        longest = max(longest, run)
    assert longest <= 8


def test_blurred_frames_before_the_outage_are_left_for_good() -> None:
    history = History()
    for i in range(120):
        history.add(past(40.0 * i, face_at(160 + 0.2 * (i % 9), 90), sharpness=1.0 if i < 110 else 0.2))
    path = history.path()
    blurred = [path.step(40.0 * i).sharpness < 0.5 for i in range(500)]
    assert blurred[0] and not any(blurred[40:])


def test_time_gaps_sequences_and_sizes_break_sections() -> None:
    history = History()
    history.add(past(0.0), sequence=1)
    history.add(past(40.0), sequence=1)
    history.add(past(500.0), sequence=1)
    history.add(past(540.0), sequence=2)
    history.add(past(520.0), sequence=2)
    assert [frame.section for frame in history.frames] == [0, 0, 1, 2, 3]
    history.add(past(560.0, image=np.zeros((8, 8, 3), np.uint8)), sequence=2)
    assert len(history) == 1 and len(history.references(4)) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 80), st.integers(20_000, 200_000), st.integers(0, 99))
def test_memory_and_time_are_bounded(count: int, max_bytes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = History(max_ms=1000.0, max_bytes=max_bytes)
    image = np.zeros((30, 40, 3), np.uint8)
    for i in range(count):
        history.add(past(40.0 * i, opening=float(rng.uniform(0, 0.3)), image=image))
        for frame in history.frames:
            history.keep_features(frame, [np.zeros(1000)])
        assert history.nbytes <= max_bytes
        assert history.frames[-1].media_ms - history.frames[0].media_ms <= 1000.0


def test_features_of_all_kinds_are_counted() -> None:
    assert count_bytes({"a": [np.zeros(4)], "b": (np.zeros(2, np.uint8), None)}) == 34
    assert count_bytes(PastFrame(PIXEL, face_at(), 0.0, 0.02, features=np.zeros(10))) >= 80


def test_references_differ_in_opening_most_closed_first_sharp_and_frontal() -> None:
    rng = np.random.default_rng(0)
    history = History(max_ms=2000.0)
    for i in range(300):
        opening = float(abs(np.sin(i / 5)) * 0.25)
        poor = i % 3 == 0
        yaw = 30.0 if i % 7 == 0 else float(rng.normal(0, 3))
        history.add(past(40.0 * i, opening=opening, sharpness=0.2 if poor else 1.0, yaw=yaw))
    chosen = history.references(4)
    openings = [frame.opening for frame in chosen]
    assert len(chosen) == 4 and openings == sorted(openings)
    assert openings[0] < 0.03 and openings[-1] > 0.2 and min(np.diff(openings)) > 0.03
    assert all(frame.sharpness == 1.0 and abs(frame.yaw) <= 25 for frame in chosen)


def test_the_gallery_outlives_the_path() -> None:
    history = History(max_ms=1000.0)
    for i in range(200):
        history.add(past(40.0 * i, opening=0.25 if i == 20 else 0.01))
    assert max(frame.opening for frame in history.frames) < 0.02
    assert history.references(2)[-1].opening == 0.25


def test_references_of_an_empty_or_poor_history() -> None:
    assert History().references(3) == []
    history = History()
    history.add(past(0.0, sharpness=0.0, yaw=34.0))
    assert history.references(3) == [history.last]
    with pytest.raises(LookupError, match="no face"):
        History().path()


def test_cuts_do_not_count_as_natural_motion() -> None:
    track = [(160 + (50 if i >= 60 else 0) + 0.5 * np.sin(i), 90.0) for i in range(120)]
    assert natural_motion(filled(track).frames) < 1.0


def test_a_detour_begins_at_the_nearest_pose_of_the_longest_other_stretch() -> None:
    history = filled([(160.0 + 0.5 * i, 90.0) for i in range(60)])
    assert history.detour(40) is None
    history.interrupt()
    for i in range(5):
        history.add(past(2400.0 + 40 * i, face_at(170.2, 90.0)))
    assert len(history.path()) == 5 and history.detour(61) is None
    detour = not_none(history.detour(40))
    assert len(detour) == 60
    assert detour.step(0.0) is history.frames[20]
    assert {detour.step(40.0 * i).section for i in range(1, 300)} == {0}
