"""The newest columns that a caller's lips hear, asked for by media time."""

from typing import Final

import numpy as np

from models.hearing import Columns, Hearing

DEFAULT_CAPACITY_MS: Final = 10_000.0
"""What is kept when nothing else is asked for."""

MOST_BEHIND_MS: Final = 80.0
"""Lips that far behind the sound are within what people accept (ITU-R BT.1359-1: 125 ms)."""


class HeardHistory:
    """The newest columns of one stream, which are asked for in media ms only.

    Columns are counted from 0, the first one extended; column i is centred on `start_ms` + i x the hearing's step.
    Memory is fixed (4 bytes a number). Not thread-safe: one task or thread at a time.

    Attributes:
        start_ms: media time of the stream's sample 0, in ms.
        end: index after the newest column, which is the number of columns ever extended.
    """

    def __init__(self, hearing: Hearing, start_ms: float = 0.0, capacity: int | None = None) -> None:
        """Keep `capacity` columns, at least 1, of `hearing`; None keeps 10 s.

        Raises:
            ValueError: `capacity` is less than 1.
        """
        capacity = round(DEFAULT_CAPACITY_MS / hearing.step_ms) if capacity is None else capacity
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1 column, not {capacity}")
        self.start_ms = start_ms
        self.end = 0
        self._hearing = hearing
        self._ring: Columns = np.repeat(hearing.silence, capacity, 1)

    @property
    def begin(self) -> int:
        """Index of the oldest column that is still kept."""
        capacity: int = self._ring.shape[1]
        return max(0, self.end - capacity)

    def extend(self, columns: Columns) -> None:
        """Append columns (rows, k), k may be 0; the oldest ones make room.

        Raises:
            ValueError: when `columns` is not (rows, k).
        """
        rows, capacity = self._ring.shape
        if columns.ndim != 2 or columns.shape[0] != rows:
            raise ValueError(f"columns must be ({rows}, k), not {columns.shape}")
        self.end += columns.shape[1]
        newest = columns[:, -capacity:]
        places = np.arange(self.end - newest.shape[1], self.end) % capacity
        self._ring[:, places] = newest

    def ready(self, media_ms: float) -> bool:
        """Return whether every column of the frame at `media_ms` is here.

        What lies before the stream's start counts as here (silence); what has left the ring does not.
        """
        first, share = self._place(media_ms)
        needed = range(max(first, 0), first + self._hearing.columns + (share > 0.0))
        return not needed or (needed.start >= self.begin and needed.stop <= self.end)

    def window(self, media_ms: float) -> Columns:
        """Cut the window for the frame at `media_ms`.

        Returns:
            float32 (rows, columns), a copy. Columns before the stream's start, gone from the ring, or not yet here are
            silence: ask `ready` where that matters.
        """
        first, share = self._place(media_ms)
        return self._mixed(first, share, repeat=False)

    def window_so_far(self, media_ms: float) -> Columns | None:
        """Cut the window for the frame at `media_ms`; columns after the newest repeat it.

        Returns:
            float32 (rows, columns), a copy; None where the newest column lies more than 80 ms before the frame, or the
            window has left the ring.
        """
        first, share = self._place(media_ms)
        newest_ms = self.start_ms + (self.end - 1) * self._hearing.step_ms
        if media_ms - newest_ms > MOST_BEHIND_MS or max(first, 0) < self.begin:
            return None
        return self._mixed(first, share, repeat=True)

    def _mixed(self, first: int, share: float, *, repeat: bool) -> Columns:
        window = self._run(first, repeat=repeat)
        if share:
            window += np.float32(share) * (self._run(first + 1, repeat=repeat) - window)
        return window

    def _run(self, first: int, *, repeat: bool) -> Columns:
        indices = first + np.arange(self._hearing.columns)
        missing = (indices < self.begin) | (indices >= self.end)
        if repeat and self.end:
            missing = indices < self.begin
            indices = np.minimum(indices, self.end - 1)
        run = self._ring[:, indices % self._ring.shape[1]]
        run[:, missing] = self._hearing.silence
        return run

    def _place(self, media_ms: float) -> tuple[int, float]:
        return self._hearing.place(media_ms - self.start_ms)
