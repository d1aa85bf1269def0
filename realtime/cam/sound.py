"""The sound of a local call on its way from the microphone to the virtual one: no longer than somebody needs it.

Pure. Blocks are heard by the lips as they come and wait in a line. What is left in the line after each 20 ms that leave
is the spare: a few ms against the unevenness of two clocks, more only while synthesis must hear ahead.
"""

from collections import deque
from typing import Final

import numpy as np

from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block
from realtime.speech.steering import Steering

_SPARE_MS: Final = 6.0
"""Sound in ms that is kept in plain times, beyond the block that leaves."""
_LATE_SHARE: Final = 0.02
"""Share (0..1) of the blocks of the last 10 s that may come later than that."""
_LONG_MS: Final = 10.0
"""Excess over the target in ms from which pitch periods are left out."""
_SHORT_MS: Final = 5.0
"""Shortage in ms from which pitch periods are repeated."""
_HASTE_MS: Final = 30.0
"""Distance from the target in ms beyond which every block is changed, else every second one."""
_LEAVE_MS: Final = 12.0
"""Sound in ms that leaving out a pitch period leaves in the line."""
_MOST_MS: Final = 300.0
"""Excess over the target in ms that is dropped at once: the machine slept."""
_CONCEAL_BLOCKS: Final = 3
"""Missing blocks in a row that fade out; then there is silence, timed by the clock."""
_NOTED: Final = 500
"""Blocks whose spare is remembered: 10 s."""
_EVERY: Final = 5
"""Blocks between two measurements of the spare."""


class LocalSound:
    """Carry one person's sound. Not thread-safe; times in ms of the monotonic clock.

    Attributes:
        lag_ms: time in ms from the moment at which the sound of the last block was spoken until it left.
        concealed_blocks: number of blocks that were made up in short gaps of the sound that comes in.
    """

    def __init__(self, speech: SpeechPath) -> None:
        self._speech = speech
        self._steering = Steering(
            speech.line, long_ms=_LONG_MS, short_ms=_SHORT_MS, haste_ms=_HASTE_MS, leave_ms=_LEAVE_MS
        )
        self._spares: deque[float] = deque(maxlen=_NOTED)
        self._shift = 0.0
        """Growth of the line on purpose since the beginning, in ms."""
        self._low: float | None = None
        self._noted = 0
        self._missing_run = _CONCEAL_BLOCKS
        self._cut = False
        self.lag_ms = 0.0
        self.concealed_blocks = 0

    @property
    def silent(self) -> bool:
        """Whether nothing comes in."""
        return self._missing_run > _CONCEAL_BLOCKS

    def push(self, block: Block, captured_ms: float) -> None:
        """Take (960,) int16 samples at 48 kHz, the first of them spoken at `captured_ms`."""
        if self.silent:
            # What was learned of the spare was learned of silence made here.
            self._forget()
        self._missing_run = 0
        self._speech.push(block, captured_ms, cut=self._cut)
        self._cut = False

    def cut(self) -> None:
        """Expect another source from now on."""
        self._cut = True

    def play(self, now_ms: float, ahead_ms: float = 0.0) -> AudioBlock:
        """Return the 20 ms that leave at `now_ms`; call it every 20 ms.

        `ahead_ms` is how much sound beyond what leaves must be here, for lips that hear ahead.
        """
        line = self._speech.line
        self._note(line.fill_ms - BLOCK_MS)
        while not line.ready:
            self._make_up(now_ms)
        off_ms = self._spare_ms - max(_SPARE_MS, ahead_ms)
        if off_ms > _MOST_MS:
            self._drop(off_ms)
        else:
            self._shift += self._steering.approach(off_ms)
        rate = self._steering.rate(off_ms)
        self._shift -= rate * BLOCK_MS
        block = self._speech.pull(rate)
        if block.source_ms is not None:
            self.lag_ms = now_ms - block.source_ms
        return block

    # --- what is missing ---------------------------------------------------------------------------------------------

    def _make_up(self, now_ms: float) -> None:
        self._missing_run += 1
        self._shift += BLOCK_MS
        if self.silent:
            self._speech.push(np.zeros(BLOCK_SAMPLES, np.int16), now_ms, cut=True)
        else:
            self.concealed_blocks += 1
            self._speech.push(None)

    # --- the length of the line --------------------------------------------------------------------------------------

    @property
    def _spare_ms(self) -> float:
        """Return what is left after a block at the worst moments of the last seconds, as the line is now."""
        return self._speech.line.fill_ms - BLOCK_MS if self._low is None else self._low + self._shift

    def _note(self, spare_ms: float) -> None:
        # Kept as if the line had never been changed on purpose, so that it is known at once what a change leaves.
        self._spares.append(spare_ms - self._shift)
        self._noted += 1
        if self._noted % _EVERY == 0 or self._low is None:
            self._low = float(np.quantile(np.fromiter(self._spares, float), _LATE_SHARE))

    def _forget(self) -> None:
        self._spares.clear()
        self._low = None

    def _drop(self, ms: float) -> None:
        before = self._speech.line.fill_ms
        self._speech.line.drop(ms)
        self._shift -= before - self._speech.line.fill_ms
