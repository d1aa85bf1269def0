import struct
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike
from face_fakes import LoudnessMouth
from values import not_none

from benchmarks.scenes.drawn_face import drawn_face
from models.facemesh import FaceMesh
from models.generator import Image
from models.landmarks import STABLE, eye_distance, mouth_opening
from realtime.face.measure import eye_opening
from realtime.face.pastframe import PastFrame, motion
from realtime.face.synth import FaceSynth
from realtime.face.tracker import ScriptedTracker
from realtime.media_file import read_video
from realtime.photo.openmouth import open_mouth
from realtime.photo.portrait import ClipPortrait, Portrait, StillPortrait, load_portrait, make_ready
from realtime.photo.portrait_file import Placement, PortraitError, place, read_picture

LOUD = np.full((80, 16), 4.0, np.float32)


@pytest.fixture(scope="module")
def caller(caller_clip: Path) -> Image:
    return next(iter(read_video(caller_clip))).image


def saved(image: MatLike, folder: Path, name: str = "me.png") -> Path:
    assert cv2.imwrite(str(folder / name), image)
    return folder / name


@pytest.fixture(scope="module", params=["caller", "drawing"])
def portrait(request: pytest.FixtureRequest, caller: Image, tmp_path_factory: pytest.TempPathFactory) -> Portrait:
    image = caller if request.param == "caller" else drawn_face()
    return load_portrait(saved(image, tmp_path_factory.mktemp(request.param)), seed=1)


