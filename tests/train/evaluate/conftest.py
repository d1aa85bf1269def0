"""Two short clips of the bundled talking head, cut as `lipline prepare` would."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.generator import FaceImage
from models.landmarks import transform
from models.lite.onnx import aligned_crop
from models.mel import SAMPLE_RATE
from realtime.media_file import read_audio, read_video
from train.data.shards import FRAME_SAMPLES, Sample, SampleInfo

FRAMES = 30
STARTS = (20, 50)


@pytest.fixture(scope="session")
def samples(caller_clip: Path) -> list[Sample]:
    sound = np.clip(read_audio(caller_clip, SAMPLE_RATE) * 32767.0, -32768, 32767).astype(np.int16)
    crops, points = _followed(caller_clip)
    made = []
    for number, start in enumerate(STARTS):
        frames = slice(start - STARTS[0], start - STARTS[0] + FRAMES)
        speech = sound[start * FRAME_SAMPLES : (start + FRAMES) * FRAME_SAMPLES]
        made.append(Sample(f"caller-{number}", _info(number), crops[frames], points[frames], speech))
    return made


def _followed(video: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return crops and landmarks from the first start to the end of the last clip."""
    crops, points = [], []
    with FaceMesh() as mesh:
        for frame in islice(read_video(video, 25.0), STARTS[0], STARTS[-1] + FRAMES):
            found = mesh.find(frame.image)
            assert found is not None
            matrix, crop = aligned_crop(FaceImage(frame.image, found), 128)
            crops.append(crop)
            points.append(transform(matrix, found))
    return np.stack(crops), np.stack(points)


def _info(number: int) -> SampleInfo:
    return SampleInfo("caller", f"caller{number}", "0" * 64, STARTS[number] / 25, FRAMES, 128, None, None, 1.0, 1.0)
