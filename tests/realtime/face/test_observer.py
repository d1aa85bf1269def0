from collections.abc import Sequence

import numpy as np
from face_fakes import draw, face_at

from models.generator import Image, Landmarks
from realtime.face.history import History
from realtime.face.observer import Observer
from realtime.face.occlusion import UNSEEN, OcclusionGuard
from realtime.face.tracker import ScriptedTracker

BLANK: Image = np.zeros((240, 320, 3), np.uint8)


def observer(faces: Sequence[Landmarks | None]) -> Observer:
    """Return an observer whose tracker finds `faces`, one after the other."""
    return Observer(ScriptedTracker(faces), History(), OcclusionGuard())


def test_what_was_observed_comes_back_and_stays_the_last() -> None:
    made = observer([face_at()])
    image = draw(face_at())
    seen = made.observe(image, 0.0, keep_size=False)
    assert seen.image is image and seen.face is not None and seen.live is not None and seen.reason is None
    assert made.last is seen
    assert made.history.last is seen.live


def test_before_the_first_frame_the_reason_is_that_no_face_was_seen() -> None:
    made = observer([None])
    assert made.last.image is None and made.last.reason == made.why_pause() == "no face was seen yet"


def test_a_frame_without_a_face_says_so_and_is_not_kept() -> None:
    made = observer([face_at(), None])
    kept = made.observe(draw(face_at()), 0.0, keep_size=False)
    seen = made.observe(BLANK, 40.0, keep_size=False)
    assert seen.image is BLANK and seen.face is None and seen.live is None and seen.reason == UNSEEN
    assert made.history.last is kept.live


def test_a_frame_just_observed_is_not_tracked_again() -> None:
    made = observer([face_at()])
    image = draw(face_at())
    seen = made.observe(image, 0.0, keep_size=False)
    assert made.look(image, 0.0) is seen


def test_a_look_at_an_older_picture_changes_nothing_about_the_newest() -> None:
    made = observer([face_at(), face_at(150.0)])
    newest = made.observe(draw(face_at()), 40.0, keep_size=False)
    older = draw(face_at(150.0))
    seen = made.look(older, 0.0)
    assert seen.image is older and seen.face is not None and seen.face is not newest.face
    assert seen.live is newest.live and seen.reason is newest.reason
    assert made.history.last is newest.live


def test_a_look_at_a_newer_picture_observes_it() -> None:
    made = observer([face_at(), face_at(150.0)])
    made.observe(draw(face_at()), 0.0, keep_size=False)
    seen = made.look(draw(face_at(150.0)), 40.0)
    assert made.history.last is seen.live is not None


def test_a_smaller_picture_is_enlarged_to_the_size_of_the_history() -> None:
    made = observer([face_at(), face_at()])
    made.observe(draw(face_at()), 0.0, keep_size=False)
    seen = made.observe(draw(face_at(), 120, 160), 40.0, keep_size=False)
    assert seen.image is not None and seen.image.shape == (240, 320, 3)
