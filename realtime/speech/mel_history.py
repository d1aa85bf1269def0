"""The newest mel columns of a call, asked for by media time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS, SILENCE, MelWindow
from models.mel import N_MELS, Mel

DEFAULT_CAPACITY: Final = 800
"""Columns kept when nothing else is asked for: 10 s."""


MOST_BEHIND_MS: Final = 80.0
"""Lips that far behind the sound are within what people accept (ITU-R BT.1359-1: 125 ms)."""


class MelHistory:
    """The newest mel columns of one stream, which are asked for in media ms only.

    Columns are counted from 0, the first one extended; column i is centred on `start_ms` + 12.5 i. Memory is fixed
    (320 bytes a column). Not thread-safe: one task or thread at a time.

    Attributes:
        start_ms: media time of the stream's sample 0, in ms.
        end: index after the newest column, which is the number of columns ever extended.
    """

    def __init__(self, start_ms: float = 0.0, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1 column, not {capacity}")
        self.start_ms = start_ms
        self.end = 0
        self._ring = np.full((N_MELS, capacity), SILENCE, dtype=np.float32)

    @property
    def begin(self) -> int:
        """Index of the oldest column that is still kept."""
        return max(0, self.end - self._ring.shape[1])

    def extend(self, columns: Mel) -> None:
        """Append columns (80, k), k may be 0; the oldest ones make room.

        Raises:
            ValueError: when `columns` is not (80, k).
        """
        if columns.ndim != 2 or columns.shape[0] != N_MELS:
            raise ValueError(f"columns must be ({N_MELS}, k), not {columns.shape}")
        capacity = self._ring.shape[1]
        self.end += columns.shape[1]
        newest = columns[:, -capacity:]
        places = np.arange(self.end - newest.shape[1], self.end) % capacity
        self._ring[:, places] = newest

    def ready(self, alignment: MelWindow, media_ms: float) -> bool:
        """Return whether every column of the frame at `media_ms` is here.

        What lies before the stream's start counts as here (silence); what has left the ring does not.
        """
        first = self._first(alignment, media_ms)
        needed = range(max(first, 0), first + alignment.columns)
        return not needed or (needed.start >= self.begin and needed.stop <= self.end)

    def window(self, alignment: MelWindow, media_ms: float) -> NDArray[np.float32]:
        """Cut the window for the frame at `media_ms`.

        Returns:
            float32 (80, alignment.columns), a copy. Columns before the stream's start, gone from the ring, or not yet
            here are silence: ask `ready` where that matters.
        """
        indices = self._first(alignment, media_ms) + np.arange(alignment.columns)
        window = self._ring[:, indices % self._ring.shape[1]]
        window[:, (indices < self.begin) | (indices >= self.end)] = SILENCE
        return window

    def window_so_far(self, alignment: MelWindow, media_ms: float) -> NDArray[np.float32] | None:
        """Cut the window for the frame at `media_ms`; columns after the newest repeat it.

        Returns:
            float32 (80, alignment.columns), a copy; None where the newest column lies more than 80 ms before the frame,
            or the window has left the ring.
        """
        first = self._first(alignment, media_ms)
        newest_ms = self.start_ms + (self.end - 1) * COLUMN_MS
        if media_ms - newest_ms > MOST_BEHIND_MS or max(first, 0) < self.begin:
            return None
        window = self.window(alignment, media_ms)
        missing = max(0, first + alignment.columns - self.end)
        if missing:
            window[:, -missing:] = self._ring[:, [(self.end - 1) % self._ring.shape[1]]]
        return window

    def _first(self, alignment: MelWindow, media_ms: float) -> int:
        return alignment.start(media_ms - self.start_ms)
