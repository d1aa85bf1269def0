"""Ask a lip-sync expert from ONNX how well lips and sound agree, and by how much they are apart. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.catalog import EXPERT, WEIGHTS
from models.errors import ModelError
from models.expert.contract import ExpertConfig, config_of, cut_sound, lower_faces, stack_frames
from models.onnx.contract import KIND_KEY, SYNCNET, check_version
from models.runtime import open_session

REACH: Final = 15
"""Offsets that are tried in either direction by SyncNet's authors, frames."""

_BATCH: Final = 64  # windows of one run; more costs memory and is no faster

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SyncOffset:
    """How well lips and sound of a clip agree (J. S. Chung and A. Zisserman, "Out of time", 2016).

    Attributes:
        distance: LSE-D, the smallest over all offsets of the mean distance; 0 agrees, sqrt(2) is the most.
        confidence: LSE-C, the median over all offsets minus the smallest; large says that one offset stands out.
        offset_frames: where the smallest is: frames by which the picture comes after its sound. Shift the sound later
            by as many to mend it.
    """

    distance: float
    confidence: float
    offset_frames: int


class Expert:
    """Embed mouths and sounds with an exported SyncNet of any size. Not thread-safe.

    Attributes:
        config: sizes of the network.
        frames: frames of one window.
        columns: mel columns of one window.
    """

    def __init__(self, session: Any) -> None:
        """Take an open onnxruntime session.

        Raises:
            ModelError: the file is no expert, or a newer one.
        """
        metadata = session.get_modelmeta().custom_metadata_map
        if metadata.get(KIND_KEY) != SYNCNET.kind:
            raise ModelError("it is no lip-sync expert: give one of `lipline train expert` or `lipline convert`")
        check_version(metadata)
        self.metadata: dict[str, str] = dict(metadata)
        self.config: ExpertConfig = config_of(metadata)
        self.frames = self.config.frames
        self.columns = self.config.window.columns
        self._session = session

    @classmethod
    def open(cls, path: Path | str | None = None, threads: int = 1) -> "Expert":
        """Open an expert's file, the bundled one by default.

        Args:
            path: what `lipline train expert` or `lipline convert` wrote.
            threads: most CPU threads.

        Raises:
            ModelError: the file is missing, damaged or no expert; named in the message.
        """
        file = WEIGHTS / f"{EXPERT}.onnx" if path is None else Path(path)
        session = open_session(file, threads=threads)
        try:
            return cls(session)
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error

    def embed(self, crops: NDArray[np.uint8], mel: NDArray[np.float32]) -> tuple[Embeddings, Embeddings]:
        """Embed every window of a clip; window i is frames i to i + frames - 1 and exactly their sound.

        Args:
            crops: (T, S, S, 3) uint8 BGR aligned crops at 25 fps (models.lite.onnx.aligned_crop).
            mel: (80, M) float32 of the clip's sound, from its first frame's time on; silence where it ends early.

        Returns:
            video (T - frames + 1, E) and audio (the same), L2-normalised.

        Raises:
            ValueError: fewer frames than a window.
        """
        if len(crops) < self.frames:
            raise ValueError(f"{len(crops)} frames are fewer than the {self.frames} of one window: give a longer clip")
        faces = lower_faces(crops, self.config)
        video, audio = [], []
        for first in range(0, len(crops) - self.frames + 1, _BATCH):
            starts = np.arange(first, min(first + _BATCH, len(crops) - self.frames + 1))
            inputs = {"mel": cut_sound(mel, starts, self.config), "face": stack_frames(faces, starts, self.frames)}
            heard, seen = self._session.run(["audio", "video"], inputs)
            audio.append(heard)
            video.append(seen)
        return np.concatenate(video), np.concatenate(audio)


def lse(video: Embeddings, audio: Embeddings, reach: int = REACH) -> SyncOffset:
    """Measure lip-sync error as SyncNet's authors do, over every offset of up to `reach` frames.

    Unlike theirs, an offset is judged on the windows that have a partner only: they pad with zeros, which every unit
    vector is equally far from. Embeddings are unit vectors here, theirs are not, so figures compare within one expert.

    Args:
        video: (W, E) unit embeddings of a clip's windows.
        audio: (W, E), likewise.
        reach: largest offset that is tried, frames.

    Raises:
        ValueError: too few windows for that reach.
    """
    count = len(video)
    if count != len(audio) or count <= reach:
        raise ValueError(f"{count} windows are too few to try offsets of {reach} frames: give a longer clip")
    offsets = range(-reach, reach + 1)
    means = np.array([_mean_distance(video, audio, offset) for offset in offsets])
    best = int(np.argmin(means))
    return SyncOffset(float(means[best]), float(np.median(means) - means[best]), offsets[best])


def _mean_distance(video: Embeddings, audio: Embeddings, late: int) -> float:
    """Return the mean distance of each mouth to the sound `late` windows before it."""
    count = len(video) - abs(late)
    mouths, sounds = video[max(late, 0) :][:count], audio[max(-late, 0) :][:count]
    return float(np.linalg.norm(mouths - sounds, axis=1).mean())
