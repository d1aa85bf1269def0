"""The face networks give what MediaPipe gives, and follow whom they found."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.facedetector import FacePlace, shared_detector
from models.facemesh import FaceMesh
from models.landmarks import face_distance, transform

ROOT = Path(__file__).resolve().parents[2]
# Landmarks of five frames of the bundled clip by mediapipe 1.2.3's FaceLandmarker, IMAGE mode, with the same networks.
GOLDEN = ROOT / "tests" / "assets" / "face_mesh.npz"

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def clip() -> list[Picture]:
    with av.open(str(ROOT / "client" / "assets" / "caller.mp4")) as container:
        frames = (frame.to_ndarray(format="bgr24") for frame in container.decode(video=0))
        return [np.asarray(frame, np.uint8) for frame in frames][:500]


def test_landmarks_are_those_of_mediapipe(clip: list[Picture]) -> None:
    golden = np.load(GOLDEN)
    with FaceMesh(static=True) as mesh:
        for index, expected in zip(golden["frames"], golden["landmarks"], strict=True):
            found = mesh.find(clip[index])
            assert found is not None and found.shape == (468, 2) and found.dtype == np.float32
            assert np.abs(found - expected).max() < 0.05


def test_a_followed_face_is_found_without_the_detector(clip: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Picture] = []
    detector = shared_detector()

    def counted(image: Picture) -> list[FacePlace]:
        asked.append(image)
        return detector(image)

    monkeypatch.setattr("models.facemesh.shared_detector", lambda: counted)
    with FaceMesh() as mesh:
        found = [mesh.find(picture) for picture in clip[:20]]
        assert all(face is not None for face in found)
        assert len(asked) == 1
        mesh.reset()
        assert mesh.find(clip[20]) is not None
        assert len(asked) == 2


def test_a_face_that_left_is_found_again_at_once(clip: list[Picture]) -> None:
    with FaceMesh() as mesh:
        assert mesh.find(clip[0]) is not None
        assert mesh.find(np.zeros_like(clip[0])) is None
        moved = np.roll(clip[0], 150, axis=1)
        with FaceMesh(static=True) as anew:
            first, second = mesh.find(moved), anew.find(moved)
        assert first is not None and second is not None
        assert np.array_equal(first, second)


def test_two_faces_are_two_and_neither_is_found_twice(clip: list[Picture]) -> None:
    both = np.concatenate([clip[0][:, 100:540], clip[0][:, 100:540]], axis=1)
    with FaceMesh(faces=4) as mesh:
        for _ in range(3):
            found = mesh.find_all(both)
            assert len(found) == 2
            assert face_distance(found[0], found[1]) > 1.0


def test_a_tilted_head_is_looked_at_upright(clip: list[Picture]) -> None:
    height, width = clip[0].shape[:2]
    tilt = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), 30.0, 1.0), np.float64)
    tilted = np.asarray(cv2.warpAffine(clip[0], tilt, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    with FaceMesh() as mesh:
        upright = mesh.find(clip[0])
        mesh.reset()
        # The first look goes by the detector's eyes, the second by the landmarks' own.
        mesh.find(tilted)
        found = mesh.find(tilted)
    assert upright is not None and found is not None
    assert face_distance(transform(tilt, upright), found) < 0.03


def test_squares_overlap_by_what_they_share() -> None:
    one = FacePlace(0.0, 0.0, 10.0, 0.0)
    assert one.overlap(one) == pytest.approx(1.0)
    assert one.overlap(FacePlace(5.0, 0.0, 10.0, 0.0)) == pytest.approx(1 / 3)
    assert one.overlap(FacePlace(0.0, 0.0, 5.0, 0.0)) == pytest.approx(0.25)
    assert one.overlap(FacePlace(10.0, 0.0, 10.0, 0.0)) == 0.0
