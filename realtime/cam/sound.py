"""The sound of a local call on its way from the microphone to the virtual one: no longer than somebody needs it.

Pure. Blocks are heard by the lips as they come and wait in a line. What is left in the line after each 20 ms that leave
is the spare: a few ms against the unevenness of two clocks, more only while synthesis must hear ahead.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block

_EVERY: Final = 5
_NOTED: Final = 500
_LEAVE_MS: Final = 12.0


@dataclass(frozen=True, slots=True)
class SoundConfig:
    """Set the line; times in ms.

    Attributes:
        spare_ms: what is kept in plain times, beyond the block that leaves.
        late_share: share (0..1) of the blocks of the last 10 s that may come later than that.
        tolerance_ms: more than this above the target is taken out by pitch periods, less by the rate.
        short_ms: more than this below the target is put in by pitch periods.
        haste_ms: further off than this, every block is changed, else every second one.
        trim_per_ms: change of the rate for each ms off the target.
        trim_most: largest change of the rate.
        most_ms: more than this above the target is dropped at once: the machine slept.
        conceal_blocks: so many missing blocks in a row fade out; then there is silence, timed by the clock.
    """

    spare_ms: float = 6.0
    late_share: float = 0.02
    tolerance_ms: float = 10.0
    short_ms: float = 5.0
    haste_ms: float = 30.0
    trim_per_ms: float = 20e-6
    trim_most: float = 300e-6
    most_ms: float = 300.0
    conceal_blocks: int = 3


class LocalSound:
    """Carry one person's sound. Not thread-safe; times in ms of the monotonic clock.

    `on_heard(media_ms, source_ms)` is called for every 20 ms that enter `speech`, `source_ms` None while made up.

    Attributes:
        lag_ms: how long after it was spoken the sound of the last block left.
        missing: blocks that were not here in time.
        longer_ms: what repeated pitch periods have added,
        shorter_ms: and what left-out ones and drops have taken away.
    """

    def __init__(
        self,
        speech: SpeechPath,
        config: SoundConfig | None = None,
        *,
        on_heard: Callable[[float, float | None], None] | None = None,
    ) -> None:
        self.config = config or SoundConfig()
        self._speech = speech
        self._on_heard = on_heard
        self._spares: deque[float] = deque(maxlen=_NOTED)
        self._shift = 0.0
        self._low: float | None = None
        self._noted = 0
        self._missing_run = self.config.conceal_blocks
        self._cut = False
        self._changed = False
        self.lag_ms = 0.0
        self.missing = 0
        self.longer_ms = self.shorter_ms = 0.0

    @property
    def silent(self) -> bool:
        """Say whether nothing comes in."""
        return self._missing_run > self.config.conceal_blocks

    def push(self, block: Block, captured_ms: float) -> None:
        """Take (960,) int16 samples at 48 kHz, the first of them spoken at `captured_ms`."""
        if self.silent:
            # What was learned of the spare was learned of silence made here.
            self._forget()
        self._missing_run = 0
        self._hear(block, captured_ms, cut=self._cut)
        self._cut = False

    def cut(self) -> None:
        """Say that another source speaks from now on."""
        self._cut = True

    def play(self, now_ms: float, ahead_ms: float = 0.0) -> AudioBlock:
        """Return the 20 ms that leave at `now_ms`; call it every 20 ms.

        `ahead_ms` is how much sound beyond what leaves must be here, for lips that hear ahead.
        """
        line, config = self._speech.line, self.config
        self._note(line.fill_ms - BLOCK_MS)
        while not line.ready:
            self._make_up(now_ms)
        target_ms = max(config.spare_ms, ahead_ms)
        off_ms = self._spare_ms - target_ms
        if off_ms > config.most_ms:
            self._drop(off_ms)
        elif off_ms > config.tolerance_ms or off_ms < -config.short_ms:
            self._change(off_ms)
        else:
            self._changed = False
        rate = min(max(off_ms * config.trim_per_ms, -config.trim_most), config.trim_most)
        self._shift -= rate * BLOCK_MS
        block = self._speech.pull(rate)
        if block.source_ms is not None:
            self.lag_ms = now_ms - block.source_ms
        return block

    # --- what is missing ---------------------------------------------------------------------------------------------

    def _make_up(self, now_ms: float) -> None:
        self.missing += 1
        self._missing_run += 1
        self._shift += BLOCK_MS
        if not self.silent:
            self._hear(None, None)
            return
        self._hear(np.zeros(BLOCK_SAMPLES, np.int16), now_ms, cut=True)

    def _hear(self, block: Block | None, source_ms: float | None, *, cut: bool = False) -> None:
        media_ms = self._speech.head_ms
        self._speech.push(block, source_ms, cut=cut)
        if self._on_heard is not None:
            self._on_heard(media_ms, source_ms)

    # --- the length of the line --------------------------------------------------------------------------------------

    @property
    def _spare_ms(self) -> float:
        """Return what is left after a block at the worst moments of the last seconds, as the line is now."""
        return self._speech.line.fill_ms - BLOCK_MS if self._low is None else self._low + self._shift

    def _note(self, spare_ms: float) -> None:
        # Kept as if the line had never been changed on purpose, so that a change needs no new learning.
        self._spares.append(spare_ms - self._shift)
        self._noted += 1
        if self._noted % _EVERY == 0 or self._low is None:
            self._low = float(np.quantile(np.fromiter(self._spares, float), self.config.late_share))

    def _forget(self) -> None:
        self._spares.clear()
        self._low = None

    def _change(self, off_ms: float) -> None:
        """Leave out or repeat one pitch period, not in every block unless there is haste."""
        haste = abs(off_ms) > self.config.haste_ms
        if self._changed and not haste:
            self._changed = False
            return
        line = self._speech.line
        if off_ms > 0.0:
            changed_ms = line.shorten(off_ms, haste=haste, leave_ms=_LEAVE_MS)
            self._shift -= changed_ms
            self.shorter_ms += changed_ms
        else:
            changed_ms = line.lengthen(-off_ms, haste=haste)
            self._shift += changed_ms
            self.longer_ms += changed_ms
        self._changed = changed_ms > 0.0

    def _drop(self, ms: float) -> None:
        before = self._speech.line.fill_ms
        self._speech.line.drop(ms)
        gone = before - self._speech.line.fill_ms
        self._shift -= gone
        self.shorter_ms += gone
