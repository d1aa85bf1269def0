"""Generators whose quality is known must be measured as what they are."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.alignment import MelWindow
from models.generator import FaceImage, Patch
from models.hearing import Hearing
from train.data.clips import Clip
from train.data.shards import Sample
from train.evaluate.crop_mesh import CropMesh, openings
from train.evaluate.measure import Measured, measure
from train.evaluate.opening import REACH, correlation, lag_ms, spread
from train.evaluate.protocol import FROZEN, LOUDNESS, REAL, Scene, Setting, moments, rebuilt, spoken_over
from train.evaluate.table import tabulate

NAME = "oracle"


class Oracle:
    """Know the real frame of every sound of a clip, and draw it `late` frames late and blurred by `blur` px."""

    name = NAME
    hearing: Hearing = MelWindow(16, -95.0)
    references_wanted = 3

    def __init__(self, clip: Clip, late: int = 0, blur: float = 0.0) -> None:
        self._clip, self._late, self._blur = clip, late, blur
        self._mels = np.stack([self.hearing.cut(clip.mel, frame * 40.0) for frame in range(len(clip))])
        self.given: list[NDArray[np.uint8]] = []

    def prepare(self, face: FaceImage) -> FaceImage:
        return face

    def generate(self, window: NDArray[np.float32], pose: FaceImage, references: Sequence[FaceImage]) -> Patch:
        self.given += [pose.image, *(reference.image for reference in references)]
        known = int(np.argmin(np.abs(self._mels - window).sum((1, 2))))
        frame = max(known - self._late, 0)
        image = self._clip.crops[frame]
        if self._blur:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self._blur), dtype=np.uint8)
        return Patch(image, np.eye(2, 3), self._clip.landmarks[frame])


Embeddings = tuple[NDArray[np.float32], NDArray[np.float32]]


class Listener:
    """Judge by whether picture and sound are of the same clip: embeddings are one-hot for the frame."""

    def embed(self, crops: NDArray[np.uint8], mel: NDArray[np.float32]) -> Embeddings:
        flat = crops.reshape(len(crops), -1).astype(np.float32)
        return flat[:, :8], np.resize(mel.T, (len(crops), 8)).astype(np.float32)

    def lse(self, video: NDArray[np.float32], audio: NDArray[np.float32]) -> tuple[float, float]:
        return float(np.abs(video).mean()), float(np.abs(audio).mean())


@pytest.fixture(scope="module")
def scene(samples: list[Sample]) -> Scene:
    first, second = (Clip.of(sample) for sample in samples)
    return Scene(first, second, second)


@pytest.fixture(scope="module")
def found(scene: Scene) -> Measured:
    generators = {NAME: Oracle(scene.speech), "late": Oracle(scene.speech, late=2, blur=1.0)}
    with CropMesh() as mesh:
        return measure(scene, generators, mesh, Listener(), Setting(targets=4))


def test_faces_in_crops_are_found_where_they_were_in_the_frames(scene: Scene) -> None:
    with CropMesh() as mesh:
        seen = mesh.watch(scene.speech.crops)
    assert np.isfinite(seen).all()
    assert float(np.linalg.norm(seen - scene.speech.landmarks, axis=2).mean()) < 1.5
    agreed = np.corrcoef(openings(seen), openings(scene.speech.landmarks))[0, 1]
    assert agreed > 0.9


def test_who_draws_the_truth_is_measured_as_right_in_time(found: Measured) -> None:
    row = found.rows[NAME]
    assert correlation(row.inside)[REACH] > 0.9
    assert abs(lag_ms(correlation(row.inside))) < 20.0
    assert 0.8 < float(spread(row.inside)) < 1.2
    assert row.planned is not None
    assert correlation(row.planned)[REACH] > 0.9
    assert row.faces == 1.0


def test_a_late_mouth_is_measured_as_late(found: Measured) -> None:
    curve = correlation(found.rows["late"].inside)
    assert lag_ms(curve) == pytest.approx(80.0, abs=25.0)
    assert curve[REACH] < curve[REACH + 2]


def test_a_soft_mouth_is_measured_as_soft_and_far(found: Measured) -> None:
    sharp, soft = (found.rows[name].picture for name in (NAME, "late"))
    assert 0.7 < sharp["sharpness"] < 1.2
    assert soft["sharpness"] < 0.6 * sharp["sharpness"]
    assert soft["psnr"] < sharp["psnr"]
    assert soft["ssim"] < sharp["ssim"] <= 1.0
    assert found.rows[FROZEN].picture["lmd"] > sharp["lmd"]


def test_controls_are_what_they_are_called(found: Measured, scene: Scene) -> None:
    assert correlation(found.rows[REAL].inside)[REACH] > 0.9
    assert np.isnan(correlation(found.rows[FROZEN].inside)).all()
    assert found.rows[FROZEN].picture["flicker"] == 0.0
    assert found.rows[REAL].picture["flicker"] == 1.0
    assert found.rows[LOUDNESS].picture["flicker"] > 1.0, "frames out of order flicker"
    right, wrong = found.rows[NAME], found.rows[NAME + ", other speech"]
    assert correlation(wrong.inside)[REACH] < correlation(right.inside)[REACH] - 0.3
    assert right.lse is not None and right.lse[1] == pytest.approx(found.rows[REAL].lse[1]), "judged with its sound"


def test_the_loudness_control_opens_as_it_is_loud(scene: Scene) -> None:
    from train.evaluate.protocol import loudness

    shown = spoken_over(scene, {}, Setting())[LOUDNESS]
    loud, open_ = loudness(scene.speech.mel, range(len(scene.speech))), scene.pose.gaps[shown.poses]
    order = np.argsort(loud, kind="stable")
    assert (np.diff(open_[order]) >= -1e-6).all()
    assert all((scene.pose.crops == crop).all((1, 2, 3)).any() for crop in shown.crops[::12]), "its pixels are real"


def test_frames_of_the_pose_clip_alone_are_shown_to_the_generator(scene: Scene) -> None:
    oracle = Oracle(scene.speech)
    spoken_over(scene, {NAME: oracle}, Setting())
    shown = {crop.tobytes() for crop in scene.pose.crops}
    assert {image.tobytes() for image in oracle.given} <= shown


def test_nothing_near_a_rebuilt_frame_is_shown_to_the_generator(scene: Scene) -> None:
    oracle = Oracle(scene.speech)
    frames, _ = rebuilt(scene, {NAME: oracle}, Setting(away=5, targets=4))
    places = {crop.tobytes(): index for index, crop in enumerate(scene.speech.crops)}
    each = len(oracle.given) // (2 * len(frames))
    for number, frame in enumerate(frames):
        given = oracle.given[number * each : (number + 1) * each]
        assert min(abs(places[image.tobytes()] - frame) for image in given) >= 5


def test_one_clip_alone_is_spoken_half_over_half(scene: Scene) -> None:
    alone = Scene(scene.speech, scene.speech, scene.speech)
    parts = moments(alone, 4)
    assert [frame for frames, _ in parts for frame in frames] == list(range(len(scene.speech)))
    for frames, sources in parts:
        assert min(abs(frame - source) for frame in frames for source in sources) >= 4
    shown = spoken_over(alone, {NAME: Oracle(scene.speech)}, Setting())[NAME]
    half = len(scene.speech) // 2
    assert (shown.poses[:half] >= half + 4).all()
    assert (shown.poses[half:] < half - 3).all()


def test_a_mouth_that_goes_on_in_silence_is_told_from_one_that_closes(found: Measured) -> None:
    assert math.isfinite(found.rows[NAME].cut), "the sound was cut off"
    assert math.isnan(found.rows[REAL].cut), "nobody can be asked to stop talking in a film"


def test_a_table_of_one_pair_has_every_row_and_its_figures(found: Measured) -> None:
    table = tabulate([found], rounds=20)
    assert list(table)[:3] == [REAL, FROZEN, LOUDNESS]
    assert table[NAME]["r"].value == pytest.approx(correlation(found.rows[NAME].inside)[REACH])
    assert table[NAME]["r"].low == pytest.approx(table[NAME]["r"].high), "one clip leaves nothing to draw"
    assert math.isnan(table[FROZEN]["r"].value)
    assert table[NAME]["sharpness"].value == pytest.approx(found.rows[NAME].picture["sharpness"])
