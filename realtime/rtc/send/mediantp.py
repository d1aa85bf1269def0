"""Map a sender's media time to the wall clock, one mapping for all its streams, for its sender reports. Pure.

The two timestamps of a report are of one instant, that of sampling (RFC 3550, 6.4.1). With the time of sending in its
place, a receiver that aligns sound and picture by reports would show pictures late by what encoding and pacing took.
"""

from typing import Final

RISE_PER_MS: Final = 1e-3
"""A media clock that runs slower than ours is followed at this rate."""


class MediaNtp:
    """Map media time to wall-clock time by the quickest piece of media seen. Times in ms; not thread-safe."""

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._noted_ms = 0.0

    def note(self, media_ms: float, now_ms: float) -> None:
        """Note that media of `media_ms` was available at `now_ms` on the monotonic clock."""
        offset_ms = now_ms - media_ms
        if self._offset_ms is not None:
            risen_ms = self._offset_ms + RISE_PER_MS * max(0.0, now_ms - self._noted_ms)
            offset_ms = min(offset_ms, risen_ms)
        self._offset_ms, self._noted_ms = offset_ms, now_ms

    def unix_ms(self, media_ms: float, now_ms: float, unix_now_ms: float) -> float | None:
        """Return the wall-clock time of `media_ms`, in ms since 1970, when it is `unix_now_ms` now; None at first."""
        if self._offset_ms is None:
            return None
        return unix_now_ms - now_ms + media_ms + self._offset_ms
