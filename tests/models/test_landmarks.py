import numpy as np
import pytest
from face_fakes import face_at

from models.landmarks import LIPS_INNER, LIPS_OUTER, eye_distance, face_distance


def test_the_distance_of_two_faces_is_in_eye_distances_of_the_first() -> None:
    face = face_at()
    shift = np.array([0.25 * eye_distance(face), 0.0], dtype=np.float32)
    assert face_distance(face, face + shift) == pytest.approx(0.25, abs=1e-4)
    assert face_distance(2.0 * face, 2.0 * face + shift) == pytest.approx(0.125, abs=1e-4)


def test_what_the_mouth_does_is_no_distance() -> None:
    face, speaking = face_at(), face_at()
    speaking[[*LIPS_INNER, *LIPS_OUTER]] += 30.0
    assert face_distance(face, speaking) == 0.0
