from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from face_fakes import LoudnessMouth, draw, face_at
from hypothesis import given, settings
from hypothesis import strategies as st
from values import not_none

from models.generator import FaceImage, Image, Landmarks
from models.landmarks import LIPS_OUTER
from realtime.face.badge import PAUSED, Badge
from realtime.face.history import natural_motion
from realtime.face.pastframe import PastFrame, motion
from realtime.face.synth import FaceSynth
from realtime.face.tracker import ScriptedTracker
from realtime.picture.synth_api import FaceRenderer

LOUD = np.full((80, 16), 4.0, np.float32)


def sway(i: int, speed: float = 1.0) -> Landmarks:
    return face_at(160 + 5 * np.sin(speed * i / 7), 90 + 2 * np.cos(speed * i / 5), opening=0.02 + 0.05 * (i % 5 == 0))


def talking(
    count: int = 60, script: Sequence[Landmarks | None] = (), generator: LoudnessMouth | None = None
) -> FaceSynth:
    """Return a synth that has observed `count` frames of a swaying face."""
    faces = [sway(i) for i in range(count)]
    synth = FaceSynth(generator or LoudnessMouth(), ScriptedTracker([*faces, *script]))
    for i, face in enumerate(faces):
        synth.observe(draw(face), 40.0 * i)
    return synth


def badge_in(image: Image) -> bool:
    x0, y0, x1, y1 = Badge().box(image.shape)
    return bool(image[y0:y1, x0:x1].mean(axis=2).max() > 225)


def test_it_is_a_face_renderer() -> None:
    renderer: FaceRenderer = talking(3)
    renderer.start(120.0)
    assert renderer.render(None, 120.0, speech=False).image.shape == (240, 320, 3)


def test_synthetic_frames_start_at_the_last_real_pose_and_carry_the_badge() -> None:
    synth = talking()
    last = not_none(synth.history.last)
    synth.start(2400.0)
    image = synth.render(LOUD, 2400.0, speech=True).image
    assert badge_in(image) and not badge_in(last.image)
    upper = slice(40, 110)
    assert np.abs(image[upper].astype(int) - last.image[upper]).mean() < 0.5


def test_the_mouth_grows_from_the_real_one_over_three_frames() -> None:
    synth = talking()
    synth.start(2400.0)
    lips = []
    for i in range(6):
        points = not_none(synth.render(LOUD, 2400.0 + 40 * i, speech=True).points)
        lips.append(np.linalg.norm(points[13] - points[14]))
    assert all(b > a for a, b in pairwise(lips[:4]))
    assert max(b - a for a, b in pairwise(lips)) < 0.45 * (lips[-1] - 1.0)


def test_without_speech_the_mouth_closes_within_two_frames() -> None:
    generator = LoudnessMouth()
    synth = talking(generator=generator)
    synth.start(2400.0)
    for i in range(5):
        synth.render(LOUD, 2400.0 + 40 * i, speech=True)
    synth.render(None, 2600.0, speech=True)
    synth.render(LOUD, 2640.0, speech=False)
    assert [round(level, 3) for level, _ in generator.seen[-3:]] == [4.0, 0.0, -4.0]
    synth.render(LOUD, 2680.0, speech=True)
    synth.render(LOUD, 2720.0, speech=True)
    assert generator.seen[-1][0] == 4.0


def test_silence_from_the_start_needs_no_mel() -> None:
    generator = LoudnessMouth()
    synth = talking(generator=generator)
    synth.start(2400.0)
    synth.render(None, 2400.0, speech=False)
    assert generator.seen[-1][0] == -4.0


@settings(max_examples=5, deadline=None)
@given(st.integers(20, 70), st.floats(0.3, 2.0), st.floats(-25, 25), st.integers(0, 50))
def test_the_head_never_moves_faster_than_natural_from_switch_to_hand_back(
    count: int, speed: float, shift: float, ticks: int
) -> None:
    faces = [sway(i, speed) for i in range(count)]
    returned = [sway(i, speed) + np.array([shift, 0], np.float32) for i in range(count, count + 40)]
    synth = FaceSynth(LoudnessMouth(), ScriptedTracker(faces + returned))
    for i, face in enumerate(faces):
        synth.observe(draw(face), 40.0 * i)
    limit = max(natural_motion(synth.history.frames), 0.004 * 60.0)
    synth.start(40.0 * count)
    shown = [faces[-1]]
    for i in range(10 + ticks):
        shown.append(not_none(synth.render(LOUD, 40.0 * (count + i), speech=True).points))
    for i in range(39):
        at = 40.0 * (count + 10 + ticks + i)
        shown.append(not_none(synth.hand_back(draw(returned[i]), at, (i + 1) / 40.0).points))
    assert all(motion(a, b) <= limit + 1e-2 for a, b in pairwise(shown))


