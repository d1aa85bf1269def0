"""Whether a made frame that is due and not there yet is waited for. Pure: times in ms are arguments."""

from typing import Final

from realtime.picture.synth_api import Synthesizer

_PATIENCE: Final = 1.5
"""Intervals that any frame is waited for; after that the one before stands and a newer one is asked for."""
_NEWEST: Final = 0.75
"""Intervals that the newest frame is waited for while an older one is there."""
_SAME_MS: Final = 1.0


class LateFrames:
    """Say at each tick whether to wait: a frame shown 5 ms late is better than one lost.

    Frames that take longer than an interval so come one after the other, each near its sound, if not at full rate. A
    frame that took so long that a newer one was asked for meanwhile is left out when the newer one comes soon: else
    each would be shown when the next is due, an interval late for as long as rendering takes more than half of one.
    """

    def __init__(self, synth: Synthesizer, interval_ms: float) -> None:
        self._synth, self._interval_ms = synth, interval_ms
        self._due_ms: float | None = None
        """When the frame was due that is waited for; None while none is."""
        self._asked_ms = float("-inf")

    def waits(self, media_ms: float, now_ms: float) -> bool:
        """Say whether to wait with the frame that is due at `now_ms`, when the sound of `media_ms` leaves."""
        until_ms = media_ms + self._interval_ms / 2
        if self._synth.ready(until_ms, self._asked_ms - _SAME_MS):
            return False
        if self._due_ms is None:
            self._due_ms = now_ms
        patience = _NEWEST if self._synth.ready(until_ms) else _PATIENCE
        return now_ms - self._due_ms < patience * self._interval_ms

    def go_on(self, now_ms: float, asked_ms: float | None) -> float:
        """Learn that the wait is over and a frame for `asked_ms` is asked for; return how late this one was."""
        late_ms = 0.0 if self._due_ms is None else now_ms - self._due_ms
        self._due_ms = None
        self._asked_ms = float("-inf") if asked_ms is None else asked_ms
        return late_ms
