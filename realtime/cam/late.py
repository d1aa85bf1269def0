"""Whether to wait for a synthetic frame that is due and not rendered yet. Pure: times in ms are arguments."""

from typing import Final

from realtime.picture.synth_api import Synthesizer

_PATIENCE: Final = 1.5
"""Longest wait for any frame, in intervals; after that the previous one is repeated and a newer one requested."""
_NEWEST: Final = 0.75
"""Longest wait for the newest frame while an older one is ready, in intervals."""
_SAME_MS: Final = 1.0
"""Distance in ms up to which two media times are those of one frame."""


class LateFrames:
    """Decide at each tick whether to wait: a frame shown 5 ms late is better than a lost one.

    Where rendering takes longer than an interval, every frame is waited for: each is shown near its own sound, at a
    lower rate. After one slow frame, two may be due: the slow one, ready now, and the next one, which was requested
    while it was rendered. Then the slow one is skipped if the next is ready soon. If it were shown, the next would be
    shown an interval late, and so would all that follow, as long as rendering takes more than half an interval.
    """

    def __init__(self, synth: Synthesizer, interval_ms: float) -> None:
        self._synth, self._interval_ms = synth, interval_ms
        self._due_ms: float | None = None
        """Time at which the frame that is waited for was due; None while none is."""
        self._asked_ms = float("-inf")

    def waits(self, media_ms: float, now_ms: float) -> bool:
        """Return whether to wait for the frame that is due at `now_ms`, when the sound of `media_ms` leaves."""
        until_ms = media_ms + self._interval_ms / 2
        if self._synth.ready(until_ms, self._asked_ms - _SAME_MS):
            return False
        if self._due_ms is None:
            self._due_ms = now_ms
        patience = _NEWEST if self._synth.ready(until_ms) else _PATIENCE
        return now_ms - self._due_ms < patience * self._interval_ms

    def go_on(self, now_ms: float, asked_ms: float | None) -> float:
        """End the wait and note that a frame for `asked_ms` is requested next; return how late this one was, in ms."""
        late_ms = 0.0 if self._due_ms is None else now_ms - self._due_ms
        self._due_ms = None
        self._asked_ms = float("-inf") if asked_ms is None else asked_ms
        return late_ms