def test_the_hand_back_ends_on_the_untouched_real_frame_without_a_jump() -> None:
    returned = [sway(i) + np.array([6, 3], np.float32) for i in range(60, 90)]
    synth = talking(script=returned)
    natural = natural_motion(synth.history.frames)
    synth.start(2400.0)
    for i in range(20):
        synth.render(LOUD, 2400.0 + 40 * i, speech=True)
    reals = [draw(face) for face in returned]
    drawn = [synth.hand_back(reals[i], 3200.0 + 40 * i, (i + 1) / 30) for i in range(30)]
    frames = [one.image for one in drawn]
    assert frames[-1] is reals[-1]
    assert all(badge_in(frame) for frame in frames[:-1])
    assert motion(not_none(drawn[-2].points), returned[-2]) <= natural
    # The last step is of the size of steps between real frames (resampling alone softens the textured wall).
    x0, y0, x1, y1 = Badge().box(frames[0].shape)
    step = np.abs(frames[-1].astype(int) - frames[-2])
    step[y0:y1, x0:x1] = 0
    assert step.mean() <= 2.0 * max(np.abs(b.astype(int) - a).mean() for a, b in pairwise(reals))


def test_frames_that_arrive_during_the_outage_draw_the_head_near_before_the_return() -> None:
    shift = np.array([8, 0], np.float32)
    returned = [sway(60) + shift] * 40
    synth = talking(script=returned)
    synth.start(2400.0)
    alone = talking()
    alone.start(2400.0)
    places, path = [], []
    for i in range(90):
        if 30 <= i < 45:
            synth.observe(draw(returned[0]), 2400.0 + 40 * i)
        places.append(not_none(synth.render(LOUD, 2400.0 + 40 * i, speech=True).points))
        path.append(not_none(alone.render(LOUD, 2400.0 + 40 * i, speech=True).points))
    assert motion(places[44], returned[0]) < motion(places[29], returned[0]) - 5.0
    # They were strays: nothing follows, and the head goes back to its path.
    assert motion(places[44], path[44]) > 5.0 and motion(places[-1], path[-1]) < 0.1


def test_a_link_that_falls_again_goes_back_to_synthetic_frames() -> None:
    generator = LoudnessMouth()
    synth = talking(script=[sway(i) for i in range(60, 80)], generator=generator)
    synth.start(2400.0)
    synth.render(LOUD, 2400.0, speech=True)
    natural = natural_motion(synth.history.frames)
    returned = [synth.hand_back(draw(sway(60 + i)), 2440.0 + 40 * i, 0.2 + 0.1 * i) for i in range(4)]
    frames = [synth.render(LOUD, 2600.0 + 40 * i, speech=True) for i in range(6)]
    assert all(badge_in(drawn.image) for drawn in returned + frames)
    shown = [drawn.image.astype(int) for drawn in (returned[-1], *frames)]
    # Little by little the picture goes over, the head by no more than a step of its own, and lips speak at once.
    assert np.abs(shown[1] - shown[0]).mean() < np.abs(shown[5] - shown[0]).mean()
    assert len(generator.seen) == 7
    assert motion(not_none(returned[-1].points), not_none(frames[-1].points)) <= 6 * natural


def test_a_link_that_falls_again_without_a_face_goes_back_too() -> None:
    synth = talking(script=[None] * 4)
    synth.start(2400.0)
    synth.render(LOUD, 2400.0, speech=True)
    real = np.zeros_like(not_none(synth.history.last).image)
    back = synth.hand_back(real, 2440.0, 0.5)
    frames = [synth.render(LOUD, 2480.0 + 40 * i, speech=True) for i in range(6)]
    means = [drawn.image.mean() for drawn in (back, *frames)]
    assert means[:6] == sorted(means[:6]) and means[1] < means[-1] - 1.0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([None] * 30, "no"),
        ([sway(i) for i in range(15)] + [None] * 15, "not in view"),
        ([sway(i) for i in range(29)] + ["turned"], "turned away"),
        ([face_at(eyes=10.0)] * 30, "not in view"),
    ],
)
def test_without_a_usable_face_the_video_is_paused_and_says_so(
    script: list[Landmarks | str | None], reason: str
) -> None:
    turned = sway(29)
    turned[6, 0] += 40.0
    generator = LoudnessMouth()
    synth = FaceSynth(generator, ScriptedTracker([turned if isinstance(entry, str) else entry for entry in script]))
    image = draw(face_at())
    for i in range(30):
        synth.observe(image, 40.0 * i)
    synth.start(1200.0)
    still = synth.render(LOUD, 1200.0, speech=True)
    assert reason in not_none(still.why)
    assert np.array_equal(still.image, Badge(PAUSED).draw(image)) and not generator.seen
    real = draw(face_at(x=150.0))
    middle = synth.hand_back(real, 1240.0, 0.5)
    assert reason in not_none(middle.why) and not np.array_equal(middle.image, real)
    assert synth.hand_back(real, 1280.0, 1.0).image is real


