"""From a viewer's notes to skew: pair every flash with its beep, on two clocks. Pure.

A flash is found by the centre of its light over time, a beep by the centre of its loudness: both last 80 ms, and a
centre does not depend on where the 40 ms of a frame happen to fall, as an onset does.

Nothing is left out: a beep goes with the nearest flash of its own tone that no beep has yet, within 441 ms by arrival;
what has no partner is counted, and so are pairs from before the first sender reports, which have no aligned skew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.avskew.beacon import MARK_RETURNING, MARK_SYNTH
from benchmarks.avskew.film import BEEP_AMPLITUDE, BEEP_MS, EVENT_MS, TONES_HZ
from benchmarks.avskew.viewer import Notes
from realtime.media import AUDIO_RATE
from realtime.serial import unwrap

STATES = ("REAL", "SYNTH", "RETURNING")
REPORTS = 20
"""Sender reports that a browser's estimate rests on (libwebrtc, RtpToNtpEstimator)."""
_LEAST = 0.15
_JOIN_MS = 60.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Event:
    """One beep and its flash; skew in ms, positive when the picture is ahead of the sound.

    Attributes:
        at_ms: arrival of the flash on the viewer's monotonic clock.
        state: state that the pictures of the flash came from; of several the one with most of its light.
        aligned_ms: skew when sound and picture are put together by RTP timestamps and sender reports.
        arrived_ms: skew when both are played as they arrive.
        mixed: whether pictures of more than one state make up the flash.
    """

    at_ms: float
    state: str
    aligned_ms: float | None
    arrived_ms: float
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Skews:
    """The pairs of beep and flash.

    Attributes:
        events: the pairs.
        beeps_alone: count of beeps without a flash.
        flashes_alone: count of flashes without a beep.
    """

    events: tuple[Event, ...]
    beeps_alone: int
    flashes_alone: int


@dataclass(frozen=True, slots=True)
class _Mark:
    arrived_ms: float
    ntp_ms: float | None
    state: str = ""
    mixed: bool = False


def measure(notes: Notes) -> Skews:
    """Pair beeps and flashes of the same tone, each with the nearest by arrival."""
    events: list[Event] = []
    beeps_alone = flashes_alone = 0
    for tone in range(len(TONES_HZ)):
        beeps, flashes = _beeps(notes, tone), _flashes(notes, tone)
        left = list(flashes)
        for beep in beeps:
            near = min(left, key=lambda flash: abs(flash.arrived_ms - beep.arrived_ms), default=None)
            if near is None or abs(near.arrived_ms - beep.arrived_ms) > 0.9 * EVENT_MS:
                beeps_alone += 1
                continue
            left.remove(near)
            aligned = None if beep.ntp_ms is None or near.ntp_ms is None else beep.ntp_ms - near.ntp_ms
            events.append(Event(near.arrived_ms, near.state, aligned, beep.arrived_ms - near.arrived_ms, near.mixed))
        flashes_alone += len(left)
    return Skews(tuple(sorted(events, key=lambda event: event.at_ms)), beeps_alone, flashes_alone)


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of `values`, and the median and 95th percentile of what they are without sign."""
    if not values:
        return (float("nan"),) * 3
    absolute = np.abs(values)
    return float(np.median(values)), float(np.median(absolute)), float(np.percentile(absolute, 95))


def ntp_ms(reports: Sequence[tuple[float, float, int]], timestamp: int, rate: int, at_ms: float) -> float | None:
    """Return the sender's NTP time of an RTP timestamp, in ms, by the mean of the last 20 reports before `at_ms`."""
    known = [report for report in reports if report[0] <= at_ms][-REPORTS:]
    if not known:
        return None
    return float(np.mean([ntp + _since(timestamp, rtp) * 1000.0 / rate for _, ntp, rtp in known]))


def _since(timestamp: int, reference: int) -> int:
    return unwrap(timestamp, reference, 32) - reference


# --- pictures --------------------------------------------------------------------------------------------------------


