"""A queue of blocks between two clocks: those of a microphone and a loudspeaker differ by some ten ppm. Pure."""

from typing import Final

import numpy as np

from realtime.devices.api import Samples
from realtime.media import BLOCK_MS, BLOCK_SAMPLES
from realtime.speech.speechline import SpeechLine

_TARGET_MS: Final = 50.0
"""Mean length of the queue as a block is taken: one block, and the time by which the next one may be late."""
_MOST_MS: Final = 140.0
"""Largest length; sound beyond it is dropped, the oldest first."""
_TRIM_PER_MS: Final = 2e-5
"""Change of the reading rate for each ms by which the mean length is off the target."""
_TRIM_MOST: Final = 5e-4
"""Largest change of the reading rate; nobody hears 0.05 %, and clocks differ by 0.01 %."""
_MEMORY: Final = 0.99
"""Share of the old mean that each block keeps, so that a jump of one block is not taken for drift."""
_FADE: Final = 240  # samples


class SoundQueue:
    """A queue that is filled at one clock's rate and read at another's. Not thread-safe.

    Attributes:
        underruns: number of blocks that were silence because there was no sound.
        overruns: number of blocks that were dropped because nobody took them.
    """

    def __init__(self) -> None:
        self.underruns = 0
        self.overruns = 0
        self._line = SpeechLine()
        self._waits = True
        self._mean_ms = _TARGET_MS
        self._last: Samples = np.zeros(1, np.int16)

    @property
    def fill_ms(self) -> float:
        """Length of the queue, in ms."""
        return max(0.0, self._line.fill_ms)

    def put(self, block: Samples) -> None:
        """Add (960,) int16 samples; beyond the largest length the oldest are dropped."""
        self._line.append(block)
        if self._line.fill_ms > _MOST_MS:
            excess_ms = self._line.fill_ms - _TARGET_MS
            self._line.drop(excess_ms)
            self.overruns += max(1, round(excess_ms / BLOCK_MS))
            self._mean_ms = _TARGET_MS

    def take(self) -> Samples:
        """Return (960,) int16 samples; silence at first and after running out, until there is enough sound."""
        if self._waits and self._line.fill_ms < _TARGET_MS:
            return np.zeros(BLOCK_SAMPLES, np.int16)
        if not self._line.ready:
            self._waits = True
            self.underruns += 1
            return self._fade_out()
        fresh, self._waits = self._waits, False
        if fresh:
            self._mean_ms = _TARGET_MS
        self._mean_ms += (1.0 - _MEMORY) * (self._line.fill_ms - self._mean_ms)
        trim = _TRIM_PER_MS * (self._mean_ms - _TARGET_MS)
        block: Samples = self._line.take(min(max(trim, -_TRIM_MOST), _TRIM_MOST))
        if fresh:
            block[:_FADE] = (block[:_FADE] * np.linspace(0.0, 1.0, _FADE)).astype(np.int16)
        self._last = block[-1:].copy()
        return block

    def _fade_out(self) -> Samples:
        """Return silence that fades out from the last sample, so that there is no click."""
        block = np.zeros(BLOCK_SAMPLES, np.int16)
        block[:_FADE] = (float(self._last[0]) * np.linspace(1.0, 0.0, _FADE)).astype(np.int16)
        self._last = np.zeros(1, np.int16)
        return block
