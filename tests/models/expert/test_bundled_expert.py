"""The bundled expert on the bundled caller, whose face and voice no network was trained on."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalog import EXPERT, WEIGHTS
from models.expert.onnx import Expert, lse
from models.facemesh import FaceMesh
from models.generator import FaceImage
from models.lite.onnx import aligned_crop
from models.mel import SAMPLE_RATE, melspectrogram
from realtime.media_file import read_audio, read_video

FRAMES = 60

Caller = tuple[NDArray[np.uint8], NDArray[np.float32]]


@pytest.fixture(scope="module")
def caller(caller_clip: Path) -> Caller:
    """Return crops of the first frames and the sound."""
    crops = []
    with FaceMesh() as mesh:
        for frame in islice(read_video(caller_clip, 25.0), FRAMES):
            found = mesh.find(frame.image)
            assert found is not None
            crops.append(aligned_crop(FaceImage(frame.image, found), 128)[1])
    return np.stack(crops), read_audio(caller_clip, SAMPLE_RATE)


@pytest.mark.parametrize("late", [0, 4, -4])
def test_finds_by_how_much_the_picture_is_late(caller: Caller, late: int) -> None:
    crops, speech = caller
    mel = melspectrogram(speech[max(late, 0) * 640 :])
    found = lse(*Expert.open().embed(crops[max(-late, 0) :], mel))
    assert abs(found.offset_frames - late) <= 1
    assert found.confidence > 0.1


def test_another_moment_convinces_less(caller: Caller) -> None:
    crops, speech = caller
    expert = Expert.open()
    own = lse(*expert.embed(crops, melspectrogram(speech)))
    other = lse(*expert.embed(crops, melspectrogram(speech[FRAMES * 640 :])))
    assert own.confidence > 1.5 * other.confidence and own.distance < other.distance


def test_is_small_and_hears_exactly_its_frames() -> None:
    assert (WEIGHTS / f"{EXPERT}.onnx").stat().st_size <= 8_000_000
    expert = Expert.open()
    assert (expert.frames, expert.columns, expert.config.window.offset_ms) == (5, 16, 0.0)
