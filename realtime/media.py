"""The frames and audio blocks that travel between rooms, each with its place on the media clock."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

AUDIO_RATE = 48_000
BLOCK_MS = 20.0
BLOCK_SAMPLES = 960


class FrameKind(Enum):
    """Say where the pixels of an output frame come from."""

    REAL = "real"
    SYNTH = "synth"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """Hold a decoded real frame: `image` (H, W, 3) uint8 BGR and the media time in ms at which it was captured."""

    image: NDArray[np.uint8]
    media_ms: float


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Hold 20 ms of 48 kHz mono speech: `samples` (960,) int16, media time in ms of the first, and whether it was
    concealed (invented because the packet was lost or late)."""

    samples: NDArray[np.int16]
    media_ms: float
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class OutputFrame:
    """Hold what the viewer gets at one tick: `image` (H, W, 3) uint8 BGR, the audio time in ms it belongs to, its kind."""

    image: NDArray[np.uint8]
    media_ms: float
    kind: FrameKind
