"""Lock the ticks to the pictures of a source of the same rate, so that each picture leaves at its own moment.

Pure. Ticks every 40 ms and pictures every 40 ms keep whatever phase they had at first for a whole call: every picture
is shown up to half an interval off its moment. A first-order loop moves each tick a little towards its picture.
"""

import math
from collections import deque
from typing import Final

GAIN: Final = 0.1
"""Share of the mean error by which the next tick is moved."""
MOST_MS: Final = 1.0
"""Most that a tick is moved: half an interval takes 25 ticks, and RTP timestamps say so anyway."""
SMOOTHING: Final = 0.25
"""Share of a picture's own error in the mean error: cameras' timestamps jitter."""
TOLERANCE: Final = 0.03
"""Largest difference between the source's mean interval and the ticks'; within it ticks go as the source does."""

_STEPS: Final = 50
_ENOUGH: Final = 25
_ONE: Final = (0.5, 1.5)
"""Steps of so many intervals lead from one picture to the next; others span pictures that are missing."""
_JUMP_MS: Final = 1000.0


class TickPhase:
    """Measure by how much the next tick is to be moved. Times in ms; not thread-safe.

    Sources of another rate than the ticks', and the first second of any, have no effect.
    """

    def __init__(self, interval_ms: float) -> None:
        """Begin with ticks every `interval_ms`; raises ValueError when that is not above 0."""
        if interval_ms <= 0.0:
            raise ValueError(f"ticks need an interval above 0 ms; got {interval_ms}")
        self._interval = interval_ms
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._newest = -math.inf
        self._error: float | None = None

    def arrived(self, source_ms: float) -> None:
        """Note a picture of the caller's time `source_ms`; in any order."""
        step = source_ms - self._newest
        if 0.0 < step < _JUMP_MS:
            self._steps.append(step)
        if step > 0.0 or step < -_JUMP_MS:
            self._newest = source_ms

    @property
    def same_rate(self) -> bool:
        """Whether pictures come as often as ticks, as far as is known."""
        single = [step for step in self._steps if _ONE[0] * self._interval < step < _ONE[1] * self._interval]
        if len(single) < _ENOUGH:
            return False
        return abs(sum(single) / len(single) - self._interval) <= TOLERANCE * self._interval

    def lost(self) -> None:
        """Forget the phase, because the picture is synthetic and no real one is due; the next one is measured anew."""
        self._error = None

    def shown(self, skew_ms: float) -> float:
        """Follow a new real picture that met this tick `skew_ms` before its moment (negative: after it).

        After an outage, pictures that are due count before they are shown: ticks are in step at the hand-back.

        Returns:
            By how many ms the next tick is to come later (negative: earlier) than one interval after this one.
        """
        if not self.same_rate:
            self._error = None
            return 0.0
        # Half an interval early and half an interval late are one phase: which of two pictures is shown there changes
        # from tick to tick. So the error is followed round the circle, and the way that was taken is kept to.
        before = self._error
        if before is None:
            error = math.remainder(skew_ms, self._interval)
        else:
            error = before + SMOOTHING * math.remainder(skew_ms - before, self._interval)
        shift = min(max(GAIN * error, -MOST_MS), MOST_MS)
        self._error = error - shift
        return shift
