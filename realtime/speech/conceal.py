"""Fill holes in speech so that nothing clicks."""

import numpy as np
from numpy.typing import NDArray

from realtime.media import BLOCK_SAMPLES

Block = NDArray[np.int16]


class Concealer:
    """Fill holes in a stream of 20 ms blocks. Not thread-safe.

    The last block is played back and forth, so that the waveform has no step, and fades out within 60 ms. What comes
    after a hole or a cut fades in over 5 ms.
    """

    FADE_BLOCKS = 3
    CROSS_SAMPLES = 240

    def __init__(self) -> None:
        self._last: NDArray[np.float32] = np.zeros(BLOCK_SAMPLES, dtype=np.float32)
        self._missing = 0

    def push(self, samples: Block | None, *, cut: bool = False) -> Block:
        """Return the next block as it is to be heard; None stands for a missing one, `cut` for one after a break."""
        if samples is None:
            block = self._continuation()
            self._missing += 1
            return block.astype(np.int16)
        block = samples.astype(np.float32)
        if self._missing or cut:
            ramp = np.linspace(0.0, 1.0, self.CROSS_SAMPLES, dtype=np.float32)
            head = self._continuation()[: self.CROSS_SAMPLES]
            block[: self.CROSS_SAMPLES] = ramp * block[: self.CROSS_SAMPLES] + (1.0 - ramp) * head
        self._missing = 0
        self._last = block
        return block.astype(np.int16)

    def _continuation(self) -> NDArray[np.float32]:
        high = max(0.0, 1.0 - self._missing / self.FADE_BLOCKS)
        low = max(0.0, 1.0 - (self._missing + 1) / self.FADE_BLOCKS)
        there = self._last if self._missing % 2 else self._last[::-1]
        return (there * np.linspace(high, low, BLOCK_SAMPLES, dtype=np.float32)).astype(np.float32)