@pytest.fixture(scope="module")
def frames(portrait: Portrait) -> list[PastFrame]:
    """Return 9 s of the portrait, past its first blink, while somebody speaks."""
    walked = []
    for index in range(225):
        portrait.hear(index * 40.0, -20.0 - 20.0 * (index // 8 % 2))
        walked.append(portrait.step(index * 40.0))
    return walked


def test_the_first_frame_is_the_picture_itself(portrait: Portrait, frames: list[PastFrame]) -> None:
    assert np.array_equal(frames[0].image, portrait.frame.image)
    assert frames[0].image.shape == (480, 640, 3)
    assert np.abs(frames[0].landmarks - portrait.frame.landmarks).max() < 1e-3


def test_blinks_close_the_eyes(portrait: Portrait, frames: list[PastFrame]) -> None:
    shut = min(frames, key=lambda frame: frame.eyes)
    with FaceMesh(static=True) as mesh:
        before, after = not_none(mesh.find(portrait.frame.image)), not_none(mesh.find(shut.image))
    assert eye_opening(before) > 0.3
    assert eye_opening(after) < 0.15
    assert eye_opening(shut.landmarks) < 0.15 and shut.eyes < 0.05


def test_the_head_moves_and_never_jumps(portrait: Portrait, frames: list[PastFrame]) -> None:
    eyes = eye_distance(portrait.frame.landmarks)
    # Eye corners among the stable points stay where they are in a blink.
    steps = [motion(a.landmarks, b.landmarks) / eyes for a, b in pairwise(frames)]
    assert max(steps) < 0.012
    assert max(motion(portrait.frame.landmarks, frame.landmarks) for frame in frames) > 0.02 * eyes


def test_landmarks_are_where_the_picture_has_them(portrait: Portrait, frames: list[PastFrame]) -> None:
    stable = list(STABLE)
    with FaceMesh(static=True) as mesh:
        rest = not_none(mesh.find(portrait.frame.image))[stable]
        for frame in frames[60::55]:
            found = not_none(mesh.find(frame.image))[stable] - rest
            told = frame.landmarks[stable] - portrait.frame.landmarks[stable]
            assert np.linalg.norm(found - told, axis=1).mean() < 0.025 * eye_distance(frame.landmarks)


def test_the_wall_and_the_rim_stay_still(portrait: Portrait, frames: list[PastFrame]) -> None:
    rest = portrait.frame.image.astype(int)
    for frame in frames[::20]:
        off = np.abs(frame.image.astype(int) - rest)
        assert off[:200, :90].max() == 0 and off[:200, -90:].max() == 0
        # At the rim at most a fraction of a px is moved: nothing is taken from beyond it.
        assert off[0].mean() < 3.0 and off[-1].mean() < 3.0 and off[:, 0].mean() < 3.0 and off[:, -1].mean() < 3.0


def test_a_seed_repeats_a_portrait(portrait: Portrait) -> None:
    other = StillPortrait(portrait.frame.image, portrait.frame.landmarks, seed=1)
    same = [other.step(index * 40.0).landmarks for index in range(5)]
    again = StillPortrait(portrait.frame.image, portrait.frame.landmarks, seed=1)
    assert all(np.array_equal(points, again.step(index * 40.0).landmarks) for index, points in enumerate(same))


def test_eyes_that_are_shut_or_hidden_do_not_blink(portrait: Portrait) -> None:
    image, landmarks = portrait.frame.image.copy(), portrait.frame.landmarks
    for ring in ((33, 133, 52, 65), (362, 263, 282, 295)):
        low, high = landmarks[list(ring)].min(0).astype(int) - 12, landmarks[list(ring)].max(0).astype(int) + 14
        image[low[1] : high[1], low[0] : high[0]] = 15
    masked = StillPortrait(image, landmarks, seed=1)
    assert "will not blink" in masked.notes[0]
    assert all(masked.step(index * 40.0).eyes > 0.2 for index in range(150))


def test_it_speaks_through_the_synth_and_closes_within_two_frames(portrait: Portrait) -> None:
    generator = LoudnessMouth()
    synth = FaceSynth(generator, ScriptedTracker([None]))
    synth.start(0.0, portrait)
    for index in range(5):
        drawn = synth.render(LOUD, 40.0 * index, speech=True)
    assert drawn.image.shape == (480, 640, 3) and drawn.why is None
    level, references = generator.seen[-1]
    assert level == 4.0 and references == generator.references_wanted
    for index in (5, 6):
        synth.render(None, 40.0 * index, speech=False)
    assert generator.seen[-1][0] == -4.0


def test_references_that_were_made_ready_are_not_looked_at_again(portrait: Portrait) -> None:
    still = StillPortrait(portrait.frame.image.copy(), portrait.frame.landmarks)
    generator = LoudnessMouth()
    make_ready(still, generator)
    make_ready(still, generator)
    assert generator.prepared == generator.references_wanted
    synth = FaceSynth(generator, ScriptedTracker([None]))
    synth.start(0.0, still)
    assert generator.prepared == generator.references_wanted
    synth.render(LOUD, 0.0, speech=True)
    assert generator.prepared == generator.references_wanted + 1, "the frame itself"


def test_references_open_the_mouth_as_the_tracker_sees_it(portrait: Portrait) -> None:
    closed, *opened = portrait.references(3)
    assert closed is portrait.frame and len(opened) == 2
    with FaceMesh(static=True) as mesh:
        for frame in opened:
            assert mouth_opening(frame.landmarks) > mouth_opening(closed.landmarks) + 0.07
            seen = mouth_opening(not_none(mesh.find(frame.image)))
            assert abs(seen - mouth_opening(frame.landmarks)) < 0.07
            above = slice(0, int(closed.landmarks[197, 1]))
            assert np.array_equal(frame.image[above], closed.image[above])


def test_an_open_mouth_keeps_its_own_teeth(portrait: Portrait) -> None:
    image, landmarks = portrait.references(3)[2].image, portrait.references(3)[2].landmarks
    wider, moved = open_mouth(image, landmarks, 0.1)
    upper, below = moved[13], landmarks[13]
    x = round(float(upper[0]))
    own = image[round(float(below[1])) + 2 : round(float(below[1])) + 6, x]
    assert np.abs(wider[round(float(upper[1])) + 2 : round(float(upper[1])) + 6, x].astype(int) - own).mean() < 25


def test_faces_are_placed_as_a_webcam_shows_them(caller: Image, tmp_path: Path) -> None:
    big = np.full((3000, 4000, 3), 120, np.uint8)
    big[900:1380, 2600:3240] = caller
    found = load_portrait(saved(big, tmp_path, "far.jpg"), size=(1280, 720))
    assert found.frame.image.shape == (720, 1280, 3)
    points = found.frame.landmarks
    assert 0.17 <= eye_distance(points) / 720 <= 0.27
    assert abs(points[[33, 263], 0].mean() - 640) < 40
    near = caller[40:390, 170:450]
    close_up = load_portrait(saved(near, tmp_path, "near.png"))
    assert 0.2 <= eye_distance(close_up.frame.landmarks) / 480 <= 0.28


def test_a_picture_that_fits_is_left_as_it_is(caller: Image, tmp_path: Path) -> None:
    assert np.array_equal(load_portrait(saved(caller, tmp_path)).frame.image, caller)
    landmarks = np.zeros((468, 2), np.float32)
    landmarks[33], landmarks[263] = (260, 200), (360, 200)
    assert place(caller, landmarks, (640, 480)) == Placement(1.0, 0, 0, (640, 480))


def test_a_narrow_picture_goes_on_softly_at_its_sides() -> None:
    narrow = np.full((480, 200, 3), 90, np.uint8)
    frame = Placement(1.0, 220, 0, (640, 480)).apply(narrow)
    assert frame.shape == (480, 640, 3) and (frame == 90).all()


def test_grey_pictures_and_alpha_are_read(caller: Image, tmp_path: Path) -> None:
    grey = not_none(read_picture(saved(cv2.cvtColor(caller, cv2.COLOR_BGR2GRAY), tmp_path, "grey.png")))
    assert grey.shape == caller.shape and np.ptp(grey, axis=2).max() == 0
    clear = np.dstack([caller, np.full(caller.shape[:2], 255, np.uint8)])
    clear[:, :100, 3] = 0
    seen = not_none(read_picture(saved(clear, tmp_path, "clear.png")))
    assert (seen[:, :100] == 128).all() and np.array_equal(seen[:, 100:], caller[:, 100:])
    assert not_none(read_picture(saved(caller, tmp_path, "me.webp"))).shape == caller.shape


def test_a_picture_from_a_phone_is_turned_upright(caller: Image, tmp_path: Path) -> None:
    _, data = cv2.imencode(".jpg", np.rot90(caller))
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    path = tmp_path / "phone.jpg"
    path.write_bytes(data.tobytes()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data.tobytes()[2:])
    upright = not_none(read_picture(path))
    assert upright.shape == caller.shape
    assert np.abs(upright.astype(int) - caller).mean() < 6.0


def test_of_several_faces_the_largest_speaks_and_it_is_said(caller: Image, tmp_path: Path) -> None:
    small = cv2.resize(caller, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((480, 1024, 3), 120, np.uint8)
    both[:, :640], both[100 : 100 + small.shape[0], 640:] = caller, small
    found = load_portrait(saved(both, tmp_path))
    assert "2 faces" in found.notes[0]
    assert eye_distance(found.frame.landmarks) > 90


def test_what_cannot_serve_is_said_in_a_line(caller: Image, tmp_path: Path) -> None:
    def refused(path: Path, words: str) -> None:
        with pytest.raises(PortraitError, match=words) as caught:
            load_portrait(path)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "none.png", "no file")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture" * 20)
    refused(tmp_path / "broken.jpg", "neither a picture nor a video")
    (tmp_path / "empty.jpg").write_bytes(b"")
    refused(tmp_path / "empty.jpg", "empty")
    refused(saved(np.full((300, 300, 3), 128, np.uint8), tmp_path, "wall.png"), "no face")
    tiny = cv2.resize(caller, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    refused(saved(tiny, tmp_path, "tiny.png"), "too small")


def test_a_clip_is_walked_back_and_forth(caller_clip: Path) -> None:
    clip = load_portrait(caller_clip, seed=2)
    assert isinstance(clip, ClipPortrait)
    shown = [clip.step(index * 40.0) for index in range(300)]
    eyes = eye_distance(shown[0].landmarks)
    assert max(motion(a.landmarks, b.landmarks) for a, b in pairwise(shown)) < 0.06 * eyes
    assert len({id(frame) for frame in shown}) > 25
    openings = [frame.opening for frame in clip.references(3)]
    assert openings == sorted(openings) and openings[-1] > openings[0] + 0.05
