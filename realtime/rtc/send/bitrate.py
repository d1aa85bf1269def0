"""Find the bit rate for outgoing video from what the far end reports, and spare the encoder needless changes. Pure.

The loss-based part is that of Google congestion control (draft-ietf-rmcat-gcc-02, section 6); the far end's REMB, which
is estimated from delay, is a ceiling. Round trips add what REMB says late: our own queue.
"""

import math
from dataclasses import dataclass

from realtime.windowed import WindowedMin


@dataclass(frozen=True, slots=True)
class BitrateConfig:
    """Set the control; rates in bit/s, times in ms, loss 0..1.

    A report of more than `high_loss` lowers the rate by half that loss, one under `low_loss` raises it by
    `raise_per_s` for each second since the one before. A round trip `queue_rise_ms` above the least of `floor_ms`
    lowers it to `queue_factor`, half that rise holds it.

    The encoder's rate goes down at once when it is `real_drop` too high, yet once a `down_ms`; and up once an `up_ms`
    by `least_rise` to `greatest_rise`: each change of VP8's costs a keyframe, whose size follows the rate.
    """

    high_loss: float = 0.10
    low_loss: float = 0.02
    raise_per_s: float = 0.08
    queue_rise_ms: float = 150.0
    queue_factor: float = 0.85
    floor_ms: float = 10_000.0
    real_drop: float = 0.15
    down_ms: float = 1_000.0
    up_ms: float = 2_000.0
    least_rise: float = 0.15
    greatest_rise: float = 0.60


class BitrateController:
    """Control one video stream's rate within `floor`..`ceiling` bit/s, from `initial`.

    Times are monotonic ms and do not go back. `target` is what the path should bear, `encoder_rate` what to aim at.
    """

    def __init__(self, floor: int, initial: int, ceiling: int, config: BitrateConfig | None = None) -> None:
        if not 10_000 <= floor <= initial <= ceiling:
            raise ValueError("bit rates must be 10000 <= floor <= initial <= ceiling bit/s")
        self._floor, self._initial, self._ceiling = floor, initial, ceiling
        self._config = config or BitrateConfig()
        self._estimate = float(initial)
        self._remb: float | None = None
        self._limit: float | None = None
        self._given = float(initial)
        self._changed_ms = -math.inf
        self._reported_ms: float | None = None
        self._lowered_ms = -math.inf
        self._queue_ms = 0.0
        self._floor_rtt = WindowedMin(self._config.floor_ms)

    @property
    def target(self) -> int:
        """Return the rate that the path should bear, in bit/s."""
        if self._limit is not None:
            return self._bounded(self._limit)
        return self._bounded(self._estimate if self._remb is None else min(self._estimate, self._remb))

    def remb(self, bitrate: float) -> None:
        """Take in the far end's estimate; it bounds the rate from above, but not that of a trial."""
        if self._limit is None and bitrate >= 0.0:
            self._remb = bitrate

    def loss(self, fraction: float, now_ms: float) -> None:
        """Take in the loss (0..1) since the report before this one."""
        before_ms, self._reported_ms = self._reported_ms, now_ms
        if self._limit is not None:
            return
        if fraction > self._config.high_loss:
            self._lower(1.0 - 0.5 * min(1.0, fraction), now_ms)
        elif fraction < self._config.low_loss and self._queue_ms < self._config.queue_rise_ms / 2.0:
            # Silence gives no right to a big step: reports come every second or so.
            seconds = min(max(0.0, now_ms - (now_ms if before_ms is None else before_ms)), 1_500.0) / 1000.0
            grown = self._estimate * (1.0 + self._config.raise_per_s) ** seconds
            # Far above what REMB allows nothing has been tried.
            self._estimate = min(grown, self._ceiling, 1.5 * (self._remb or math.inf))

    def rtt(self, rtt_ms: float, now_ms: float) -> None:
        """Take in a round trip; what it is above the least of the last seconds waits in a queue, most likely ours."""
        self._queue_ms = rtt_ms - self._floor_rtt.add(rtt_ms, now_ms)
        if self._queue_ms > self._config.queue_rise_ms and now_ms - self._lowered_ms >= self._config.down_ms:
            self._lower(self._config.queue_factor, now_ms)

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
        wanted, config = float(self.target), self._config
        waited_ms = now_ms - self._changed_ms
        if wanted <= (1.0 - config.real_drop) * self._given and waited_ms >= config.down_ms:
            self._given, self._changed_ms = wanted, now_ms
        elif wanted >= (1.0 + config.least_rise) * self._given and waited_ms >= config.up_ms:
            self._given, self._changed_ms = min(wanted, (1.0 + config.greatest_rise) * self._given), now_ms
        return int(self._given)

    def frame_interval_ms(self, bitrate: int) -> float:
        """Return the least time between pictures at `bitrate` bit/s; 0 where all can be sent.

        At 640x480 and 25 frames a second libvpx, at its coarsest, needs 97 kbit/s and takes them whatever it was told;
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
