"""What a person who chooses is shown of the faces in view."""

import numpy as np

from realtime.face.people import FaceMark, People, SeenFace, moved

LEFT, RIGHT = (0.0, 0.0, 120.0, 120.0), (300.0, 0.0, 380.0, 80.0)
LOOKS = np.zeros(96, np.float32)


def test_every_face_in_view_has_a_number_and_one_is_followed() -> None:
    people = People()
    assert not people.marks
    people.update([SeenFace(LEFT, LOOKS), SeenFace(RIGHT, LOOKS + 0.5)], 0.0)
    assert list(people.marks) == [FaceMark(1, LEFT, True), FaceMark(2, RIGHT, False)]
    people.choose(340.0, 40.0)
    assert [mark.followed for mark in people.marks] == [False, True]
    people.update([SeenFace(LEFT, LOOKS)], 40.0)
    assert list(people.marks) == [FaceMark(1, LEFT, False)], "who is out of view has no box"


def test_the_followed_face_is_marked_where_it_is_now() -> None:
    marks = FaceMark(1, LEFT, False), FaceMark(2, RIGHT, True)
    seen = moved(marks, np.array([[310.0, 5.0], [390.0, 88.0], [350.0, 40.0]], np.float32))
    assert seen == (marks[0], FaceMark(2, (310.0, 5.0, 390.0, 88.0), True))
