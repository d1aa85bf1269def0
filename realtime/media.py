"""The frames and audio blocks that travel between rooms, each with its place on the media clock."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

AUDIO_RATE = 48_000
BLOCK_MS = 20.0
BLOCK_SAMPLES = 960


class FrameKind(Enum):
    """Where the pixels of an output frame come from."""

    REAL = "real"
    SYNTH = "synth"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A decoded real frame: `image` (H, W, 3) uint8 BGR and the media time in ms at which it was captured."""

    image: NDArray[np.uint8]
    media_ms: float


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """20 ms of 48 kHz mono speech.

    Attributes:
        samples: (960,) int16.
        media_ms: media time in ms of the first sample.
        concealed: whether it was invented because the packet was lost or late.
        source_ms: the caller's own time in ms of the first sample; None while concealed or unknown.
        out_ms: time in ms on the output clock, which outgoing RTP timestamps count; None where it equals `media_ms`.
    """

    samples: NDArray[np.int16]
    media_ms: float
    concealed: bool = False
    source_ms: float | None = None
    out_ms: float | None = None

    @property
    def leaves_ms(self) -> float:
        """Output time in ms: `out_ms`, or `media_ms` where both are the same."""
        return self.media_ms if self.out_ms is None else self.out_ms


@dataclass(frozen=True, slots=True)
class OutputFrame:
    """What the viewer gets at one tick.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        media_ms: audio time in ms it belongs to: the sound that leaves at the same moment.
        kind: where the pixels come from.
        skew_ms: time that the picture depicts minus `media_ms`; positive when the picture is ahead of the sound.
        out_ms: time in ms on the output clock, which outgoing RTP timestamps count; None where it equals `media_ms`.
    """

    image: NDArray[np.uint8]
    media_ms: float
    kind: FrameKind
    skew_ms: float = 0.0
    out_ms: float | None = None

    @property
    def leaves_ms(self) -> float:
        """Output time in ms: `out_ms`, or `media_ms` where both are the same."""
        return self.media_ms if self.out_ms is None else self.out_ms