def _flashes(notes: Notes, tone: int) -> list[_Mark]:
    if len(notes.pictures) < 3:
        return []
    arrivals = np.array([picture[0] for picture in notes.pictures])
    stamps = np.array([_since(picture[1], notes.pictures[0][1]) for picture in notes.pictures])
    light = np.array([picture[2][tone] for picture in notes.pictures])
    light[light < _LEAST] = 0.0
    # A picture counts for as long as it stands: halfway to its neighbours.
    weights = light * np.gradient(stamps.astype(np.float64))
    found = []
    for first, last in _runs(light > 0.0, stamps / 90.0):
        weight = weights[first:last]
        if weight.sum() <= 0.0 or light[first:last].max() < 0.3:
            continue
        arrived = float(np.average(arrivals[first:last], weights=weight))
        centre = float(np.average(stamps[first:last], weights=weight))
        light_of = dict.fromkeys(STATES, 0.0)
        for picture, part in zip(notes.pictures[first:last], weight, strict=True):
            light_of[_state(picture[2][2])] += float(part)
        state = max(STATES, key=lambda name: light_of[name])
        stamp = notes.pictures[0][1] + centre
        base = ntp_ms(notes.reports["video"], int(stamp) & 0xFFFFFFFF, 90_000, arrived)
        found.append(_Mark(arrived, base, state, sum(part > 0.0 for part in light_of.values()) > 1))
    return found


def _state(mark: float) -> str:
    levels = {0.0: "REAL", MARK_SYNTH: "SYNTH", MARK_RETURNING: "RETURNING"}
    return levels[min(levels, key=lambda level: abs(level - mark))]


# --- sound -----------------------------------------------------------------------------------------------------------


def _beeps(notes: Notes, tone: int) -> list[_Mark]:
    if not notes.sounds:
        return []
    first_stamp = notes.sounds[0][1]
    places = np.array([_since(stamp, first_stamp) for _, stamp, _ in notes.sounds])
    sound = np.zeros(int(places.max()) + 960, np.float32)
    for place, (_, _, samples) in zip(places, notes.sounds, strict=True):
        if place >= 0:
            sound[place : place + 960] = samples.astype(np.float32) / 32768.0
    loud = loudness(sound, TONES_HZ[tone])
    loud[loud < _LEAST * BEEP_AMPLITUDE] = 0.0
    found = []
    for first, last in _runs(loud > 0.0, np.arange(len(loud)) * 1000.0 / AUDIO_RATE):
        weight = loud[first:last]
        if weight.max() < 0.4 * BEEP_AMPLITUDE or weight.sum() < 0.3 * BEEP_AMPLITUDE * BEEP_MS * AUDIO_RATE / 1000.0:
            continue
        centre = float(np.average(np.arange(first, last), weights=weight))
        arrived = _arrival(notes, places, centre)
        base = ntp_ms(notes.reports["audio"], int(first_stamp + centre) & 0xFFFFFFFF, AUDIO_RATE, arrived)
        found.append(_Mark(arrived, base))
    return found


def loudness(sound: NDArray[np.float32], hz: float) -> NDArray[np.float32]:
    """Return the amplitude of `hz` around each sample of 48 kHz sound, averaged over 20 ms."""
    t = np.arange(len(sound)) / AUDIO_RATE
    turned = sound * np.exp(-2j * np.pi * hz * t)
    length = AUDIO_RATE // 50
    window = np.hanning(length + 1)
    size = 1 << int(np.ceil(np.log2(len(sound) + length)))
    spectrum = np.fft.fft(turned, size) * np.fft.fft(window / window.sum(), size)
    smooth = np.fft.ifft(spectrum)[length // 2 : length // 2 + len(sound)]
    return np.asarray(2.0 * np.abs(smooth), np.float32)


def _arrival(notes: Notes, places: NDArray[np.int64], centre: float) -> float:
    """Return when sample `centre` would be heard if its packet were played on arrival."""
    index = int(np.argmin(np.where(places <= centre, centre - places, np.inf)))
    return notes.sounds[index][0] + float(centre - places[index]) * 1000.0 / AUDIO_RATE


def _runs(on: NDArray[np.bool_], at_ms: Floats) -> list[tuple[int, int]]:
    """Return [first, last) of the stretches that are `on`; shorter breaks than 60 ms are none."""
    runs: list[tuple[int, int]] = []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if runs and at_ms[first] - at_ms[runs[-1][1] - 1] < _JOIN_MS:
            runs[-1] = (runs[-1][0], int(last))
        else:
            runs.append((int(first), int(last)))
    return runs
