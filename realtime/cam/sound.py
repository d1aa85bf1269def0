"""The sound of a local call on its way from the microphone to the virtual one, with as little delay as possible.

Pure. Blocks reach the mel columns at once and wait in a line. The spare is what is left in the line after each block
that leaves: a few ms against the unevenness of two clocks, and more only while synthesis needs lookahead.
"""

from collections import deque
from typing import Final

import numpy as np

from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block
from realtime.speech.steering import Steering

_SPARE_MS: Final = 6.0
"""Sound in ms that is kept, beyond the block that leaves, while pictures are real."""
_LATE_SHARE: Final = 0.02
"""Share (0..1) of the blocks of the last 10 s for which the spare may be smaller."""
_LONG_MS: Final = 10.0
"""Excess over the target in ms from which pitch periods are left out."""
_SHORT_MS: Final = 5.0
"""Shortage in ms from which pitch periods are repeated."""
_HASTE_MS: Final = 30.0
"""Distance from the target in ms beyond which every block is changed, else every second one."""
_LEAVE_MS: Final = 12.0
"""Sound in ms that must remain in the line when a pitch period is left out."""
_MOST_MS: Final = 300.0
"""Excess over the target in ms that is dropped at once, because the machine slept."""
_CONCEAL_BLOCKS: Final = 3
"""Missing blocks in a row that are concealed with a fade-out; after them there is silence, timed by the clock."""
_NOTED: Final = 500
"""Blocks whose spare is remembered: 10 s."""
_EVERY: Final = 5
"""Blocks between two measurements of the spare."""


class LocalSound:
    """The sound of one person on its way through a local call. Not thread-safe; times in ms of the monotonic clock.

    Attributes:
        lag_ms: time in ms between the speaking of the last block's sound and its leaving.
        concealed_blocks: number of blocks that were concealed in short gaps of the incoming sound.
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
        """Whether no sound comes in."""
        return self._missing_run > _CONCEAL_BLOCKS

    def push(self, block: Block, captured_ms: float) -> None:
        """Add (960,) int16 samples at 48 kHz, the first of them spoken at `captured_ms`."""
        if self.silent:
            # The spares noted so far are those of the silence made here.
            self._forget()
        self._missing_run = 0
        self._speech.push(block, captured_ms, cut=self._cut)
        self._cut = False

    def cut(self) -> None:
        """Note that the next block comes from another source."""
        self._cut = True

    def play(self, now_ms: float, ahead_ms: float = 0.0) -> AudioBlock:
        """Return the 20 ms that leave at `now_ms`; call it every 20 ms.

        `ahead_ms` is the lookahead of the lips: the sound that must be in the line beyond the block that leaves.
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
        """Spare in ms at the worst moments of the last 10 s, given the line's present length."""
        return self._speech.line.fill_ms - BLOCK_MS if self._low is None else self._low + self._shift

    def _note(self, spare_ms: float) -> None:
        # Noted as if the line had never been changed on purpose, so that the effect of a change is known at once.
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
