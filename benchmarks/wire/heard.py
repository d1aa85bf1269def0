"""What the viewer heard against what was said: which blocks of speech are missing, and how late the rest was. Pure.

The same measure serves both calls. It needs no word of a node: a block of speech is there when something that sounds
like it is heard where the sound around it says it should be.
"""

from dataclasses import dataclass

import numpy as np

from client.rig.sound import Samples, audio_delay, between
from client.rig.timeline import Floats, Span

BLOCK_MS = 20.0
MAX_DELAY_MS = 5000.0

_DECIMATION = 6
_PER_MS = 8
_BLOCK = int(BLOCK_MS * _PER_MS)
_BAND_HZ = (100.0, 1500.0)
_SPEECH_DB = 25.0
_LOST_DB = 12.0
_MIN_MATCH = 0.6
_SLACK_MS = 15.0
_NEAR_MS = 400.0
_SHORT_MS = 240.0
_SHORT_HOP_MS = 80.0
_SHORT_PEAK = 0.8
_SILENT_POWER = 2500.0
_REACH_MS = 600.0


@dataclass(frozen=True, slots=True)
class Heard:
    """How late the sound was; times in ms of the call.

    Attributes:
        said_ms: (n,) times in the clip of the stretches that were recognised, rising.
        offset_ms: (n,) how much later than in the clip each lies in the sound as laid out by RTP timestamp.
        delay_ms: (n,) how much later than in the clip each arrived: what a listener without a buffer has to bear.
    """

    said_ms: Floats
    offset_ms: Floats
    delay_ms: Floats

    @property
    def heard_ms(self) -> Floats:
        """Times at which they arrived."""
        return self.said_ms + self.delay_ms

    def at(self, times_ms: Floats, within_ms: float) -> Floats:
        """Return the delay of what is heard at `times_ms`; NaN where nothing recognised is within `within_ms`."""
        return between(self.heard_ms, self.delay_ms, times_ms, within_ms)


def heard(samples: Samples, source: Samples, sound_ms: Floats, late_ms: Floats) -> Heard:
    """Recognise the stretches of `source` in `samples` (both 48 kHz mono from time 0 of the call).

    `sound_ms` and `late_ms` say for each packet when it came and how much later than its timestamp asked for.
    """
    found = audio_delay(samples, source, max_delay_ms=MAX_DELAY_MS)
    known = np.isfinite(found.delay_ms)
    said = (found.centre_ms - np.nan_to_num(found.delay_ms))[known]
    said, offset = _with_short(said, found.delay_ms[known], _band(samples), _band(source))
    return Heard(said, offset, offset + _lateness(said + offset, sound_ms, late_ms))


def _with_short(said_ms: Floats, offset_ms: Floats, low_heard: Floats, low_source: Floats) -> tuple[Floats, Floats]:
    """Add stretches of 240 ms: where the delay changes every few blocks, none of a second fits anywhere."""
    size = int(_SHORT_MS * _PER_MS)
    low = max(0.0, float(offset_ms.min(initial=0.0)) - _REACH_MS)
    high = float(offset_ms.max(initial=0.0)) + _REACH_MS
    more_said, more_offset = [], []
    for start in range(0, len(low_source) - size, int(_SHORT_HOP_MS * _PER_MS)):
        first = start + int(low * _PER_MS)
        place = _located(low_source[start : start + size], low_heard[first : start + int(high * _PER_MS) + size])
        if place is not None:
            more_said.append((start + size / 2) / _PER_MS)
            more_offset.append((first + place - start) / _PER_MS)
    said, offset = np.concatenate([said_ms, more_said]), np.concatenate([offset_ms, more_offset])
    order = np.argsort(said, kind="stable")
    return said[order], offset[order]


