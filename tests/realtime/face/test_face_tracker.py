from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_fakes import face_at
from values import not_none

from models.facemesh import FaceMesh
from models.generator import Image, Landmarks
from models.landmarks import STABLE, eye_distance
from realtime.face.measure import LandmarkSmoother, TrackedFace, describe, eye_opening
from realtime.face.tracker import MediaPipeTracker, ScriptedTracker
from realtime.media_file import read_video

Tracked = list[TrackedFace | None]
TwoPeople = Callable[[int, int, int | None], Image]
"""Draw two people: the frame, and where each stands."""


@pytest.fixture(scope="module")
def frames(caller_clip: Path) -> list[Image]:
    reader = read_video(caller_clip)
    return [next(reader).image for _ in range(50)]


@pytest.fixture(scope="module")
def tracked(frames: list[Image]) -> Tracked:
    tracker = MediaPipeTracker()
    black = np.zeros_like(frames[0])
    script = frames[:30] + [black] * 7 + frames[30:]
    faces = [tracker.track(image, 40.0 * i) for i, image in enumerate(script)]
    tracker.close()
    return faces


def test_the_rendered_head_is_followed(tracked: Tracked) -> None:
    before = [not_none(face) for face in tracked[:30]]
    assert all(face.visible and face.frontal for face in before)
    assert {face.sequence for face in before} == {1}
    assert all(face.landmarks.shape == (468, 2) and face.landmarks.dtype == np.float32 for face in before)
    assert len({round(face.sharpness, 4) for face in before}) > 1


def test_a_lost_face_is_none_and_found_again_in_a_new_sequence(tracked: Tracked) -> None:
    assert tracked[30:37] == [None] * 7
    after = [face for face in tracked[37:] if face is not None]
    assert len(after) >= 18 and {face.sequence for face in after} == {2}
    # The filters forgot the past: the first frame passes unsmoothed.
    assert np.allclose(after[0].landmarks, after[0].smoothed, atol=1e-3)


def test_smoothing_calms_the_head_and_stays_near(tracked: Tracked) -> None:
    faces = [not_none(face) for face in tracked[5:30]]
    stable = list(STABLE)
    raw = np.stack([face.landmarks[stable] for face in faces])
    smooth = np.stack([face.smoothed[stable] for face in faces])
    shake = [np.abs(np.diff(track, 2, axis=0)).mean() for track in (raw, smooth)]
    assert shake[1] < 0.8 * shake[0]
    assert np.abs(raw - smooth).max() < 0.05 * eye_distance(faces[0].landmarks)


def test_blur_lowers_sharpness(frames: list[Image], tracked: Tracked) -> None:
    face = not_none(tracked[0])
    blurred = np.asarray(cv2.GaussianBlur(frames[0], (0, 0), 3.0), np.uint8)
    assert describe(blurred, face.landmarks, face.smoothed, 1).sharpness < 0.5 * face.sharpness


