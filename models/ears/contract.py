"""What the hearing network agrees on with its trainer and its runtime: sizes, times, state. No torch here."""

from dataclasses import asdict, dataclass
from math import floor
from typing import Any, Final

FRAME_MS: Final = 20.0
"""Spacing of what is heard: a frame every 320 samples at 16 kHz."""

BEFORE: Final = 2
AFTER: Final = 2
"""Columns of log-mel, 10 ms each, that a frame's two convolutions reach before and after its own."""

TAIL_MS: Final = AFTER * 10.0 + 12.5
"""Sound needed after a frame's time, in ms: its last column and half of that column's window."""


def newest_frame(media_ms: float, lookahead_ms: float) -> tuple[int, float]:
    """Return the newest frame of a picture's window, and how far the window lies towards the frames one later.

    Windows of pictures between frames are mixtures, which need one frame more; that lies within the lookahead too.

    Args:
        media_ms: time of the picture.
        lookahead_ms: sound that may be needed after it.
    """
    newest = (media_ms + lookahead_ms - TAIL_MS) / FRAME_MS - 1.0
    first = floor(newest + 1e-6)
    share = max(newest - first, 0.0)
    return first, share if share > 1e-3 else 0.0


@dataclass(frozen=True, slots=True)
class EarsConfig:
    """Fix the sizes of a hearing network.

    Attributes:
        layers: transformer layers.
        width: numbers that describe a frame.
        heads: of the attention, a divisor of `width`.
        past: frames that a layer looks back, whose keys and values are its state.
    """

    layers: int = 2
    width: int = 384
    heads: int = 6
    past: int = 50

    @property
    def state_shape(self) -> tuple[int, int, int, int]:
        """Shape of the state: for each layer keys, then values, of the past frames."""
        return self.layers, 2, self.past, self.width

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a checkpoint or ONNX metadata."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EarsConfig":
        """Read what `to_json` wrote; unknown or missing fields raise TypeError."""
        return cls(**values)
