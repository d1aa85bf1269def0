"""From phonemes to a mouth that moves as mouths do: targets, co-articulation, closures that really close.

Targets follow the usual viseme groups (MPEG-4 FAP, ISO/IEC 14496-2) in this renderer's own parameters. Neighbouring
targets blend in the manner of dominance functions (Cohen and Massaro, 1993), here as smoothing whose width belongs to
the parameter: the lips round early, the jaw is slower than the lips, and bilabials and silence override their
neighbours.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.head.pose import MouthShape
from train.head.speech import Phoneme

_GRID_MS: Final = 5.0
_PAUSE_MS: Final = 60.0
"""A pause shorter than this is part of the speech around it (a stop's closure) and does not shut the mouth."""

FIELDS: Final = ("opening", "jaw", "spread", "rounding", "press", "tuck", "lift", "tongue", "smile")

BILABIAL: Final = frozenset("pbmɸβ")
LABIODENTAL: Final = frozenset("fvɱʋ")


def _shape(
    opening: float, spread: float = 0.0, rounding: float = 0.0, tongue: float = 0.0, lift: float = 0.0
) -> MouthShape:
    return MouthShape(opening, opening * (0.95 - 0.25 * rounding), spread, rounding, 0.0, 0.0, lift, tongue)


REST: Final = MouthShape()
_CLOSED: Final = MouthShape(press=0.75)
_TUCKED: Final = MouthShape(opening=0.015, jaw=0.03, tuck=1.0, lift=0.7)

TARGETS: Final[dict[str, MouthShape]] = {
    **dict.fromkeys(BILABIAL, _CLOSED),
    **dict.fromkeys(LABIODENTAL, _TUCKED),
    **dict.fromkeys("aɑ", _shape(0.56)),
    **dict.fromkeys("æɐ", _shape(0.50, 0.25)),
    **dict.fromkeys("ʌɶ", _shape(0.42)),
    **dict.fromkeys("əɘɚ", _shape(0.25)),
    **dict.fromkeys("ɜɝɞ", _shape(0.30, 0.0, 0.15)),
    **dict.fromkeys("ɛe", _shape(0.36, 0.35)),
    **dict.fromkeys("ɪɨᵻ", _shape(0.22, 0.40)),
    "i": _shape(0.17, 0.70),
    "ɒ": _shape(0.46, 0.0, 0.35),
    "ɔ": _shape(0.44, 0.0, 0.60),
    "o": _shape(0.36, 0.0, 0.70),
    **dict.fromkeys("ʊɵ", _shape(0.25, 0.0, 0.60)),
    **dict.fromkeys("uɯʉ", _shape(0.20, 0.0, 0.90)),
    **dict.fromkeys("yʏ", _shape(0.20, 0.0, 0.90)),
    **dict.fromkeys("øœ", _shape(0.32, 0.0, 0.75)),
    **dict.fromkeys("wɥʍ", _shape(0.14, 0.0, 0.95)),
    **dict.fromkeys("θð", _shape(0.14, 0.1, 0.0, 1.0)),
    **dict.fromkeys("td", _shape(0.11, 0.15, 0.0, 0.5)),
    **dict.fromkeys("nɲɳ", _shape(0.14, 0.1, 0.0, 0.7)),
    **dict.fromkeys("lɫɬʎ", _shape(0.19, 0.1, 0.0, 1.0)),
    **dict.fromkeys("szɕʑ", _shape(0.08, 0.45, 0.0, 0.0, 0.15)),
    **dict.fromkeys("ʃʒʂʐ", _shape(0.15, 0.0, 0.60, 0.0, 0.35)),
    **dict.fromkeys("ɹɻ", _shape(0.17, 0.0, 0.40, 0.3)),
    **dict.fromkeys("rɾ", _shape(0.16, 0.1, 0.0, 0.6)),
    **dict.fromkeys("jçʝ", _shape(0.15, 0.50)),
    **dict.fromkeys("kɡgŋcɟ", _shape(0.19, 0.1)),
    **dict.fromkeys("xɣʁχqʀħʕ", _shape(0.24)),
}
"""Mouth shape of each IPA letter; of two letters (diphthongs, affricates) one follows the other."""

_SIGMA_MS: Final = {
    "opening": 22.0,
    "jaw": 34.0,
    "rounding": 42.0,
    "spread": 36.0,
    "tongue": 18.0,
    "tuck": 18.0,
    "press": 20.0,
}
_LEAD_MS: Final = {"rounding": 35.0, "spread": 15.0}
"""How much earlier than its sound a parameter begins to move (anticipatory co-articulation)."""


def targets_of(symbol: str) -> list[MouthShape]:
    """Return the shapes that a phoneme goes through; the unknown (h, glottal stop) takes its neighbours'."""
    shapes = [TARGETS[letter] for letter in symbol if letter in TARGETS]
    # What follows a closure in one symbol ("pf", "əl") shares its time.
    return shapes[:2]


class MouthTrack:
    """The mouth of a whole speech as a function of time."""

    def __init__(self, phonemes: Sequence[Phoneme], seed: int = 0, strength: float = 1.25) -> None:
        """Plan the movement for `phonemes`; `seed` varies how far vowels open, `strength` scales it (1 mumbles)."""
        rng = np.random.default_rng((seed, 0x1195))
        end = phonemes[-1].end_ms if phonemes else 0.0
        self._count = int(end / _GRID_MS) + 2
        self._times = np.arange(self._count) * _GRID_MS
        raw = np.zeros((self._count, len(FIELDS)))
        for phoneme, shape in self._sequence(phonemes):
            size = strength * float(rng.uniform(0.88, 1.10))
            low, high = self._span(phoneme.start_ms, phoneme.end_ms)
            values = [getattr(shape, name) for name in FIELDS]
            raw[low:high] = values
            raw[low:high, :2] *= size
        self._values = np.column_stack([self._smooth(raw[:, i], name) for i, name in enumerate(FIELDS)])
        self._close(phonemes)

    @staticmethod
    def _sequence(phonemes: Sequence[Phoneme]) -> list[tuple[Phoneme, MouthShape]]:
        """Return (interval, shape) in order; phonemes without a shape of their own join the next one's."""
        plan: list[tuple[Phoneme, MouthShape]] = []
        waiting: float | None = None
        for phoneme in phonemes:
            start = phoneme.start_ms if waiting is None else waiting
            pause = not phoneme.symbol and phoneme.end_ms - phoneme.start_ms >= _PAUSE_MS
            shapes = [REST] if pause else targets_of(phoneme.symbol)
            if not shapes:
                waiting = start
                continue
            waiting = None
            edges = np.linspace(start, phoneme.end_ms, len(shapes) + 1)
            edges[1:-1] += 0.12 * (phoneme.end_ms - start)  # the first half of a diphthong is the longer one
            for shape, low, high in zip(shapes, edges, edges[1:], strict=False):
                plan.append((Phoneme(phoneme.symbol, float(low), float(high)), shape))
        return plan

    def _span(self, start_ms: float, end_ms: float) -> tuple[int, int]:
        return max(round(start_ms / _GRID_MS), 0), min(round(end_ms / _GRID_MS), self._count)

    def _smooth(self, values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        sigma = _SIGMA_MS.get(name, 26.0) / _GRID_MS
        reach = int(4 * sigma) + 1
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        lead = int(_LEAD_MS.get(name, 8.0) / _GRID_MS)
        padded = np.pad(values, (reach, reach + lead), mode="edge")
        return np.asarray(np.convolve(padded, kernel / kernel.sum(), "valid")[lead:])

    def _close(self, phonemes: Sequence[Phoneme]) -> None:
        """Shut the lips where speech shuts them; only the lips, the jaw follows less."""
        opening, jaw, lift = FIELDS.index("opening"), FIELDS.index("jaw"), FIELDS.index("lift")
        for phoneme in phonemes:
            length = phoneme.end_ms - phoneme.start_ms
            if not phoneme.symbol and length >= _PAUSE_MS:
                settle = min(100.0, 0.4 * length)
                gate = self._gate(phoneme.start_ms + settle, phoneme.end_ms - min(60.0, 0.3 * length), 80.0)
                self._values[:, [opening, jaw, lift]] *= gate[:, None]
            elif phoneme.symbol[:1] in BILABIAL and phoneme.symbol:
                # Two frames at 25 fps always meet a closure of 45 ms and its ramps at least once.
                spare = max(45.0 - length, 0.0)
                gate = self._gate(phoneme.start_ms - spare, max(phoneme.end_ms - 10.0, phoneme.start_ms), 80.0)
                self._values[:, [opening, lift]] *= gate[:, None]
                self._values[:, jaw] *= 0.35 + 0.65 * gate
            elif phoneme.symbol[:1] in LABIODENTAL and phoneme.symbol:
                gate = self._gate(phoneme.start_ms + 5.0, max(phoneme.end_ms - 15.0, phoneme.start_ms + 10.0), 80.0)
                limit = _TUCKED.opening + 0.6 * gate
                self._values[:, opening] = np.minimum(self._values[:, opening], limit)
                self._values[:, FIELDS.index("tuck")] = np.maximum(self._values[:, FIELDS.index("tuck")], 1 - gate)

    def _gate(self, start_ms: float, end_ms: float, ramp_ms: float) -> NDArray[np.float64]:
        """Return 1 away from the interval, 0 inside it, smooth over `ramp_ms` on both sides."""
        away = np.maximum(start_ms - self._times, self._times - end_ms) / ramp_ms
        t = np.clip(away, 0.0, 1.0)
        return np.asarray(t * t * (3 - 2 * t))

    def at(self, ms: float) -> MouthShape:
        """Return the mouth at `ms` of the speech; at rest before and after it."""
        if not 0.0 <= ms <= self._times[-1]:
            return REST
        place = ms / _GRID_MS
        index = min(int(place), self._count - 2)
        share = place - index
        row = self._values[index] * (1 - share) + self._values[index + 1] * share
        return replace(REST, **{name: float(value) for name, value in zip(FIELDS, row, strict=True)})

    def energy(self, ms: float) -> float:
        """Return 0..1, how much is being said around `ms` (slow), for the head's nods."""
        low, high = self._span(ms - 300.0, ms + 300.0)
        return float(np.clip(self._values[low:high, 0].mean() * 2.5, 0.0, 1.0)) if high > low else 0.0
