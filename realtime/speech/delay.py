"""How long speech must wait so that late packets are still in time: 40 to 120 ms, from the jitter that is measured.

Pure. A packet's transit is its arrival minus its RTP time; clocks differ, so only differences mean anything. Names as
in W3C webrtc-stats (jitterBufferTargetDelay).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class DelayConfig:
    """Set the target; times in ms.

    Attributes:
        low_ms: least delay; two blocks.
        high_ms: most delay; what is later than that comes too late and is worked off.
        window_ms: how far back transits count.
        quantile: share of the packets that must be in time.
        margin_ms: added to that: blocks leave every 20 ms, whenever packets come.
    """

    low_ms: float = 40.0
    high_ms: float = 120.0
    window_ms: float = 10_000.0
    quantile: float = 0.97
    margin_ms: float = 20.0

    def __post_init__(self) -> None:
        """Refuse delays that make no sense."""
        if not 20.0 <= self.low_ms <= self.high_ms:
            raise ValueError(f"delays must satisfy 20 <= low_ms <= high_ms; got {self.low_ms}, {self.high_ms}")
        if not 0.5 <= self.quantile <= 1.0 or self.window_ms <= 0:
            raise ValueError("quantile must be 0.5 to 1 and window_ms above 0")


class DelayTarget:
    """Follow the jitter of one stream. At most `_MOST` packets are remembered; not thread-safe."""

    _MOST = 600
    _EVERY = 5

    def __init__(self, config: DelayConfig | None = None) -> None:
        self.config = config or DelayConfig()
        self.reset()

    def reset(self) -> None:
        """Forget the stream: another one begins."""
        self._transits: deque[tuple[float, float]] = deque(maxlen=self._MOST)
        self._since = 0
        self.floor_ms = 0.0
        """Transit of the fastest packet: delays are counted from it."""
        self.target_ms = self.config.low_ms
        """Delay wanted behind the fastest packet."""

    def add(self, media_ms: float, arrival_ms: float) -> None:
        """Take in that the packet with RTP time `media_ms` arrived at `arrival_ms`."""
        transit_ms = arrival_ms - media_ms
        first = not self._transits
        self._transits.append((arrival_ms, transit_ms))
        while self._transits[0][0] < arrival_ms - self.config.window_ms:
            self._transits.popleft()
        self._since += 1
        if first or transit_ms < self.floor_ms:
            self.floor_ms = transit_ms
        if self._since >= self._EVERY:
            self._since = 0
            self._learn()

    def keep(self, last_ms: float) -> None:
        """Forget what arrived more than `last_ms` before the newest packet: it came over a link that is no more."""
        if not self._transits:
            return
        newest_ms = self._transits[-1][0]
        while self._transits[0][0] < newest_ms - last_ms:
            self._transits.popleft()
        self._learn()

    def _learn(self) -> None:
        transits = np.array([transit for _, transit in self._transits])
        self.floor_ms = float(transits.min())
        late_ms = float(np.quantile(transits, self.config.quantile)) - self.floor_ms
        self.target_ms = min(max(late_ms + self.config.margin_ms, self.config.low_ms), self.config.high_ms)
