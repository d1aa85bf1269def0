"""Count what a call did, under the names of W3C webrtc-stats where it has one.

Pure: times come in as arguments, in ms of one monotonic clock.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from realtime.media import FrameKind

_FREEZE_WINDOW = 30
_FREEZE_SAMPLES = 5
_FREEZE_EXTRA_MS = 150.0
_STILL_FRAMES = 5
"""Repeated frames in a row after which the picture counts as still."""


class ShownState(StrEnum):
    """What viewers are shown; the values are those of the wire."""

    WAITING = "waiting"
    """Nothing yet."""
    REAL = "real"
    SYNTH = "synth"
    RETURNING = "returning"
    STILL = "still"
    """The picture stands, or the mouth rests: no face can be shown, or nobody is heard."""


class Shown:
    """Follow what viewers are shown, frame by frame. Times in ms of one clock.

    Attributes:
        state: what is shown now.
        since_ms: time at which that began.
    """

    def __init__(self, now_ms: float) -> None:
        self.state, self.since_ms = ShownState.WAITING, now_ms
        self._repeated = 0

    def note(self, kind: FrameKind | None, output: ShownState, now_ms: float) -> None:
        """Note that a frame of `kind` (None: no frame) leaves while the output is `output`.

        Whatever the output, viewers who see the same picture for long get the state of a still; one repeated frame does
        not change the state.
        """
        self._repeated = self._repeated + 1 if kind is FrameKind.REPEATED else 0
        state = output
        if self._repeated >= _STILL_FRAMES:
            state = ShownState.STILL
        elif self._repeated and output is not ShownState.STILL:
            state = self.state
        if state is not self.state:
            self.state, self.since_ms = state, now_ms


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """What viewers are shown at this moment.

    Attributes:
        state: where the picture comes from, or that it stands.
        since_ms: duration of that state so far, in ms.
        concealed: share (0..1) of the last second's sound that was concealed.
        skew_ms: time that the picture depicts minus that of the sound, in ms.
    """

    state: ShownState
    since_ms: float
    concealed: float
    skew_ms: float


@dataclass(frozen=True, slots=True)
class Freezes:
    """How often and how long a picture stood still; names, definition and seconds as in W3C webrtc-stats."""

    freezeCount: int = 0
    totalFreezesDuration: float = 0.0


class FreezeCounter:
    """Find freezes in a stream of frames as they are shown.

    A gap is a freeze when it is at least max(3 d, d + 150 ms), d being the mean of the up to 30 gaps before it (W3C
    webrtc-stats, freezeCount). As in libwebrtc five gaps are needed first; unlike there the gap itself is left out of
    its own mean, which finds more freezes, not fewer.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total_ms = 0.0
        self._gaps: deque[float] = deque(maxlen=_FREEZE_WINDOW)
        self._last: float | None = None

    def add(self, shown_ms: float) -> bool:
        """Count a frame shown at `shown_ms` (not before the one before it); return whether a freeze ended with it."""
        gap = 0.0 if self._last is None else shown_ms - self._last
        froze = self._last is not None and self._is_freeze(gap)
        if froze:
            self.count += 1
            self.total_ms += gap
        if self._last is not None:
            self._gaps.append(gap)
        self._last = shown_ms
        return froze

    def result(self, end_ms: float | None = None) -> Freezes:
        """Return the sums so far; with `end_ms` a freeze that lasts until then is counted too."""
        gap = 0.0 if end_ms is None or self._last is None else end_ms - self._last
        open_freeze = self._is_freeze(gap)
        return Freezes(self.count + open_freeze, (self.total_ms + gap * open_freeze) / 1000.0)

    def _is_freeze(self, gap: float) -> bool:
        if len(self._gaps) < _FREEZE_SAMPLES:
            return False
        mean = sum(self._gaps) / len(self._gaps)
        return gap >= max(3.0 * mean, mean + _FREEZE_EXTRA_MS)


def freezes(frame_times_ms: Iterable[float], end_ms: float | None = None) -> Freezes:
    """Count the freezes a viewer sees.

    Args:
        frame_times_ms: when each frame that differs from the one before it was shown, in ms, rising.
        end_ms: when watching ended; a freeze that lasts until then is counted.
    """
    counter = FreezeCounter()
    for shown in frame_times_ms:
        counter.add(shown)
    return counter.result(end_ms)


class Quantiles:
    """Quantiles of the newest `size` values of a figure; memory is bounded."""

    def __init__(self, size: int = 2048) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self.count = 0

    def add(self, value: float) -> None:
        """Add a value; NaN and infinity are left out."""
        if math.isfinite(value):
            self._values.append(value)
            self.count += 1

    def at(self, *shares: float) -> list[float]:
        """Return the quantiles at `shares` (0..1), nearest rank; 0 when there are no values."""
        ordered = sorted(self._values)
        if not ordered:
            return [0.0] * len(shares)
        return [ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in shares]

    def snapshot(self) -> dict[str, float]:
        """Return count, p50, p95, p99 and max."""
        p50, p95, p99, most = self.at(0.50, 0.95, 0.99, 1.0)
        return {"count": self.count, "p50": p50, "p95": p95, "p99": p99, "max": most}


class CallStats:
    """Sum up one call. Not thread-safe, except that a snapshot is a copy.

    `timeToSynthMs` and `timeToReturnMs` list the newest 64 switches. Skew is positive when the picture is
    ahead of the sound.
    """

    def __init__(self) -> None:
        self.frames = dict.fromkeys(FrameKind, 0)
        self.time_to_synth_ms: deque[float] = deque(maxlen=64)
        self.time_to_return_ms: deque[float] = deque(maxlen=64)
        self.skew = Quantiles()
        self.skew_abs = Quantiles()
        self.tick = Quantiles()
        self.model = Quantiles()
        self.synth_ms = 0.0
        self._freezes = FreezeCounter()
        self._last_ms: float | None = None

    def on_frame(self, kind: FrameKind, now_ms: float, skew_ms: float) -> None:
        """Count an output frame of `kind` shown at `now_ms` whose picture lies `skew_ms` after its sound."""
        self.frames[kind] += 1
        if kind is not FrameKind.REPEATED:
            self._freezes.add(now_ms)
        if kind is FrameKind.SYNTH and self._last_ms is not None:
            self.synth_ms += now_ms - self._last_ms
        self._last_ms = now_ms
        self.skew.add(skew_ms)
        self.skew_abs.add(abs(skew_ms))

    def snapshot(self, now_ms: float | None = None) -> dict[str, object]:
        """Return all counters, ready for JSON; with `now_ms` a freeze that still lasts is counted."""
        found = self._freezes.result(now_ms)
        return {
            "freezeCount": found.freezeCount,
            "totalFreezesDuration": found.totalFreezesDuration,
            "framesReal": self.frames[FrameKind.REAL],
            "framesSynth": self.frames[FrameKind.SYNTH],
            "framesRepeated": self.frames[FrameKind.REPEATED],
            "synthDurationTotal": self.synth_ms / 1000.0,
            "timeToSynthMs": list(self.time_to_synth_ms),
            "timeToReturnMs": list(self.time_to_return_ms),
            "avSkewMs": self.skew.snapshot(),
            "avSkewAbsMs": self.skew_abs.snapshot(),
            "tickMs": self.tick.snapshot(),
            "modelMs": self.model.snapshot(),
        }
