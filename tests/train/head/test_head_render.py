import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.landmarks import JAW, LIPS_INNER, LIPS_OUTER, mouth_opening
from train.head import HeadPose, MouthAndPose, MouthShape, random_face, render, true_opening
from train.head.pose import Motion
from train.head.speech import Phoneme
from train.head.visemes import MouthTrack

CLIP = Path(__file__).resolve().parents[3] / "client" / "assets" / "caller.mp4"


@cache
def truth() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(CLIP.with_suffix(".json").read_text(encoding="utf-8"))
    return said


@pytest.fixture
def mesh() -> Iterator[FaceMesh]:
    """Follow one face from frame to frame, as the tracker does."""
    with FaceMesh() as tracker:
        yield tracker


def inside(landmarks: NDArray[np.float32], size: tuple[int, int]) -> bool:
    points = landmarks[list(JAW + LIPS_OUTER)]
    return bool((points > 0).all() and (points < size).all())


def test_bundled_clip_is_tracked_and_its_opening_follows_the_truth(mesh: FaceMesh) -> None:
    known, measured, frames = [], [], 0
    with av.open(str(CLIP)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            frames += 1
            landmarks = mesh.find(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            if landmarks is not None:
                assert inside(landmarks, (640, 480)), f"frame {index}"
                known.append(truth()["mouth_opening"][index])
                measured.append(mouth_opening(landmarks))
    assert frames == truth()["frames"] == 600
    assert len(known) >= 0.99 * frames
    assert np.corrcoef(known, measured)[0, 1] >= 0.95


def test_bundled_clip_fits_its_place() -> None:
    assert CLIP.stat().st_size <= 2_000_000
    with av.open(str(CLIP)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height) == (640, 480) and video.average_rate == 25
        assert audio.codec_context.layout.nb_channels == 1
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        rate = audio.rate
    assert abs(len(sound) / rate - 24.0) < 0.05
    loud = np.sqrt(np.square(sound[: len(sound) // 480 * 480].reshape(-1, 480)).mean(axis=1)) > 0.004
    spoken = np.flatnonzero(loud)
    # One pause of about a second, and speech long enough for a call of 20 s.
    assert 85 <= np.diff(spoken).max() <= 130
    assert (spoken[-1] - spoken[0]) * 0.01 > 21.0
    # The phoneme track says "speech" where the sound does, and at no other shift does it say so better.
    said = np.zeros(len(loud))
    for name, start, end in truth()["phonemes"]:
        said[int(start / 10) : int(end / 10)] = bool(name)
    fit = [np.corrcoef(np.roll(said, shift)[20:-20], loud[20:-20])[0, 1] for shift in range(-15, 16)]
    assert abs(int(np.argmax(fit)) - 15) <= 2
    assert max(fit) > 0.7


@pytest.mark.parametrize("seed", range(8))
def test_random_faces_are_tracked_and_followed(mesh: FaceMesh, seed: int) -> None:
    face, motion = random_face(seed), Motion(seed)
    track = MouthTrack([Phoneme(*row) for row in truth()["phonemes"]], seed)
    known, measured = [], []
    for index in range(50):
        ms = 1_000.0 + 40.0 * index
        pose = MouthAndPose(track.at(ms), motion.at(ms), index)
        landmarks = mesh.find(render(face, pose))
        if landmarks is not None:
            assert inside(landmarks, (640, 480))
            known.append(true_opening(face, pose.mouth))
            measured.append(mouth_opening(landmarks))
    assert len(known) == 50
    assert np.corrcoef(known, measured)[0, 1] >= 0.95


def test_facemesh_points_lie_on_the_drawn_lips(mesh: FaceMesh) -> None:
    face = random_face(17)
    quiet, wide = MouthAndPose(), MouthAndPose(MouthShape(opening=0.6, jaw=0.55))
    for _ in range(5):
        closed = mesh.find(render(face, quiet))
    for _ in range(5):
        opened = mesh.find(render(face, wide))
    assert closed is not None and opened is not None
    unit = 0.204 * 480
    line = 0.425 * 480 + face.mouth_y * unit
    assert abs(closed[list(LIPS_INNER), 1].mean() - line) < 0.06 * unit
    # Nothing but mouth and jaw moved, and the chin went down with them.
    assert opened[152, 1] - closed[152, 1] > 0.05 * unit
    assert np.abs(opened[[33, 133, 362, 263]] - closed[[33, 133, 362, 263]]).max() < 0.05 * unit


def test_same_arguments_give_the_same_bytes() -> None:
    face = random_face(4)
    pose = MouthAndPose(MouthShape(opening=0.3, jaw=0.3, rounding=0.2), HeadPose(yaw=4, roll=1, blink=0.3), 7)
    first = render(face, pose).copy()
    render(face, replace(pose, grain=8))
    from train.head.render import stage_of

    stage_of.cache_clear()
    assert np.array_equal(first, render(face, pose))
    assert random_face(4) == face
    assert not np.array_equal(first, render(face, replace(pose, grain=8)))


def test_faces_differ_clearly() -> None:
    pictures = [render(random_face(seed), MouthAndPose(), (160, 120)).astype(np.float32) for seed in range(6)]
    middles = [picture[15:90, 45:115] for picture in pictures]
    for i, one in enumerate(middles):
        for other in middles[i + 1 :]:
            assert np.abs(one - other).mean() > 8.0


@pytest.mark.parametrize("size", [(640, 480), (256, 256), (96, 96), (1280, 720), (480, 640)])
def test_every_size_shows_the_head(size: tuple[int, int]) -> None:
    picture = render(random_face(2), MouthAndPose(), size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 96x96"):
        render(random_face(0), MouthAndPose(), (64, 64))


@pytest.mark.parametrize(
    "pose",
    [HeadPose(yaw=20), HeadPose(x=3.0, y=-3.0), HeadPose(scale=2.0), HeadPose(roll=45), HeadPose(pitch=-20, brow=1)],
)
def test_extreme_poses_are_drawn(pose: HeadPose) -> None:
    picture = render(random_face(5), MouthAndPose(MouthShape(1, 1, 1, 1, 1, 1, 1, 1, 1), pose))
    assert picture.shape == (480, 640, 3)


def test_mouth_shapes_change_only_the_lower_face() -> None:
    face = random_face(6)
    rest, wide = render(face, MouthAndPose()), render(face, MouthAndPose(MouthShape(opening=0.8, jaw=0.8)))
    changed = np.abs(rest.astype(int) - wide).max(axis=2) > 12
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows.min() > 0.425 * 480 + 0.4 * face.nose_y * 98
    assert changed.sum() > 1000


def test_motion_is_calm_and_the_same_when_asked_again() -> None:
    one, other = Motion(3), Motion(3)
    poses = [one.at(40.0 * i) for i in range(500)]
    assert poses[100] == other.at(4_000.0)
    yaw = np.array([pose.yaw for pose in poses])
    assert 2.0 < np.abs(yaw).max() < 8.0
    assert np.abs(np.diff(yaw)).max() < 1.0
    blinks = np.array([pose.blink for pose in poses])
    assert 2 <= ((blinks[1:] > 0.5) & (blinks[:-1] <= 0.5)).sum() <= 12
