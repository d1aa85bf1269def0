"""How long sound must wait for its picture.

Pure. Pictures come later than their sound: encoding, a keyframe on a narrow link, decoding. Where the delay that speech
needs anyway does not cover that, sound waits too, as in any receiver that keeps lips together (RFC 3550 timestamps tell
which picture belongs to which sound). Beyond 200 ms the picture is late and sound goes on.
"""

from collections import deque
from typing import Final

import numpy as np

_MOST_MS: Final = 200.0
"""Largest delay for the picture's sake, in ms."""
_QUANTILE: Final = 0.95
"""Share of the pictures that must be in time."""
_MARGIN_MS: Final = 10.0
"""Addition in ms to what that share needs: sound and picture leave at ticks of their own."""
_RELEASE_MS: Final = 0.2
"""Fall of a wait that is no longer needed for each picture, in ms: 5 ms a second.

Where about as many pictures are late as may be, sound must not go faster and slower all the time.
"""
_SURPLUS_MS: Final = 30.0
"""Excess in ms over what is needed that is given back slowly after an outage; more than this falls faster."""
_SURPLUS_RELEASE_MS: Final = 2.0
"""Fall of that larger excess for each of the first pictures after an outage, in ms: 5 % of sound's speed."""
_WINDOW: Final = 100
"""Number of pictures remembered; 4 s at 25 a second."""
_EVERY: Final = 5
"""Pictures between two measurements."""


class LipSync:
    """Measure the delay that keeps pictures with their sound. Not thread-safe."""

    def __init__(self) -> None:
        self.hold_ms = 0.0
        """Delay after the fastest speech packet that the picture needs, in ms (0..200)."""
        self._needed: deque[float] = deque(maxlen=_WINDOW)
        self._since = 0

    def add(self, delay_ms: float, early_ms: float) -> None:
        """Count a picture that came `early_ms` before its moment (late: negative) at a delay of `delay_ms`."""
        self._needed.append(delay_ms - early_ms)
        self._since += 1
        if self._since >= _EVERY:
            needed_ms = float(np.quantile(np.array(self._needed), _QUANTILE)) + _MARGIN_MS
            kept_ms = self.hold_ms - self._release(self.hold_ms - max(needed_ms, 0.0))
            self._since = 0
            self.hold_ms = min(max(needed_ms, kept_ms, 0.0), _MOST_MS)

    def forget(self) -> None:
        """Forget the pictures up to now: those after an outage come over another link."""
        self._needed.clear()
        self._since = 0

    def _release(self, surplus_ms: float) -> float:
        slow_ms = self._since * _RELEASE_MS
        # Only after an outage is the memory not full: what the old link needed then goes fast, but for a rest.
        if len(self._needed) == _WINDOW:
            return slow_ms
        return max(slow_ms, min(self._since * _SURPLUS_RELEASE_MS, surplus_ms - _SURPLUS_MS))
