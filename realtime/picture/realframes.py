"""Real frames between arrival and their moment at the output, each stamped with its media time.

Pure. The caller's own time (`source_ms`) and media time (sound played so far) differ by an offset that changes when the
playout buffer slows down or speeds up. A frame is stamped once, on arrival, so that its picture leaves with its sound.
"""

from bisect import insort
from dataclasses import dataclass, field
from typing import Final

from realtime.media import VideoFrame

_SIZE: Final = 32
"""Frames that wait at most."""


class AxisMap:
    """A map from the caller's time to media time.

    The offset follows that of the sound, by at most half of the time that passes: a step in the sound makes the picture
    faster or slower, but never stops it. The first offset, and steps of more than a second, apply at once.
    """

    SLEW = 0.5
    SNAP_MS = 1000.0

    def __init__(self) -> None:
        self._wanted: float | None = None
        self._offset: float | None = None
        self._newest = float("-inf")

    def anchor(self, media_ms: float, source_ms: float) -> None:
        """Set the offset to aim for: the caller's `source_ms` is heard at `media_ms`."""
        if self._wanted is None:
            self._offset = None
        self._wanted = media_ms - source_ms

    def stamp(self, source_ms: float, fallback_ms: float) -> float:
        """Return the media time of a frame of `source_ms`; before any anchor the first frame gets `fallback_ms`."""
        wanted = self._wanted
        if wanted is None:
            known = self._offset is not None and abs(source_ms + self._offset - fallback_ms) <= self.SNAP_MS
            wanted = self._offset if known and self._offset is not None else fallback_ms - source_ms
        if self._offset is None or abs(wanted - self._offset) > self.SNAP_MS:
            self._offset = wanted
        limit = self.SLEW * max(0.0, source_ms - self._newest) if self._newest > float("-inf") else 0.0
        self._offset += min(max(wanted - self._offset, -limit), limit)
        self._newest = max(self._newest, source_ms)
        return source_ms + self._offset


@dataclass(frozen=True, slots=True, order=True)
class RealFrame:
    """A real frame with its media time, the caller's own time, and its arrival, all in ms."""

    media_ms: float
    frame: VideoFrame = field(compare=False)
    source_ms: float = field(compare=False)
    arrival_ms: float = field(compare=False)


class RealFrames:
    """A bounded list of real frames in order of media time; the oldest is dropped first."""

    def __init__(self) -> None:
        self._frames: list[RealFrame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: RealFrame) -> None:
        """Insert `frame`; a second one with the same media time is ignored."""
        if any(other.media_ms == frame.media_ms for other in self._frames):
            return
        insort(self._frames, frame)
        del self._frames[:-_SIZE]

    def due(self, until_ms: float, since_ms: float = float("-inf")) -> RealFrame | None:
        """Return the newest frame not after `until_ms` that arrived at `since_ms` or later, without removing it."""
        return next((f for f in reversed(self._frames) if f.media_ms <= until_ms and f.arrival_ms >= since_ms), None)

    def after(self, media_ms: float) -> RealFrame | None:
        """Return the oldest frame after `media_ms`."""
        return next((f for f in self._frames if f.media_ms > media_ms), None)

    def drop_until(self, media_ms: float) -> None:
        """Remove the frames not after `media_ms`."""
        self._frames = [f for f in self._frames if f.media_ms > media_ms]
