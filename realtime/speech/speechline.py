"""Sound that is decoded and not yet played: its length is the delay, and it can be played faster or slower.

Pure. Three ways change the delay, from unheard to heard: reading at a rate slightly off 1 (clock drift), leaving out or
repeating one pitch period (a new target), and dropping what is too old.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from realtime.media import AUDIO_RATE, BLOCK_SAMPLES
from realtime.speech.resample import REACH, interpolate
from realtime.speech.timescale import MAX_LAG, NEEDED, find_lag, lengthen, shorten

_PER_MS: Final = AUDIO_RATE / 1000.0
_CROSS: Final = 240
_LIKE: Final = 0.4
"""Likeness below which a period is cut only when much delay is to be removed or added."""
_MOST_RATE: Final = 1e-3


class SpeechLine:
    """Queue samples at 48 kHz, each with its media time. Not thread-safe.

    Media time runs through what is appended, 1/48 ms a sample, whatever becomes of it here: after a period was left
    out, media time at the exit runs faster until that place is past.
    """

    def __init__(self, start_ms: float = 0.0) -> None:
        """Begin at media time `start_ms`, empty."""
        self.head_ms = start_ms
        """Media time of the end of what was appended, in ms."""
        self._samples: NDArray[np.float32] = np.zeros(REACH, np.float32)
        self._at = float(REACH)
        self._changed = 0.0
        """Number of samples at the exit that are no longer as they were appended: a period was left out or repeated."""
        self._changed_from = 0.0
        """Number of samples that these were when they were appended: media time runs through them as through those."""

    @property
    def fill_ms(self) -> float:
        """Duration of what is here, in ms."""
        return (self._samples.size - self._at) / _PER_MS

    @property
    def media_ms(self) -> float:
        """Media time of the sample that leaves next, in ms."""
        left = self._samples.size - self._at - self._changed + self._changed_from
        return self.head_ms - left / _PER_MS

    @property
    def ready(self) -> bool:
        """Whether a block can be taken."""
        return self._samples.size - self._at >= BLOCK_SAMPLES * (1.0 + _MOST_RATE) + REACH

    def append(self, samples: NDArray[np.int16]) -> None:
        """Add the next samples (n,) int16."""
        self._samples = np.concatenate((self._samples, samples.astype(np.float32)))
        self.head_ms += samples.size / _PER_MS

    def take(self, rate: float = 0.0) -> NDArray[np.int16]:
        """Remove and return the next 20 ms, (960,) int16, read `rate` (-0.001..0.001) faster than they came.

        Raises:
            ValueError: there is not enough: ask `ready`.
        """
        if not self.ready:
            raise ValueError(f"only {self.fill_ms:.1f} ms of sound are here: ask `ready` before `take`")
        rate = min(max(rate, -_MOST_RATE), _MOST_RATE)
        if rate == 0.0 and self._at == int(self._at):
            block = self._samples[int(self._at) : int(self._at) + BLOCK_SAMPLES]
        else:
            block = interpolate(self._samples, self._at, 1.0 + rate, BLOCK_SAMPLES)
        self._pass(BLOCK_SAMPLES * (1.0 + rate))
        whole: NDArray[np.int16] = np.clip(np.rint(block), -32768, 32767).astype(np.int16)
        return whole

    def shorten(self, most_ms: float, *, haste: bool = False, leave_ms: float = 40.0) -> float:
        """Leave out one pitch period of at most `most_ms`; return its length in ms, 0 when none fits well.

        `haste` accepts the best match, however poor. At least `leave_ms` (10 or more) stay.
        """
        if self._changed or self.fill_ms < leave_ms + 2 * MAX_LAG / _PER_MS:
            return 0.0
        return self._change(most_ms, haste, longer=False)

    def lengthen(self, most_ms: float, *, haste: bool = False) -> float:
        """Play one pitch period of at most `most_ms` twice; return its length in ms, 0 when none fits well."""
        if self._changed:
            return 0.0
        return self._change(most_ms, haste, longer=True)

    def drop(self, ms: float) -> None:
        """Drop the oldest `ms` (less when there is less), with a short cross-fade."""
        gone = min(int(ms * _PER_MS), self._samples.size - int(self._at) - _CROSS)
        if gone <= 0:
            return
        at = int(self._at)
        rise = np.linspace(0.0, 1.0, _CROSS, dtype=np.float32)
        before = self._samples[at : at + _CROSS]
        after = self._samples[at + gone : at + gone + _CROSS]
        self._samples = np.concatenate(
            (self._samples[:at], before * (1.0 - rise) + after * rise, self._samples[at + gone + _CROSS :])
        )
        self._changed = self._changed_from = 0.0

    def _change(self, most_ms: float, haste: bool, *, longer: bool) -> float:
        at = int(self._at)
        ahead = self._samples[at : at + NEEDED]
        lag = find_lag(ahead, int(most_ms * _PER_MS))
        if lag is None or (lag.likeness < _LIKE and not haste):
            return 0.0
        n = lag.samples
        made = lengthen(ahead, n) if longer else shorten(ahead, n)
        self._samples = np.concatenate((self._samples[:at], made, self._samples[at + 2 * n :]))
        self._changed, self._changed_from = float(made.size), 2.0 * n
        return n / _PER_MS

    def _pass(self, samples: float) -> None:
        if self._changed:
            left = max(0.0, self._changed - samples)
            self._changed_from *= left / self._changed
            self._changed = left
        self._at += samples
        spent = int(self._at) - REACH
        if spent > 0:
            self._samples = self._samples[spent:]
            self._at -= spent