def _located(piece: Floats, field: Floats) -> int | None:
    """Return where `piece` lies in `field`; None when it is silent or not clearly there."""
    energy = float(piece @ piece)
    if len(field) < len(piece) or energy < len(piece) * _SILENT_POWER:
        return None
    size = 1 << (len(field) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(field, size) * np.conj(np.fft.rfft(piece, size)), size)
    sums = np.concatenate([[0.0], np.cumsum(field**2)])
    local = np.maximum(sums[len(piece) :] - sums[: len(sums) - len(piece)], len(piece) * 1.0)
    scores = product[: len(local)] / np.sqrt(local * energy)
    best = int(np.argmax(scores))
    return best if scores[best] >= _SHORT_PEAK else None


def _lateness(place_ms: Floats, sound_ms: Floats, late_ms: Floats) -> Floats:
    """Return the median lateness of the packets within half a second of each place."""
    if not len(sound_ms):
        return np.zeros(len(place_ms))
    laid_ms = sound_ms - late_ms
    rows = [late_ms[np.abs(laid_ms - place) <= 500.0] for place in place_ms]
    return np.array([float(np.median(row)) if len(row) else 0.0 for row in rows])


def missing(samples: Samples, source: Samples, found: Heard, span: Span) -> tuple[float, float]:
    """Return ms of speech that is missing or does not match, and ms of speech spoken, for what is said within `span`.

    Speech are 20 ms blocks within 25 dB of the clip's loud ones, 100 to 1500 Hz. A block is there when its best
    correlation is at least 0.6, and its level no more than 12 dB down, within 15 ms of where the recognised stretches
    within 0.4 s (or the nearest one) say it should be.
    """
    low_heard, low_source = _band(samples), _band(source)
    count = len(low_source) // _BLOCK
    levels = 10.0 * np.log10((low_source[: count * _BLOCK].reshape(count, _BLOCK) ** 2).mean(axis=1) + 1.0)
    times = np.arange(count, dtype=np.float64) * BLOCK_MS
    speech = levels > np.percentile(levels, 95) - _SPEECH_DB if count else np.zeros(0, np.bool_)
    rows = np.flatnonzero(speech & span.holds(times))
    absent = sum(not _is_there(low_heard, low_source, float(times[row]), found) for row in rows)
    return absent * BLOCK_MS, len(rows) * BLOCK_MS


def _is_there(low_heard: Floats, low_source: Floats, said_ms: float, found: Heard) -> bool:
    offsets = _offsets(said_ms, found)
    if offsets is None:
        return False
    start = int(said_ms * _PER_MS)
    piece = low_source[start : start + _BLOCK]
    first = max(0, start + int((offsets[0] - _SLACK_MS) * _PER_MS))
    field = low_heard[first : start + int((offsets[1] + _SLACK_MS) * _PER_MS) + _BLOCK]
    if len(field) < _BLOCK:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(field, _BLOCK)
    energy, own = (windows**2).sum(axis=1), float(piece @ piece)
    scores = windows @ piece / np.sqrt(np.maximum(energy, 1.0) * own)
    return bool((scores[energy >= own * 10.0 ** (-_LOST_DB / 10.0)] >= _MIN_MATCH).any())


def _offsets(said_ms: float, found: Heard) -> tuple[float, float] | None:
    """Return between which offsets a block said at `said_ms` is looked for; None when nothing is known at all."""
    if not len(found.said_ms):
        return None
    distance = np.abs(found.said_ms - said_ms - BLOCK_MS / 2)
    near = found.offset_ms[distance <= max(_NEAR_MS, float(distance.min()))]
    return float(near.min()), float(near.max())


def _band(samples: Samples) -> Floats:
    """Return 8 kHz samples of the band in which a speech codec keeps the wave's form."""
    whole = len(samples) // _DECIMATION * _DECIMATION
    low = samples[:whole].astype(np.float64).reshape(-1, _DECIMATION).mean(axis=1)
    spectrum = np.fft.rfft(low)
    hertz = np.fft.rfftfreq(len(low), 1.0 / (_PER_MS * 1000)) if len(low) else np.zeros(0)
    spectrum[(hertz < _BAND_HZ[0]) | (hertz > _BAND_HZ[1])] = 0.0
    band: Floats = np.fft.irfft(spectrum, len(low)) if len(low) else low
    return band
