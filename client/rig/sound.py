"""What the viewer heard, against what was said: how late, and how much of it never came. Pure arithmetic on samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.rig.timeline import Floats, Span

Samples = NDArray[np.int16]

AUDIO_RATE = 48_000

NEAR_MS = 600.0
"""A sound recognised within this time tells how late the sound is now."""

_DECIMATION = 6
_LOW_RATE = AUDIO_RATE // _DECIMATION
_SPEECH_DB = 25.0
_LOST_DB = 12.0
_MIN_PEAK = 0.5
_WINDOW_MS, _HOP_MS = 1000.0, 250.0


@dataclass(frozen=True, slots=True)
class AudioDelay:
    """How late the sound was; times in ms of the call.

    Attributes:
        centre_ms: (n,) float64 times at which the delay was measured, rising.
        delay_ms: (n,) float64 delay at each; NaN where nothing was recognised.
    """

    centre_ms: Floats
    delay_ms: Floats

    def at(self, times_ms: Floats, within_ms: float = np.inf) -> Floats:
        """Return the delay at `times_ms`, between the places where it is known.

        NaN where none of them lies within `within_ms`.
        """
        known = np.isfinite(self.delay_ms)
        return between(self.centre_ms[known], self.delay_ms[known], times_ms, within_ms)


def between(places_ms: Floats, delays_ms: Floats, times_ms: Floats, within_ms: float = np.inf) -> Floats:
    """Return the delay at each of `times_ms`, interpolated between the places where it is known.

    Args:
        places_ms: (n,) times at which it is known, rising.
        delays_ms: (n,) delay at each.
        times_ms: (m,) times that are asked for.
        within_ms: a time further than this from every place has no delay: NaN.
    """
    if not len(places_ms):
        return np.full(len(times_ms), np.nan)
    delays = np.interp(times_ms, places_ms, delays_ms)
    distance = np.abs(times_ms[:, None] - places_ms[None, :]).min(axis=1) if len(times_ms) else np.zeros(0)
    return np.where(distance <= within_ms, delays, np.nan)


def audio_delay(heard: Samples, source: Samples, *, max_delay_ms: float = 1500.0) -> AudioDelay:
    """Find by cross-correlation how late each stretch of `source` was heard.

    Both are 48 kHz mono whose first sample belongs to time 0 of the call.
    """
    low_heard, low_source = _lowered(heard), _lowered(source)
    window, reach = int(_WINDOW_MS * _LOW_RATE / 1000), int(max_delay_ms * _LOW_RATE / 1000)
    centres, delays = [], []
    for start in range(0, len(low_source) - window, int(_HOP_MS * _LOW_RATE / 1000)):
        piece, field = low_source[start : start + window], low_heard[start : start + window + reach]
        centres.append((start + window / 2) * 1000.0 / _LOW_RATE)
        delays.append(_locate(piece, field) * 1000.0 / _LOW_RATE)
    # A delay is known at the time when the stretch is heard.
    late = np.array(delays)
    return AudioDelay(np.array(centres) + np.nan_to_num(late), late)


def speech_lost(heard: Samples, source: Samples, delay: AudioDelay, span: Span) -> tuple[float, float]:
    """Return ms of speech that never arrived, and ms of speech spoken, for what is due within `span` at the viewer.

    Speech are 20 ms blocks within 25 dB of the clip's loud ones; a block is lost when all that is heard within 20 ms of
    its place is more than 12 dB weaker.
    """
    spoken, arrived = _levels(source), _levels(heard)
    if not len(spoken) or not len(arrived):
        return 0.0, 0.0
    speech = spoken > np.percentile(spoken, 95) - _SPEECH_DB
    times = np.arange(len(spoken), dtype=np.float64) * 20.0
    offsets = delay.at(times)
    due = times + np.where(np.isfinite(offsets), offsets, 0.0)
    rows = np.flatnonzero(speech & span.holds(due))
    lost = sum(_heard_level(arrived, due[row]) < spoken[row] - _LOST_DB for row in rows)
    return lost * 20.0, len(rows) * 20.0


def speaking(source: Samples, times_ms: Floats) -> NDArray[np.bool_]:
    """Return at which `times_ms` of the clip somebody speaks: within 100 ms of a block of speech."""
    levels = _levels(source)
    if not len(levels):
        return np.zeros(len(times_ms), np.bool_)
    speech = np.convolve(levels > np.percentile(levels, 95) - _SPEECH_DB, np.ones(11), mode="same") > 0
    rows = np.nan_to_num(times_ms / 20.0, nan=-1.0).astype(int)
    return np.where((rows >= 0) & (rows < len(speech)), speech[np.clip(rows, 0, len(speech) - 1)], False)


def _lowered(samples: Samples) -> Floats:
    """Return 8 kHz samples, each less the one before: rumble, which a speech codec takes away, counts for nothing."""
    whole = len(samples) // _DECIMATION * _DECIMATION
    low: Floats = np.diff(samples[:whole].astype(np.float64).reshape(-1, _DECIMATION).mean(axis=1), prepend=0.0)
    return low


def _locate(piece: Floats, field: Floats) -> float:
    """Return the shift in samples at which `piece` is found in `field`; NaN when it is not."""
    energy = float(piece @ piece)
    if len(field) < len(piece) or energy < len(piece) * 25.0:
        return float("nan")
    size = 1 << (len(field) + len(piece)).bit_length()
    product = np.fft.rfft(field, size) * np.conj(np.fft.rfft(piece, size))
    scores = np.fft.irfft(product, size)[: len(field) - len(piece) + 1]
    sums = np.concatenate([[0.0], np.cumsum(field**2)])
    local = np.maximum(sums[len(piece) :] - sums[: len(sums) - len(piece)], 1.0)
    scores = scores / np.sqrt(local * energy)
    best = int(np.argmax(scores))
    return float(best) if scores[best] >= _MIN_PEAK else float("nan")


def _levels(samples: Samples) -> Floats:
    """Return the level of each 20 ms in dB."""
    low, block = _lowered(samples), _LOW_RATE // 50
    whole = len(low) // block * block
    levels: Floats = 10.0 * np.log10((low[:whole].reshape(-1, block) ** 2).mean(axis=1) + 1.0)
    return levels


def _heard_level(arrived: Floats, due_ms: float) -> float:
    centre = round(due_ms / 20.0)
    near = arrived[max(0, centre - 1) : centre + 2]
    return float(near.max()) if len(near) else 0.0
