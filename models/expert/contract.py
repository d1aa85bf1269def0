"""What a lip-sync expert agrees on with its trainer and its runtime: frames, sound, the part of the face. No torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS, MelWindow
from models.errors import ModelError
from models.onnx.contract import SYNCNET, OnnxContract

CONFIG_KEY: Final = "lipline.expert"
"""Metadata property that holds the ExpertConfig as JSON."""

FACE_HW: Final = (48, 96)
"""Height and width of the picture of one frame, px."""

STRIDES: Final = {5: (3, 2), 3: (2, 2), 1: (1, 1)}
"""Strides in time of the audio encoder's third and fourth stage, by frames: 16, 10 or 3 columns become three.

All else, the weights' shapes included, is the same for every number of frames.
"""

FRAME_MS: Final = 40.0


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """Fix the sizes of an expert.

    Attributes:
        frames: frames of one judgement (the thesis' Tv): 1, 3 or 5.
        width: factor of the channels of Wav2Lip's colour SyncNet; 1 and five frames are that network, key for key.
        region: left, top, right, bottom of what is seen of an aligned crop, shares of its size; twice as wide as high.
            The default begins between nose and mouth and ends below the chin of a mouth that is open.
    """

    frames: int = 5
    width: float = 1.0
    region: tuple[float, float, float, float] = (0.15625, 0.5, 0.84375, 0.84375)

    def __post_init__(self) -> None:
        left, top, right, bottom = self.region
        if self.frames not in STRIDES:
            raise ValueError(f"frames is {self.frames}: an expert judges {', '.join(map(str, STRIDES))} frames")
        if not 0.0 < self.width <= 4.0:
            raise ValueError(f"width is {self.width}: give a factor above 0 and up to 4")
        if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
            raise ValueError(f"region is {self.region}: give left, top, right, bottom within 0..1")

    @property
    def window(self) -> MelWindow:
        """The mel columns of exactly these frames: 16, 10 (5 ms more than three frames) or 3 (2.5 ms less than one)."""
        return MelWindow(round(self.frames * FRAME_MS / COLUMN_MS), 0.0)

    @property
    def strides(self) -> tuple[int, int]:
        """Strides in time of the audio encoder (STRIDES)."""
        return STRIDES[self.frames]

    @property
    def embedding(self) -> int:
        """Numbers of an embedding."""
        return channels(512, self.width)

    def contract(self) -> OnnxContract:
        """Return names and shapes of such an expert's file."""
        return OnnxContract(
            kind=SYNCNET.kind,
            inputs={"mel": (1, 80, self.window.columns), "face": (3 * self.frames, *FACE_HW)},
            outputs={"audio": (self.embedding,), "video": (self.embedding,)},
            window=self.window,
        )

    def metadata(self) -> dict[str, str]:
        """Return the metadata property that `config_of` reads."""
        return {CONFIG_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ExpertConfig":
        """Read what `dataclasses.asdict` made; unknown fields raise TypeError, bad values ValueError."""
        return cls(**{**values, "region": tuple(values["region"])})


def channels(stock: int, width: float) -> int:
    """Return `width` times `stock` channels in whole eights, at least 8: what CPUs compute at once."""
    return max(8, 8 * round(stock * width / 8))


def config_of(metadata: Mapping[str, str]) -> ExpertConfig:
    """Return the config in an ONNX file's metadata; without one it is a converted public expert.

    Raises:
        ModelError: when the entry cannot be read.
    """
    text = metadata.get(CONFIG_KEY)
    if text is None:
        return ExpertConfig()
    try:
        return ExpertConfig.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the file's {CONFIG_KEY} cannot be read: export the expert again") from error


def region_px(config: ExpertConfig, size: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the region in a crop of `size` px."""
    left, top, right, bottom = (round(share * size) for share in config.region)
    return left, top, right, bottom


def lower_faces(crops: NDArray[np.uint8], config: ExpertConfig) -> NDArray[np.uint8]:
    """Cut what an expert sees out of aligned crops.

    Args:
        crops: (T, S, S, 3) uint8 BGR.
        config: of the expert.

    Returns:
        (T, 48, 96, 3) uint8 BGR.
    """
    height, width = FACE_HW
    left, top, right, bottom = region_px(config, crops.shape[1])
    how = cv2.INTER_AREA if right - left > width else cv2.INTER_LINEAR
    parts = [cv2.resize(crop[top:bottom, left:right], (width, height), interpolation=how) for crop in crops]
    return np.asarray(parts, dtype=np.uint8).reshape(-1, height, width, 3)


def stack_frames(faces: NDArray[np.uint8], starts: NDArray[np.int64], frames: int) -> NDArray[np.float32]:
    """Stack the `frames` lower faces from each start on: faces (T, 48, 96, 3) to (N, 3 * frames, 48, 96), 0..1."""
    windows = faces[np.asarray(starts)[:, None] + np.arange(frames)]
    planes = windows.transpose(0, 1, 4, 2, 3).reshape(len(windows), -1, *FACE_HW)
    return np.asarray(planes, dtype=np.float32) / np.float32(255.0)


def cut_sound(mel: NDArray[np.float32], starts: NDArray[np.int64], config: ExpertConfig) -> NDArray[np.float32]:
    """Cut the sound of the windows that begin at frames `starts` out of mel (80, M): (N, 1, 80, columns)."""
    window = config.window
    return np.stack([window.cut(mel, float(start) * FRAME_MS) for start in starts])[:, None]
