"""Decide when a caller's video must stop and when it may come back, from round trips alone. Pure.

A narrow link shows at once in the round trip, because our own video queues in it. Before video comes back, single
padded pings measure the room on the link: the time one takes longer than a plain ping is its size over the link's rate.
So a link that stays narrow is never tried with video, and nobody sees it flap.
"""

import math
from dataclasses import dataclass
from enum import Enum

from realtime.windowed import WindowedMin


class UplinkState(Enum):
    """What the caller's video does: flow, rest, wait for a measurement, or come back at a low rate."""

    SENDING = "sending"
    PAUSED = "paused"
    PROBING = "probing"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """Settings of the watch; times in ms.

    Two good padded pings are enough to try video again: chance makes a ping late and never early, and each one costs
    bytes beside speech.

    Attributes:
        ping_ms: time between pings while video flows.
        paused_ping_ms: time between pings while video rests.
        lost_ping_ms: age of an unanswered ping at which the next one goes out early while video rests.
        rise_ms: rise of the round trip above the floor, in two pongs in a row, that makes the link bad.
        missing_ms: time beyond the floor by which the oldest open ping may be overdue before the link is bad.
        max_loss: loss (0..1) in a report above which the link is bad.
        near_ms: rise of the round trip up to which it counts as being at the floor.
        settle_ms: time at the floor before the link is measured.
        pad_bytes: padding of the pings that measure the link, in bytes.
        probes: number of good padded pings after which video is tried.
        unclear: number of unclear padded pings, neither good nor failed, that are allowed in a measurement.
        probe_rise_ms: rise up to which a padded ping is good; 25 ms for 400 bytes mean about 165 kbit/s.
        probe_fail_ms: rise above which a padded ping fails the measurement.
        probe_gap_ms: wait after a good padded ping.
        unclear_gap_ms: wait after an unclear one.
        probe_backoff_ms: wait after a failed measurement, doubled by each failure.
        probe_backoff_max_ms: greatest wait after a failed measurement.
        trial_ms: length of a trial of video.
        trial_rise_ms: the same as `rise_ms` during a trial.
        trial_bps: bit rate of video in a trial, in bit/s.
        trial_backoff_ms: wait after a failed trial, doubled by each failure.
        trial_backoff_max_ms: greatest wait after a failed trial.
        forgive_ms: time of flowing video after which failed trials are forgotten.
        floor_window_ms: time over which the floor, the least round trip, is taken.
        stall_ms: gap between two calls from which our own loop has stalled.
        tick_ms: gap between two calls that is normal.
    """

    ping_ms: float = 50.0
    paused_ping_ms: float = 700.0
    lost_ping_ms: float = 400.0
    rise_ms: float = 150.0
    missing_ms: float = 200.0
    max_loss: float = 0.2
    near_ms: float = 50.0
    settle_ms: float = 1_000.0
    pad_bytes: int = 400
    probes: int = 2
    unclear: int = 3
    probe_rise_ms: float = 25.0
    probe_fail_ms: float = 60.0
    probe_gap_ms: float = 150.0
    unclear_gap_ms: float = 450.0
    probe_backoff_ms: float = 500.0
    probe_backoff_max_ms: float = 2_000.0
    trial_ms: float = 1_500.0
    trial_rise_ms: float = 100.0
    trial_bps: int = 150_000
    trial_backoff_ms: float = 2_000.0
    trial_backoff_max_ms: float = 30_000.0
    forgive_ms: float = 10_000.0
    floor_window_ms: float = 10_000.0
    stall_ms: float = 30.0
    tick_ms: float = 20.0


@dataclass(frozen=True, slots=True)
class SendPing:
    """Send ping `number` with `pad` bytes of padding."""

    number: int
    pad: int = 0


