"""The sync expert as a judge of videos."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.expert.onnx import REACH, Expert, lse


class ExpertJudge:
    """Judge lips and sound by an exported expert (a `measure.Judge`). Not thread-safe."""

    def __init__(self, expert: Expert) -> None:
        self._expert = expert

    def embed(
        self, crops: NDArray[np.uint8], mel: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit embeddings of video and audio (windows, E)."""
        return self._expert.embed(crops, mel)

    def lse(self, video: NDArray[np.float32], audio: NDArray[np.float32]) -> tuple[float, float]:
        """Return LSE-D and LSE-C over offsets of 15 frames, of fewer for a clip that is too short for them."""
        found = lse(video, audio, min(REACH, len(video) - 1))
        return found.distance, found.confidence


def open_judge(path: Path) -> ExpertJudge:
    """Open an expert's file; raises ModelError when it is damaged or no expert."""
    return ExpertJudge(Expert.open(path))
