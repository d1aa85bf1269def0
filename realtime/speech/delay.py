"""How long speech must wait so that late packets are still in time: 40 to 120 ms, from the jitter that is measured.

Pure. A packet's transit is its arrival minus its RTP time; clocks differ, so only differences mean anything. Names as
in W3C webrtc-stats (jitterBufferTargetDelay).
"""

from collections import deque
from typing import Final

import numpy as np

LOW_MS: Final = 40.0
"""Least target in ms: two blocks."""
HIGH_MS: Final = 120.0
"""Largest target in ms; speech that is later than that raises the delay only until it is played faster."""
_WINDOW_MS: Final = 10_000.0
"""Time in ms for which transits count."""
_QUANTILE: Final = 0.97
"""Share of the packets that must be in time."""
_MARGIN_MS: Final = 20.0
"""Addition in ms to what that share needs: blocks leave every 20 ms, whenever packets arrive."""
_MOST: Final = 600
_EVERY: Final = 5
"""Packets between two measurements."""


class DelayTarget:
    """Follow the jitter of one stream. At most 600 packets are remembered; not thread-safe."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream: another one begins."""
        self._transits: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._since = 0
        self.floor_ms = 0.0
        """Transit of the fastest packet: delays are counted from it."""
        self.target_ms = LOW_MS
        """Delay wanted after the fastest packet, in ms."""

    def add(self, media_ms: float, arrival_ms: float) -> None:
        """Count the packet with RTP time `media_ms` that arrived at `arrival_ms`."""
        transit_ms = arrival_ms - media_ms
        first = not self._transits
        self._transits.append((arrival_ms, transit_ms))
        while self._transits[0][0] < arrival_ms - _WINDOW_MS:
            self._transits.popleft()
        self._since += 1
        # A faster packet counts at once: until then the delay would be measured from one that waited in a queue.
        if first or transit_ms < self.floor_ms:
            self.floor_ms = transit_ms
        if self._since >= _EVERY:
            self._since = 0
            self._measure()

    def keep(self, last_ms: float) -> None:
        """Forget what arrived more than `last_ms` before the newest packet: it came over a link that is no more."""
        if not self._transits:
            return
        newest_ms = self._transits[-1][0]
        while self._transits[0][0] < newest_ms - last_ms:
            self._transits.popleft()
        self._measure()

    def _measure(self) -> None:
        transits = np.array([transit for _, transit in self._transits])
        self.floor_ms = float(transits.min())
        late_ms = float(np.quantile(transits, _QUANTILE)) - self.floor_ms
        self.target_ms = min(max(late_ms + _MARGIN_MS, LOW_MS), HIGH_MS)
