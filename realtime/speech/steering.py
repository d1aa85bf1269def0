"""How a line of sound is brought to its target unheard: by whole pitch periods, and by the reading rate when near it.

Pure. Whole pitch periods are left out or repeated, not in two blocks in a row unless the line is far off: one seam is
unheard, a seam every 20 ms roughens the voice.
"""

from typing import Final

from realtime.speech.speechline import SpeechLine

_TRIM_PER_MS: Final = 20e-6
"""Change of the reading rate for each ms off the target: a drift of 100 ppm rests 5 ms off."""
_TRIM_MOST: Final = 300e-6
"""Largest change of the reading rate; nobody hears 0.03 %."""


class Steering:
    """Steer the length of one line, block by block. Not thread-safe; `off_ms` is the length above its target, in ms."""

    def __init__(
        self, line: SpeechLine, *, long_ms: float, short_ms: float, haste_ms: float, leave_ms: float = 40.0
    ) -> None:
        """Steer `line`; times in ms.

        Args:
            line: the line to change.
            long_ms: excess from which periods are left out; a smaller one is reduced by the rate.
            short_ms: shortage from which periods are repeated; a smaller one is reduced by the rate.
            haste_ms: distance beyond which every block may be changed, and where no period fits well the best is taken.
            leave_ms: length that leaving out periods leaves at least.
        """
        self._line = line
        self._long_ms, self._short_ms, self._haste_ms, self._leave_ms = long_ms, short_ms, haste_ms, leave_ms
        self._rests = False
        """Whether the next block is left as it is, because the one before was changed."""

    def approach(self, off_ms: float) -> float:
        """Change the line by one pitch period where it is off; call it once for each block that leaves.

        Returns:
            The ms that were added, below 0 for those that were left out; 0 when nothing was changed.
        """
        haste = abs(off_ms) > self._haste_ms
        if -self._short_ms < off_ms < self._long_ms or (self._rests and not haste):
            self._rests = False
            return 0.0
        if off_ms > 0.0:
            added_ms = -self._line.shorten(off_ms, haste=haste, leave_ms=self._leave_ms)
        else:
            added_ms = self._line.lengthen(-off_ms, haste=haste)
        self._rests = added_ms != 0.0
        return added_ms

    def rate(self, off_ms: float) -> float:
        """Return by how much faster (negative: slower) than it came the line is to be read, as a share of 1."""
        return min(max(off_ms * _TRIM_PER_MS, -_TRIM_MOST), _TRIM_MOST)
