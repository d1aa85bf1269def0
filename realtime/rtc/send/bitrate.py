"""Find the bit rate for outgoing video from what the far end reports, and spare the encoder needless changes. Pure.

The loss-based part is that of Google congestion control (draft-ietf-rmcat-gcc-02, section 6); the far end's REMB, which
is estimated from delay, is a ceiling. Round trips add what REMB says late: our own queue.
"""

import math
from typing import Final

from realtime.windowed import WindowedMin

_HIGH_LOSS: Final = 0.10
"""Loss (0..1) of a report above which the rate is lowered, by half that loss."""
_LOW_LOSS: Final = 0.02
"""Loss (0..1) of a report below which the rate is raised."""
_RAISE_PER_S: Final = 0.08
"""Rise of the rate for each second since the report before, as a share of it."""
_QUEUE_RISE_MS: Final = 150.0
"""Round trip in ms above the least one that lowers the rate; half of it holds the rate."""
_QUEUE_FACTOR: Final = 0.85
"""Share of the rate that is left when a round trip lowers it."""
_FLOOR_WINDOW_MS: Final = 10_000.0
"""Time in ms in which the least round trip is looked for."""
_REAL_DROP: Final = 0.15
"""Share by which the encoder's rate must be too high to be lowered, which is then done at once.

Each change of VP8's rate costs a keyframe, whose size follows the rate: hence these steps and times.
"""
_DOWN_MS: Final = 1_000.0
"""Least time in ms between two falls of the rate."""
_UP_MS: Final = 2_000.0
"""Least time in ms between two rises of the encoder's rate."""
_LEAST_RISE: Final = 0.15
"""Smallest rise of the encoder's rate, as a share of it."""
_GREATEST_RISE: Final = 0.60
"""Largest rise of the encoder's rate at once, as a share of it."""


class BitrateController:
    """Control one video stream's rate within `floor`..`ceiling` bit/s, from `initial`.

    Times are monotonic ms and do not go back. `target` is what the path should bear, `encoder_rate` what to aim at.
    """

    def __init__(self, floor: int, initial: int, ceiling: int) -> None:
        if not 10_000 <= floor <= initial <= ceiling:
            raise ValueError("bit rates must be 10000 <= floor <= initial <= ceiling bit/s")
        self._floor, self._initial, self._ceiling = floor, initial, ceiling
        self._estimate = float(initial)
        self._remb: float | None = None
        self._limit: float | None = None
        self._given = float(initial)
        self._changed_ms = -math.inf
        self._reported_ms: float | None = None
        self._lowered_ms = -math.inf
        self._queue_ms = 0.0
        self._floor_rtt = WindowedMin(_FLOOR_WINDOW_MS)

    @property
    def target(self) -> int:
        """Rate that the path should bear, in bit/s."""
        if self._limit is not None:
            return self._bounded(self._limit)
        return self._bounded(self._estimate if self._remb is None else min(self._estimate, self._remb))

    def remb(self, bitrate: float) -> None:
        """Set the far end's estimate in bit/s; it bounds the rate from above, but not that of a trial."""
        if self._limit is None and bitrate >= 0.0:
            self._remb = bitrate

    def loss(self, fraction: float, now_ms: float) -> None:
        """Follow the loss (0..1) since the report before this one."""
        before_ms, self._reported_ms = self._reported_ms, now_ms
        if self._limit is not None:
            return
        if fraction > _HIGH_LOSS:
            self._lower(1.0 - 0.5 * min(1.0, fraction), now_ms)
        elif fraction < _LOW_LOSS and self._queue_ms < _QUEUE_RISE_MS / 2.0:
            # Silence gives no right to a big step: reports come every second or so.
            seconds = min(max(0.0, now_ms - (now_ms if before_ms is None else before_ms)), 1_500.0) / 1000.0
            grown = self._estimate * (1.0 + _RAISE_PER_S) ** seconds
            # Far above what REMB allows nothing has been tried.
            self._estimate = min(grown, self._ceiling, 1.5 * (self._remb or math.inf))

    def rtt(self, rtt_ms: float, now_ms: float) -> None:
        """Follow a round trip in ms; what it is above the least of the last 10 s waits in a queue, most likely ours."""
        self._queue_ms = rtt_ms - self._floor_rtt.add(rtt_ms, now_ms)
        if self._queue_ms > _QUEUE_RISE_MS and now_ms - self._lowered_ms >= _DOWN_MS:
            self._lower(_QUEUE_FACTOR, now_ms)

    def begin_trial(self, bitrate: int, now_ms: float) -> None:
        """Aim at `bitrate` at once, whatever was reported before or is reported until `end_trial`."""
        self._limit = float(bitrate)
        self._remb = None  # it remembers the time before
        self._floor_rtt.clear()
        self._queue_ms = 0.0
        self._given, self._changed_ms = float(self.target), now_ms

    def end_trial(self) -> None:
        """Climb to the initial rate again, as far as the far end allows."""
        if self._limit is not None:
            self._limit = None
            self._estimate = float(self._initial)

    def encoder_rate(self, now_ms: float) -> int:
        """Return the rate in bit/s for the encoder; it changes seldom."""
        wanted = float(self.target)
        waited_ms = now_ms - self._changed_ms
        if wanted <= (1.0 - _REAL_DROP) * self._given and waited_ms >= _DOWN_MS:
            self._given, self._changed_ms = wanted, now_ms
        elif wanted >= (1.0 + _LEAST_RISE) * self._given and waited_ms >= _UP_MS:
            self._given, self._changed_ms = min(wanted, (1.0 + _GREATEST_RISE) * self._given), now_ms
        return int(self._given)

    def frame_interval_ms(self, bitrate: int) -> float:
        """Return the least time between pictures at `bitrate` bit/s; 0 where all can be sent.

        At 640x480 and 25 frames a second libvpx, at its coarsest, needs 97 kbit/s and takes them whatever rate is set;
        every third frame it keeps to 60 kbit/s, every fourth to 31. No step is long enough to count as a freeze.
        """
        if bitrate < 50_000:
            return 160.0
        return 120.0 if bitrate < 80_000 else 0.0

    def _lower(self, factor: float, now_ms: float) -> None:
        # From what is sent, not from what might have been: an estimate above REMB was never tried.
        self._estimate = max(float(self._floor), factor * min(self._estimate, self.target))
        self._lowered_ms = now_ms

    def _bounded(self, bitrate: float) -> int:
        return int(max(self._floor, min(bitrate, self._ceiling)))
