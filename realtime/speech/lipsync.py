"""How long sound must wait for its picture.

Pure. Pictures come later than their sound: encoding, a keyframe on a narrow link, decoding. Where the delay that speech
needs anyway does not cover that, sound waits too, as in any receiver that keeps lips together (RFC 3550 timestamps tell
which picture belongs to which sound). Beyond `most_ms` the picture is late and sound goes on.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class LipSyncConfig:
    """Set the wait; times in ms.

    Attributes:
        most_ms: most delay for the picture's sake.
        quantile: share of the pictures that shall be in time.
        margin_ms: added to that: sound and picture leave at ticks of their own.
        release_ms: a wait that is no longer needed falls by so much for each picture, 5 ms a second: where about as
            many are late as may be, sound must not go faster and slower all the time.
        surplus_ms: more than this above what is needed is given back faster after an outage,
        surplus_release_ms: by so much for each of the first `window` pictures: 50 ms a second, 5 % of sound's speed.
        window: pictures remembered; 4 s at 25 a second.
    """

    most_ms: float = 200.0
    quantile: float = 0.95
    margin_ms: float = 10.0
    release_ms: float = 0.2
    surplus_ms: float = 30.0
    surplus_release_ms: float = 2.0
    window: int = 100

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.most_ms < 0 or not 0.5 <= self.quantile <= 1.0 or self.window < 1:
            raise ValueError("most_ms must not be negative, quantile 0.5 to 1 and window at least 1")


class LipSync:
    """Learn the delay that keeps pictures with their sound. Not thread-safe."""

    _EVERY = 5

    def __init__(self, config: LipSyncConfig | None = None) -> None:
        self.config = config or LipSyncConfig()
        self.hold_ms = 0.0
        """Delay behind the fastest speech packet that the picture needs."""
        self._needed: deque[float] = deque(maxlen=self.config.window)
        self._since = 0

    def add(self, delay_ms: float, early_ms: float) -> None:
        """Take in that a picture came `early_ms` before its moment (late: negative) at a delay of `delay_ms`."""
        self._needed.append(delay_ms - early_ms)
        self._since += 1
        if self._since >= self._EVERY:
            needed_ms = float(np.quantile(np.array(self._needed), self.config.quantile)) + self.config.margin_ms
            kept_ms = self.hold_ms - self._release(self.hold_ms - max(needed_ms, 0.0))
            self._since = 0
            self.hold_ms = min(max(needed_ms, kept_ms, 0.0), self.config.most_ms)

    def forget(self) -> None:
        """Forget the pictures up to now: an outage lies behind them, and what comes next comes over another link."""
        self._needed.clear()
        self._since = 0

    def _release(self, surplus_ms: float) -> float:
        slow_ms = self._since * self.config.release_ms
        if len(self._needed) == self.config.window:
            return slow_ms
        return max(slow_ms, min(self._since * self.config.surplus_release_ms, surplus_ms - self.config.surplus_ms))
