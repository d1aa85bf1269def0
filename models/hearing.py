"""How a generator hears: which columns of sound a frame needs, and who makes them. No torch here."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.mel import Samples

Columns = NDArray[np.float32]
"""(rows, k) float32: sound over time, one column every `Hearing.step_ms`; mel, or what a network hears."""


class ColumnStream(Protocol):
    """Make the columns of one stream. Not thread-safe."""

    def push(self, samples: Samples) -> Columns:
        """Take the next samples (n,), mono at 16 kHz; return the columns (rows, k) that they complete, k may be 0."""

    def flush(self) -> Columns:
        """End the stream and return the columns (rows, k) that reach past its end, into silence."""


class Windows(Protocol):
    """Where the window of a frame lies."""

    @property
    def columns(self) -> int:
        """Columns of a frame's window."""

    @property
    def silence(self) -> Columns:
        """A column (rows, 1) of digital silence."""

    def place(self, media_ms: float) -> tuple[int, float]:
        """Return the index of the first column for a frame at `media_ms` (sound starts at 0 ms), which may be negative.

        The second number, 0 to under 1, is how far the window lies towards the columns one later: it is then the
        mixture of both.
        """


class Hearing(Windows, Protocol):
    """Say what a frame hears. Values that may be shared; their streams may not."""

    @property
    def step_ms(self) -> float:
        """Spacing of columns, in ms; column i is centred on `step_ms` x i."""

    @property
    def lookahead_ms(self) -> float:
        """Sound needed after the frame's time, in ms."""

    def stream(self) -> ColumnStream:
        """Return a new stream with silence before it."""

    def hear(self, samples: Samples) -> Columns:
        """Return the columns of a whole recording (n,), mono at 16 kHz: those of a stream, joined, with its flush."""

    def cut(self, heard: Columns, media_ms: float) -> Columns:
        """Cut the window (rows, columns) of a frame at `media_ms` out of what was heard, silence around it."""


def cut_window(hearing: Windows, heard: Columns, media_ms: float) -> Columns:
    """Cut the window (rows, columns) of a frame at `media_ms` out of `heard`, with silence around it."""
    first, share = hearing.place(media_ms)
    window = _run(hearing, heard, first)
    if share:
        window += np.float32(share) * (_run(hearing, heard, first + 1) - window)
    return window


def _run(hearing: Windows, heard: Columns, first: int) -> Columns:
    run = np.repeat(hearing.silence, hearing.columns, 1)
    low, high = max(first, 0), min(first + hearing.columns, heard.shape[1])
    if low < high:
        run[:, low - first : high - first] = heard[:, low:high]
    return run
