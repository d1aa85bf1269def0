"""The lite generator at run time: geometry at native resolution, bad calls, bad files."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ears_files import ears_bytes

from models.errors import ModelError
from models.generator import FaceImage, Landmarks
from models.landmarks import _TEMPLATE, ALIGNED_EYES, ALIGNED_ORIGIN, STABLE, aligned_matrix, invert, transform
from models.lite.contract import POINTS, LiteConfig, shape_of, to_crop_px
from models.lite.export import export_lite
from models.lite.network import Lite
from models.lite.onnx import CONFIG_KEY, ENCODER_KEY, LiteGenerator, asked_for, contract
from models.onnx.export import export_onnx
from models.runtime import open_session

CONFIG = LiteConfig(heard=64, width=8, coefficients=4)


def still_lite() -> Lite:
    """Return a lite that hears nothing and paints nothing: it moves each source to the neutral mouth."""
    torch.manual_seed(0)
    lite = Lite(CONFIG).eval()
    lite.basis_BV.copy_(torch.linalg.qr(torch.randn(110, 4)).Q.T)
    for parameter in lite.voice.last.parameters():
        torch.nn.init.zeros_(parameter)
    return lite


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lite") / "lite.onnx"
    export_lite(still_lite(), ears_bytes(), out)
    return out


@pytest.fixture(scope="module")
def generator(onnx_file: Path) -> LiteGenerator:
    return LiteGenerator(open_session(onnx_file))


def face(eye_px: float = 120.0, roll_degrees: float = 8.0, seed: int = 0) -> FaceImage:
    """Return a smooth random picture (480, 640) with landmarks whose lips are closed."""
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform(-0.5, 0.5, (468, 2))
    landmarks[list(STABLE)] = _TEMPLATE
    around = np.arange(20) / 20 * 2 * np.pi
    for start, (wide, high) in enumerate([(0.25, 0.10), (0.18, 0.004)]):
        ring = np.stack([-wide * np.cos(around), 0.85 + high * np.sin(around)], -1)
        landmarks[list(POINTS[start * 20 : start * 20 + 20])] = ring
    across = np.linspace(-0.6, 0.6, 15)
    landmarks[list(POINTS[40:])] = np.stack([across, 1.35 - 0.8 * across**2], -1)
    turn = np.radians(roll_degrees)
    matrix = eye_px * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (landmarks @ matrix.T + np.array([320.0, 170.0])).astype(np.float32)
    image = cv2.resize(rng.integers(40, 215, (48, 64, 3)).astype(np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    return FaceImage(np.asarray(image, np.uint8), points)


def test_an_aligned_crop_puts_eyes_on_their_place_whatever_size_and_roll() -> None:
    for eye_px, roll in [(40.0, 0.0), (120.0, 25.0), (200.0, -30.0)]:
        points = face(eye_px, roll).landmarks
        moved = transform(aligned_matrix(points, 128), points)
        expected = _TEMPLATE * ALIGNED_EYES * 128 + np.array(ALIGNED_ORIGIN) * 128
        assert np.abs(moved[list(STABLE)] - expected).max() < 0.02


def test_shapes_go_to_px_and_back() -> None:
    points = face().landmarks
    shape = shape_of(points, 128)
    again = np.empty_like(points)
    again[list(POINTS)] = to_crop_px(shape, 128)
    assert np.allclose(again[list(POINTS)], points[list(POINTS)], atol=1e-3)


def test_inverting_an_affine_leads_back() -> None:
    points: Landmarks = face().landmarks
    matrix = aligned_matrix(points, 128)
    assert np.allclose(transform(invert(matrix), transform(matrix, points)), points, atol=1e-2)


@pytest.mark.parametrize("eye_px", [45.0, 120.0])
def test_a_closed_pose_told_to_be_silent_comes_out_as_it_went_in(generator: LiteGenerator, eye_px: float) -> None:
    pose = face(eye_px)
    source = generator.prepare(pose)
    patch = generator.generate(np.zeros((64, CONFIG.columns), np.float32), source, [source])
    original = cv2.warpAffine(pose.image, patch.matrix, patch.image.shape[1::-1], flags=cv2.INTER_CUBIC)
    assert np.abs(patch.image.astype(int) - original)[4:-4, 4:-4].mean() < 2.5
    assert np.abs(patch.landmarks - pose.landmarks).max() < 0.05 * eye_px
    # The patch lies on the frame's own grid, around the region that is rolled by 8 degrees.
    roll = np.radians(8.0)
    height = 80 * np.cos(roll) + 96 * np.sin(roll)
    assert patch.image.shape[0] == pytest.approx(height * eye_px / (ALIGNED_EYES * 128), rel=0.05) or eye_px < 60


def test_a_large_face_is_drawn_at_its_own_resolution(generator: LiteGenerator) -> None:
    window = np.zeros((64, CONFIG.columns), np.float32)
    sources = [generator.prepare(face(eye_px)) for eye_px in (120.0, 60.0)]
    large, small = (generator.generate(window, source, [source]).image.shape[0] for source in sources)
    assert large == pytest.approx(2 * small, rel=0.05)


def test_what_remains_of_the_pose_frames_mouth_is_asked_against(generator: LiteGenerator) -> None:
    told, still = np.array([0.2, -0.1, 0.0, 0.1], np.float32), np.zeros(4, np.float32)
    shown = np.array([0.3, 0.0, -0.2, 0.0], np.float32)
    np.testing.assert_array_equal(np.sign(asked_for(told, still)), np.sign(told))
    against = asked_for(told, shown) - asked_for(told, still)
    np.testing.assert_array_equal(np.sign(against), -np.sign(shown))
    assert (np.abs(against) < 0.2 * np.abs(shown) + 1e-9).all(), "most of the pose's mouth goes by itself"


def test_a_patch_says_where_the_mouth_that_was_told_lies(generator: LiteGenerator) -> None:
    image = face()
    moved = image.landmarks.copy()
    moved[list(POINTS[20:40])] += np.array([0.0, 4.0], np.float32)  # a pose frame whose mouth is not closed
    closed, pose = generator.prepare(image), generator.prepare(FaceImage(image.image, moved))
    told = np.array([0.05, 0.0, -0.03, 0.02], np.float32)
    mouths = []
    for asked, on in ((told, pose), (0 * told, pose), (told, closed)):
        seen = generator.prepare(FaceImage(image.image, generator.draw(asked, on, [closed]).landmarks))
        mouths.append(generator.basis @ seen.shape.ravel())
    np.testing.assert_allclose(mouths[0] - mouths[1], told, atol=2e-3)
    np.testing.assert_allclose(mouths[0], mouths[2], atol=2e-3, err_msg="whatever the pose frame's mouth did")


def test_fewer_references_than_it_could_use_are_enough(generator: LiteGenerator) -> None:
    source = generator.prepare(face())
    window = np.zeros((64, CONFIG.columns), np.float32)
    assert (
        generator.generate(window, source, [source]).image.shape
        == generator.generate(window, source, [source] * 9).image.shape
    )


def test_bad_calls_say_what_is_wrong(generator: LiteGenerator) -> None:
    source = generator.prepare(face())
    with pytest.raises(ValueError, match="at least one reference"):
        generator.generate(np.zeros((64, CONFIG.columns), np.float32), source, [])
    with pytest.raises(ValueError, match=r"hears \(64, 11\)"):
        generator.generate(np.zeros((80, 16), np.float32), source, [source])


@pytest.mark.parametrize("encoder", [None, "no base 64", base64.b64encode(b"no model").decode()])
def test_a_file_without_its_config_or_encoder_is_refused(tmp_path: Path, encoder: str | None) -> None:
    out = tmp_path / "bare.onnx"
    extra = {} if encoder is None else {CONFIG_KEY: json.dumps(CONFIG.to_json()), ENCODER_KEY: encoder}
    export_onnx(still_lite(), contract(CONFIG), out, extra)
    with pytest.raises(ModelError, match="again"):
        LiteGenerator(open_session(out))