@dataclass(frozen=True, slots=True)
class PauseVideo:
    """Stop sending video at once; `reason` is for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class ResumeVideo:
    """Send video again, from a keyframe, at no more than `bitrate` bit/s."""

    bitrate: int


@dataclass(frozen=True, slots=True)
class LiftLimit:
    """Let video climb to its usual bit rate again."""


Action = SendPing | PauseVideo | ResumeVideo | LiftLimit


class UplinkWatch:
    """Watch one uplink. Call `tick` every 10 to 25 ms, `pong` and `loss` as they come; carry out the actions.

    Times are monotonic ms and must not go back. A stall of our own loop is subtracted from the age of open pings.
    """

    def __init__(self, config: UplinkConfig | None = None) -> None:
        self._config = config or UplinkConfig()
        self.state = UplinkState.SENDING
        self._now_ms: float | None = None
        self._open: dict[int, tuple[float, int]] = {}  # number -> (sent, pad)
        self._number = 0
        self._next_ping_ms = 0.0
        self._floor_rtt = WindowedMin(self._config.floor_window_ms)
        self._raised = 0
        self._calm_since_ms: float | None = None
        self._not_before_ms = 0.0
        self._good_probes = 0
        self._unclear_probes = 0
        self._since_ms = 0.0
        self._probe_backoff_ms = self._config.probe_backoff_ms
        self._trial_backoff_ms = self._config.trial_backoff_ms

    @property
    def floor_ms(self) -> float | None:
        """Least round trip of the last 10 s in ms; None before the first pong."""
        return self._floor_rtt.least

    def tick(self, now_ms: float) -> list[Action]:
        """Advance the time; return what to do now."""
        self._advance(now_ms)
        actions: list[Action] = []
        missing = self._missing(now_ms)
        if self.state in (UplinkState.SENDING, UplinkState.TRIAL):
            if missing:
                actions.append(self._pause(now_ms, "pongs are missing"))
            elif self.state is UplinkState.TRIAL and now_ms - self._since_ms >= self._config.trial_ms:
                self._enter(UplinkState.SENDING, now_ms)
                actions.append(LiftLimit())
            elif now_ms - self._since_ms >= self._config.forgive_ms:
                self._trial_backoff_ms = self._config.trial_backoff_ms
        elif missing:
            self._calm_since_ms = None
            if self.state is UplinkState.PROBING:
                self._probe_failed(now_ms)
        return actions + self._pings(now_ms)

    def pong(self, number: int, now_ms: float) -> list[Action]:
        """Judge the answer to ping `number` (unknown and repeated ones are ignored); return what to do now."""
        self._advance(now_ms)
        if number not in self._open:
            return []
        sent_ms, pad = self._open[number]
        # The channel is unordered, but what left earlier and is still open is most likely lost.
        self._open = {n: ping for n, ping in self._open.items() if n > number}
        rtt_ms = now_ms - sent_ms
        if pad:
            return self._judge_probe(rtt_ms, now_ms)
        above_ms = rtt_ms - self._floor_rtt.add(rtt_ms, now_ms)
        self._raised = self._raised + 1 if above_ms > self._rise_limit() else 0
        if self.state in (UplinkState.SENDING, UplinkState.TRIAL):
            return [self._pause(now_ms, "round trip rose")] if self._raised >= 2 else []
        if above_ms > self._config.near_ms:
            self._calm_since_ms = None
        elif self._calm_since_ms is None:
            self._calm_since_ms = now_ms
        return []

    def loss(self, fraction: float, now_ms: float) -> list[Action]:
        """Judge the loss (0..1) that a receiver report gives for a stream of ours; return what to do now."""
        self._advance(now_ms)
        if self.state is not UplinkState.SENDING or fraction <= self._config.max_loss:
            return []
        # A report covers up to 1.5 s: in a trial and just after it, it may speak of the time before.
        if now_ms - self._since_ms < self._config.trial_ms and self._since_ms > 0.0:
            return []
        return [self._pause(now_ms, f"receiver reports {fraction:.0%} loss")]

    def _advance(self, now_ms: float) -> None:
        gap_ms = 0.0 if self._now_ms is None else now_ms - self._now_ms
        if gap_ms < 0.0:
            raise ValueError("time went back")
        if gap_ms > self._config.stall_ms:
            # Only the excess: with every tick late, an open ping must still grow old.
            excess_ms = gap_ms - self._config.tick_ms
            self._open = {n: (sent + excess_ms, pad) for n, (sent, pad) in self._open.items()}
        self._now_ms = now_ms

    def _missing(self, now_ms: float) -> bool:
        floor_ms = self.floor_ms
        if floor_ms is None or not self._open:
            return False
        sent_ms, _ = self._open[min(self._open)]
        extra_ms = 0.0 if self.state in (UplinkState.SENDING, UplinkState.TRIAL) else self._config.paused_ping_ms
        return now_ms - sent_ms > floor_ms + self._config.missing_ms + extra_ms

    def _pings(self, now_ms: float) -> list[Action]:
        quiet = self.state in (UplinkState.PAUSED, UplinkState.PROBING)
        if quiet:
            pad = self._probe_pad(now_ms)
            if pad:
                return [self._ping(now_ms, pad)]
        sent_ms, _ = self._open.get(self._number, (math.inf, 0))
        lost = quiet and now_ms - sent_ms >= self._config.lost_ping_ms
        if (now_ms < self._next_ping_ms and not lost) or self.state is UplinkState.PROBING:
            return []
        return [self._ping(now_ms, 0)]

    def _ping(self, now_ms: float, pad: int) -> SendPing:
        self._number += 1
        self._open[self._number] = (now_ms, pad)
        if len(self._open) > 64:
            del self._open[min(self._open)]
        quiet = self.state in (UplinkState.PAUSED, UplinkState.PROBING)
        self._next_ping_ms = now_ms + (self._config.paused_ping_ms if quiet else self._config.ping_ms)
        return SendPing(self._number, pad)

    def _probe_pad(self, now_ms: float) -> int:
        calm = self._calm_since_ms is not None and now_ms - self._calm_since_ms >= self._config.settle_ms
        if self.state is UplinkState.PAUSED and calm and now_ms >= self._not_before_ms:
            self._enter(UplinkState.PROBING, now_ms)
            self._good_probes = self._unclear_probes = 0
            return self._config.pad_bytes
        waiting = any(pad for _, pad in self._open.values())
        if self.state is UplinkState.PROBING and not waiting and now_ms >= self._not_before_ms:
            return self._config.pad_bytes
        return 0

    def _judge_probe(self, rtt_ms: float, now_ms: float) -> list[Action]:
        if self.state is not UplinkState.PROBING:
            return []
        rise_ms = rtt_ms - (self.floor_ms or 0.0)
        unclear = rise_ms > self._config.probe_rise_ms
        self._unclear_probes += unclear
        if rise_ms > self._config.probe_fail_ms or self._unclear_probes > self._config.unclear:
            self._probe_failed(now_ms)
            return []
        self._good_probes += not unclear
        self._not_before_ms = now_ms + (self._config.unclear_gap_ms if unclear else self._config.probe_gap_ms)
        if self._good_probes < self._config.probes:
            return []
        self._enter(UplinkState.TRIAL, now_ms)
        self._probe_backoff_ms = self._config.probe_backoff_ms
        self._next_ping_ms = now_ms
        return [ResumeVideo(self._config.trial_bps)]

    def _probe_failed(self, now_ms: float) -> None:
        self._enter(UplinkState.PAUSED, now_ms)
        self._not_before_ms = now_ms + self._probe_backoff_ms
        self._probe_backoff_ms = min(2 * self._probe_backoff_ms, self._config.probe_backoff_max_ms)

    def _pause(self, now_ms: float, reason: str) -> PauseVideo:
        if self.state is UplinkState.TRIAL:
            self._not_before_ms = now_ms + self._trial_backoff_ms
            self._trial_backoff_ms = min(2 * self._trial_backoff_ms, self._config.trial_backoff_max_ms)
        self._enter(UplinkState.PAUSED, now_ms)
        self._calm_since_ms = None
        return PauseVideo(reason)

    def _enter(self, state: UplinkState, now_ms: float) -> None:
        self.state = state
        self._since_ms = now_ms
        self._raised = 0

    def _rise_limit(self) -> float:
        return self._config.trial_rise_ms if self.state is UplinkState.TRIAL else self._config.rise_ms