def test_the_largest_of_two_faces_is_taken_and_kept(frames: list[Image]) -> None:
    small = cv2.resize(frames[0], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    tracker = MediaPipeTracker()
    centres = []
    for i in range(6):
        scene = np.full((480, 1120, 3), 90, np.uint8)
        scene[100 : 100 + small.shape[0], : small.shape[1]] = small
        scene[:, 480:] = frames[i]
        face = tracker.track(scene, 40.0 * i)
        centres.append(None if face is None else float(face.landmarks[:, 0].mean()))
    tracker.close()
    assert all(centre is not None and centre > 560 for centre in centres)


def test_static_finding_repeats_itself_and_says_nothing_on_stderr(
    frames: list[Image], capfd: pytest.CaptureFixture[str]
) -> None:
    with FaceMesh(static=True) as mesh:
        first, second = not_none(mesh.find(frames[3])), not_none(mesh.find(frames[3]))
        assert mesh.find(np.zeros((120, 160, 3), np.uint8)) is None
    assert np.array_equal(first, second)
    assert capfd.readouterr().err == ""


def test_wrong_images_and_a_closed_mesh_are_refused() -> None:
    mesh = FaceMesh(static=True)
    with pytest.raises(ValueError, match="BGR image"):
        mesh.find(np.zeros((10, 10), np.uint8))
    mesh.close()
    mesh.close()
    with pytest.raises(RuntimeError, match="closed"):
        mesh.find(np.zeros((10, 10, 3), np.uint8))


def test_gates_on_size_place_and_turn() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    centred, tiny, cut = face_at(), face_at(eyes=12.0), face_at(y=200.0)
    assert describe(image, centred, centred, 1).visible and describe(image, centred, centred, 1).frontal
    assert not describe(image, tiny, tiny, 1).visible
    assert not describe(image, cut, cut, 1).visible
    turned = centred.copy()
    turned[6, 0] += 0.65 * eye_distance(centred)
    assert not describe(image, turned, turned, 1).frontal


def test_eye_opening_falls_in_a_blink() -> None:
    face = face_at()
    shut = face.copy()
    shut[[159, 386], 1] = shut[[145, 374], 1]
    assert eye_opening(face) > 0.2 and eye_opening(shut) == 0.0


def test_lips_are_followed_faster_than_the_head() -> None:
    smooth = LandmarkSmoother()
    still = face_at()
    for i in range(10):
        smooth(still, 40.0 * i)
    moved = smooth(still + 2.0, 400.0) - still
    assert moved[17].mean() > moved[168].mean()


def test_the_scripted_tracker_replays() -> None:
    tracker = ScriptedTracker([face_at(), None, face_at(x=170.0)])
    image = np.zeros((240, 320, 3), np.uint8)
    faces = [tracker.track(image, 0.0) for _ in range(4)]
    assert [face and face.sequence for face in faces] == [1, None, 2, 2]
    tracker.close()
    assert tracker.closed
    with pytest.raises(ValueError):
        ScriptedTracker([])


class CountedMesh(FaceMesh):
    """Counts in `looks` how often one that finds several faces was asked for them."""

    looks = 0

    def __init__(self, static: bool = False, faces: int = 1) -> None:
        super().__init__(static, faces)
        self.several = faces > 1

    def find_all(self, image: Image) -> list[Landmarks]:
        CountedMesh.looks += self.several
        return super().find_all(image)


@pytest.fixture(scope="module")
def two_people(frames: list[Image]) -> TwoPeople:
    """Return a function that draws two people, one of them another's mirror image in other colours, at given places."""
    size = (288, 288)
    heads = [cv2.resize(image[60:420, 140:500], size, interpolation=cv2.INTER_AREA) for image in frames[:30]]
    others = [np.ascontiguousarray(255 - (255 - head[:, ::-1, ::-1]) // 2) for head in heads]

    def scene(i: int, first: int, second: int | None) -> Image:
        wall = np.full((320, 900, 3), 120, np.uint8)
        for head, x in ((others[i % 30], second), (heads[i % 30], first)):
            if x is not None:
                wall[16:304, x : x + 288] = head
        return wall

    return scene


def follow(tracker: MediaPipeTracker, scenes: Iterable[Image], start_ms: float = 0.0) -> list[float | None]:
    """Return the middle of the followed face in each of `scenes`, 40 ms apart, px from the left; None without one."""
    faces = [tracker.track(image, start_ms + 40.0 * i) for i, image in enumerate(scenes)]
    return [None if face is None else float(face.landmarks[:, 0].mean()) for face in faces]


def test_a_chosen_face_is_followed_through_a_crossing(two_people: TwoPeople) -> None:
    tracker = MediaPipeTracker()
    follow(tracker, [two_people(i, 20, 560) for i in range(3)])
    tracker.choose(560 + 144, 160)
    path = [(20 + 18 * i, 560 - 18 * i) for i in range(30)]
    seen = follow(tracker, [two_people(i, *at) for i, at in enumerate(path)], 120.0)
    tracker.close()
    # Behind the other it is not seen; nobody else is taken for it.
    for (first, second), x in zip(path, seen, strict=True):
        assert x is None or abs(x - second - 144) < 60 or abs(first - second) < 100
    assert all(x is not None for x in seen[:9]) and seen[-1] is not None and abs(seen[-1] - path[-1][1] - 144) < 40


def test_the_next_face_is_followed_on_request_and_a_lone_one_is_looked_around_seldom(
    two_people: TwoPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = MediaPipeTracker()
    scenes = [two_people(i, 20, 560) for i in range(4)]
    before = follow(tracker, scenes)
    tracker.follow_next()
    after = follow(tracker, scenes, 160.0)
    assert (not_none(before[-1]) < 450) != (not_none(after[-1]) < 450)
    tracker.close()
    monkeypatch.setattr("realtime.face.tracker.FaceMesh", CountedMesh)
    CountedMesh.looks, tracker = 0, MediaPipeTracker()
    assert None not in follow(tracker, [two_people(i, 300, None) for i in range(60)])
    tracker.close()
    assert CountedMesh.looks == 2