def test_one_missed_frame_before_the_outage_does_not_pause_it() -> None:
    synth = talking(script=[None])
    assert not synth.observe(draw(sway(60)), 2400.0).found
    synth.start(2440.0)
    drawn = synth.render(LOUD, 2440.0, speech=True)
    assert drawn.why is None and badge_in(drawn.image)


def test_the_face_may_be_missing_in_the_returning_frames() -> None:
    synth = talking(script=[None] * 10)
    synth.start(2400.0)
    synth.render(LOUD, 2400.0, speech=True)
    real = np.full((240, 320, 3), 77, np.uint8)
    frames = [synth.hand_back(real.copy(), 2440.0 + 40 * i, (i + 1) / 10).image for i in range(10)]
    assert badge_in(frames[4]) and np.array_equal(frames[-1], real)


def test_misuse_is_refused() -> None:
    synth = FaceSynth(LoudnessMouth(), ScriptedTracker([None]))
    with pytest.raises(RuntimeError, match="no frame was observed"):
        synth.start(0.0)
    with pytest.raises(RuntimeError, match="start"):
        synth.render(None, 0.0, speech=False)
    with pytest.raises(RuntimeError, match="start"):
        synth.hand_back(np.zeros((4, 4, 3), np.uint8), 0.0, 0.5)
    synth.stop()


def test_features_are_computed_once_per_past_frame() -> None:
    generator = LoudnessMouth()
    synth = talking(10, generator=generator)
    synth.start(400.0)
    for i in range(200):
        synth.render(LOUD, 400.0 + 40 * i, speech=True)
    assert generator.prepared <= 10


def test_old_frames_are_ignored_and_smaller_ones_are_enlarged() -> None:
    synth = talking(5)
    assert synth.observe(draw(face_at()), 0.0).found and len(synth.history) == 5
    half = draw(sway(5))[::2, ::2].copy()
    synth.observe(half, 200.0)
    assert not_none(synth.history.last).image.shape == (240, 320, 3) and len(synth.history) == 6
    synth.start(240.0)
    assert synth.hand_back(half, 240.0, 0.5).image.shape == (240, 320, 3)
    assert synth.hand_back(half, 280.0, 1.0).image is half


def test_an_overlay_speaks_over_live_frames_and_runs_on_when_they_end() -> None:
    faces = [sway(i) for i in range(40)]
    generator = LoudnessMouth()
    synth = FaceSynth(generator, ScriptedTracker([*faces[:20], None, *faces[20:]]))
    for i in range(20):
        assert badge_in(synth.overlay(draw(faces[i]), LOUD, 40.0 * i, speech=True).image)
    gone = draw(faces[20])
    assert synth.overlay(gone, LOUD, 800.0, speech=True).image is gone
    for i in range(20, 40):
        overlaid = synth.overlay(draw(faces[i]), LOUD, 40.0 * (i + 1), speech=True)
    synth.start(1640.0)
    following = synth.render(LOUD, 1640.0, speech=True)
    # The generated mouth goes on at once: no easing from the real one.
    assert np.abs(not_none(following.points) - not_none(overlaid.points))[list(LIPS_OUTER)].max() < 1.0
    assert np.abs(following.image.astype(int) - overlaid.image).mean() < 0.5


def kept(synth: FaceSynth, pose: FaceImage) -> PastFrame:
    """Return the past frame that a generator was given as its pose."""
    return next(frame for frame in synth.history.frames if frame.landmarks is pose.landmarks)


def test_a_walk_too_short_to_repeat_melts_into_a_longer_one() -> None:
    track = [sway(i) for i in range(80)]
    generator = LoudnessMouth()
    synth = FaceSynth(generator, ScriptedTracker([*track[:70], None, *track[70:]]))
    for i in range(81):
        synth.observe(draw(track[min(i, 79)]), 40.0 * i)
    assert len(synth.history.path()) == 10
    limit = max(natural_motion(synth.history.frames), 0.004 * 60.0)
    synth.start(3240.0)
    drawn = [synth.render(LOUD, 3240.0 + 40 * i, speech=True) for i in range(60)]
    places = [synth.history.frames[-1].landmarks, *(not_none(one.points) for one in drawn)]
    assert all(motion(a, b) <= limit + 1e-2 for a, b in pairwise(places))
    images = [one.image.astype(int) for one in drawn]
    assert {kept(synth, pose).section for pose in generator.poses} == {frame.section for frame in synth.history.frames}
    steps = [np.abs(b - a)[30:110].mean() for a, b in pairwise(images)]
    assert max(steps) < 3.0 * np.percentile(steps[25:], 90)
