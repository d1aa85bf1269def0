"""The Wav2Lip generator behind the common contract: crops, channels, names, refusals."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from stock_nets import calibrated
from tiny_generators import FACE, MEL, Input, face_landmarks, write_slicer

from models.alignment import WAV2LIP_WINDOW, MelWindow
from models.catalog import open_generator
from models.errors import ModelError
from models.generator import FaceImage
from models.landmarks import box_matrix
from models.onnx.checkpoint import load_network
from models.onnx.contract import WAV2LIP
from models.onnx.export import export_onnx
from models.wav2lip.network import Wav2Lip

SILENT = np.full((80, 16), -4, dtype=np.float32)


@pytest.fixture
def face() -> FaceImage:
    rows, columns = np.mgrid[0:288, 0:360]
    image = np.stack((rows % 256, columns % 256, (rows + columns) % 256), axis=2).astype(np.uint8)
    return FaceImage(np.asarray(cv2.GaussianBlur(image, (5, 5), 0), np.uint8), face_landmarks())


def crop_of(face: FaceImage) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(face.image, box_matrix(face.landmarks, 96), (96, 96)), np.uint8)


def test_patch_is_the_box_in_bgr(tmp_path: Path, face: FaceImage) -> None:
    generator = open_generator(write_slicer(tmp_path / "reference.onnx"))
    pose = generator.prepare(face)
    patch = generator.generate(SILENT, pose, [pose])
    assert patch.image.shape == (96, 96, 3) and patch.image.dtype == np.uint8 and patch.image.flags.c_contiguous
    np.testing.assert_array_equal(patch.image, crop_of(face))
    np.testing.assert_array_equal(patch.matrix, box_matrix(face.landmarks, 96))
    np.testing.assert_array_equal(patch.landmarks, face.landmarks)


def test_the_target_comes_first_with_its_lower_half_masked(tmp_path: Path, face: FaceImage) -> None:
    generator = open_generator(write_slicer(tmp_path / "target.onnx", channels=(0, 3)))
    image = generator.generate(SILENT, generator.prepare(face), []).image
    np.testing.assert_array_equal(image[:48], crop_of(face)[:48])
    assert not image[48:].any()


def test_a_face_at_the_edge_of_the_frame_is_cropped(tmp_path: Path, face: FaceImage) -> None:
    generator = open_generator(write_slicer(tmp_path / "reference.onnx"))
    edge = FaceImage(face.image, face_landmarks(left=300.0, top=230.0))
    assert generator.generate(SILENT, generator.prepare(edge), []).image.std() > 1


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_foreign_names_order_and_a_batch_of_one(tmp_path: Path, face: FaceImage, dtype: int) -> None:
    inputs: tuple[Input, ...] = (("video_frames", [1, 6, 96, 96]), ("mel_spectrogram", [1, 1, 80, 16]))
    generator = open_generator(write_slicer(tmp_path / "hq.onnx", inputs=inputs, dtype=dtype))
    assert generator.name == "hq" and generator.hearing == WAV2LIP_WINDOW and generator.references_wanted == 1
    image = generator.generate(SILENT, generator.prepare(face), []).image
    assert np.abs(image.astype(int) - crop_of(face)).max() <= 1


def test_the_window_of_the_file_counts(tmp_path: Path) -> None:
    metadata = {"lipline.kind": "wav2lip", "lipline.window": '{"columns": 16, "offset_ms": 0.0}'}
    assert open_generator(write_slicer(tmp_path / "shifted.onnx", metadata=metadata)).hearing == MelWindow(16, 0.0)


def test_refuses_mel_of_another_shape(tmp_path: Path, face: FaceImage) -> None:
    generator = open_generator(write_slicer(tmp_path / "reference.onnx"))
    with pytest.raises(ValueError, match=r"\(80, 16\), not \(80, 15\)"):
        generator.generate(SILENT[:, 1:], generator.prepare(face), [])


@pytest.mark.parametrize("gain", [float("nan"), 255.0])
def test_refuses_a_network_whose_output_is_no_picture(tmp_path: Path, gain: float) -> None:
    with pytest.raises(ModelError, match=r"broken\.onnx: broken puts out"):
        open_generator(write_slicer(tmp_path / "broken.onnx", gain=gain))


def test_refuses_a_network_whose_output_is_no_frame(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"puts out \(2, 96, 96\)"):
        open_generator(write_slicer(tmp_path / "two.onnx", channels=(0, 2)))


@pytest.mark.parametrize(
    "inputs",
    [
        (MEL, ("face", ["N", 6, 256, 256])),
        (MEL, ("face", [2, 6, 96, 96])),
        (MEL, FACE, ("extra", ["N", 1])),
    ],
)
def test_refuses_other_inputs_even_if_the_file_says_wav2lip(tmp_path: Path, inputs: tuple[Input, ...]) -> None:
    for metadata in ({}, {"lipline.kind": "wav2lip"}):
        with pytest.raises(ModelError, match="it takes mel .*face"):
            open_generator(write_slicer(tmp_path / "other.onnx", inputs=inputs, metadata=metadata))


@pytest.fixture(scope="module")
def stock() -> Iterator[tuple[Wav2Lip, Path]]:
    """Yield a lively stock generator and its ONNX file, gone through a checkpoint as the public trainer writes it."""
    torch.manual_seed(7)
    # Deep layers are one pixel: the variance of fewer than eight is so small that it amplifies rounding.
    network = Wav2Lip()
    calibrated(network, 2 * torch.randn(8, 1, 80, 16), torch.rand(8, 6, 96, 96))
    # Not pytest's tmp_path: it keeps the last three runs, at 290 MB each.
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, out = Path(folder) / "wav2lip.pth", Path(folder) / "stock.onnx"
        state = {f"module.{key}": value for key, value in network.state_dict().items()}
        torch.save({"state_dict": state, "optimizer": None, "global_step": 1, "global_epoch": 0}, checkpoint)
        export_onnx(load_network(checkpoint)[1], WAV2LIP, out)
        yield network, out


def test_the_stock_network_speaks_as_in_torch(stock: tuple[Wav2Lip, Path], face: FaceImage) -> None:
    network, path = stock
    generator = open_generator(path)
    pose = generator.prepare(face)
    frames = []
    for seed in range(2):
        mel = np.random.default_rng(seed).uniform(-4, 4, (80, 16)).astype(np.float32)
        patch = generator.generate(mel, pose, [pose])
        with torch.no_grad():
            expected = network(torch.from_numpy(mel[None, None]), torch.from_numpy(pose.planes))[0]
        np.testing.assert_allclose(patch.image, expected.permute(1, 2, 0).numpy() * 255, atol=0.51)
        frames.append(patch.image.astype(int))
    assert frames[0].std() > 5, "the stand-in must not be flat, or the comparison says nothing"
    assert np.abs(frames[0] - frames[1]).max() > 2, "the mel must count"
