"""Learn in the call how this caller's mouth follows their voice. Pure: NumPy only, times as arguments, bounded.

The generator's hearing ends in a linear layer: hidden numbers h of the sound, coefficients c of the mouth. While real
pictures flow both are known, and the layer is fitted to the caller by ridge regression with a pull to the general
weights: least |H (W0 + D) - C|^2 + ridge |D|^2, solved for the difference D from a running Gram matrix. Every picture
is tested before it is learned from, so that the own layer is used only while it beats the general one on pictures that
it has not seen.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.callerlayer import CallerLayer, Numbers

REACH: Final = 4
"""Pictures by which a caller's sound and picture may be apart."""

STEP_MS: Final = 2000.0
"""Time in ms between two fits."""

KEPT: Final = 1000
"""Pictures that are kept as they came: 40 s at 25 a second."""

FIRST_S: Final = 4.0
"""Seconds of own speech before the first fit."""

PULL_S: Final = 40.0
"""Seconds of own speech, of hidden numbers of their mean square, that the general weights weigh as much as."""

MEMORY_MS: Final = 300_000.0
"""Time in ms after which what was learned counts 1/e: light, seat and microphone change."""

TESTED: Final = 400
"""Newest tested pictures that decide which layer is used: 16 s of speech."""

TESTED_FIRST: Final = 100
"""Tested pictures without which nothing is decided."""

BETTER: Final = 0.02
"""Correlation by which the own layer must be better on `TESTED` pictures to come into use; on fewer by more, as chance
has it."""

NO_BETTER: Final = 0.005
"""Correlation by which it must stay better to stay in use."""

WORTH: Final = 0.3
"""Correlation below which no own layer is used: sound and mouth have hardly to do with each other."""

LAG_BETTER: Final = 0.06
"""Correlation by which another lag must be better than the present one."""

_LAG_FIRST: Final = 125  # pictures of speech from which a lag is looked for
_INTERVAL_MS: Final = 40.0  # a picture's weight is its time over this
_MOST_WEIGHT: Final = 3.0
SCALES: Final = (0.8, 1.5)
"""Least and largest factor by which a fitted layer is brought to the caller's spread."""


@dataclass(slots=True, eq=False)
class _Tested:
    """Lip openings of pictures before they were learned from: (k,) each, in eye distances."""

    truth: NDArray[np.floating[Any]]
    general: NDArray[np.floating[Any]]
    own: NDArray[np.floating[Any]]


class Caller:
    """What is known of one caller's mouth. Not thread-safe.

    Attributes:
        layer: their own last layer; None while the general one is better, or too little is known.
        lag: pictures by which their picture comes before its sound.
        fitted: the newest layer, used or not.
        opens: (b,) how far each coefficient opens the lips, in eye distances.
    """

    def __init__(self, silence: tuple[Numbers, Numbers], opens: Numbers) -> None:
        """Begin with nobody.

        Args:
            silence: hidden numbers (n,) and general coefficients (b,) of silence, in which the mouth is closed.
            opens: (b,) how far each coefficient opens the lips, in eye distances.
        """
        self._silence, self.opens = silence, opens
        self._hidden, self._count = len(silence[0]), len(silence[1])
        rows = 2 * KEPT
        self._heard = np.ones((rows, self._hidden + 1 + self._count), np.float32)
        self._seen = np.zeros((rows, self._count), np.float32)
        self._has = np.zeros((rows, 2), np.bool_)  # whether the sound is theirs alone, and whether a mouth was seen
        self._times = np.zeros(rows)
        self._next = 0
        self.forget()

    def forget(self) -> None:
        """Forget everything: somebody else is there, or nobody."""
        self.layer: CallerLayer | None = None
        self.lag = 0
        self._end = 0
        self._learned_ms = float("-inf")
        self._start_over()

    @property
    def learned_s(self) -> float:
        """Seconds of the caller's speech that count, in s."""
        return float(self._gram[self._hidden, self._hidden]) * _INTERVAL_MS / 1000.0

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept; it does not grow."""
        tested = sum(part.nbytes for one in self._tested for part in (one.truth, one.general, one.own))
        rows = sum(part.nbytes for part in (self._heard, self._seen, self._has, self._times))
        return rows + tested + self._gram.nbytes

    def add(self, media_ms: float, heard: tuple[Numbers, Numbers] | None, mouth: Numbers | None) -> None:
        """Take the next real picture; when its time is not above the last one's, everything is forgotten before.

        Args:
            media_ms: time of the picture, in ms.
            heard: hidden numbers (n,) of the sound there, and the general coefficients (b,); None where it is not the
                caller's speech alone.
            mouth: coefficients (b,) of the mouth seen, with whatever a closed mouth has; None where none is trusted.
        """
        if self._end and media_ms <= self._times[self._end - 1]:
            self.forget()
        if self._end == len(self._times):
            self._make_room()
        row = self._end
        if heard is not None:
            self._heard[row, : self._hidden], self._heard[row, self._hidden + 1 :] = heard
        self._seen[row] = 0.0 if mouth is None else mouth
        self._has[row] = heard is not None, mouth is not None
        self._times[row] = media_ms
        self._end += 1
        if media_ms - self._learned_ms >= STEP_MS:
            self._learned_ms = media_ms
            self._learn(media_ms)

    # --- pairs of sound and picture ----------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Drop the older half of the rows."""
        for rows in (self._heard, self._seen, self._has, self._times):
            rows[: self._end - KEPT] = rows[KEPT : self._end].copy()
        self._end -= KEPT
        self._next = max(self._next - KEPT, 0)

    def _pairs(self, first: int, lag: int) -> NDArray[np.intp]:
        """Return the rows from `first` on whose mouth can be learned from with the sound `lag` rows later."""
        last = self._end - REACH
        rows = np.arange(max(first, REACH), max(last, REACH, first))
        if not len(rows):
            return rows
        sound = rows + lag
        apart = self._times[sound] - self._times[rows]
        # A picture that is missing in between puts the sound elsewhere.
        steady = np.abs(apart - lag * self._interval_ms) < 0.5 * self._interval_ms
        return np.asarray(rows[self._has[sound, 0] & self._has[rows, 1] & steady])

    @property
    def _interval_ms(self) -> float:
        newest = self._times[max(self._end - 50, 0) : self._end]
        return float(np.median(np.diff(newest))) if len(newest) > 1 else _INTERVAL_MS

    def _closed(self) -> NDArray[np.float64]:
        """Return the coefficients (b,) of the caller's closed mouth: the median of the most closed tenth seen."""
        seen = self._seen[: self._end][self._has[: self._end, 1]]
        order = np.argsort(seen @ self.opens)[: max(3, len(seen) // 10)]
        return np.asarray(np.median(seen[order], axis=0), np.float64)

    def _find_lag(self) -> int:
        """Return the lag at which the general layer follows the mouth best; the present one unless clearly worse."""
        said = self._heard[: self._end, self._hidden + 1 :] @ self.opens
        shown = self._seen[: self._end] @ self.opens
        found = {}
        for lag in range(-REACH, REACH + 1):
            rows = self._pairs(0, lag)
            if len(rows) < _LAG_FIRST:
                return self.lag
            found[lag] = correlation(said[rows + lag], shown[rows])
        best = max(found, key=lambda lag: found[lag])
        return best if found[best] > found[self.lag] + LAG_BETTER else self.lag

    # --- learning ----------------------------------------------------------------------------------------------------

    def _start_over(self) -> None:
        """Forget what was learned; what came lately is learned again."""
        size = self._hidden + 1 + 2 * self._count
        self._gram = np.zeros((size, size))
        self.fitted: CallerLayer | None = None
        self._tested: deque[_Tested] = deque()
        self._next = 0
        self._gram_ms: float | None = None

    def _learn(self, media_ms: float) -> None:
        lag = self._find_lag()
        if lag != self.lag:
            self.lag, self.layer = lag, None
            self._start_over()
        rows = self._pairs(self._next, self.lag)
        self._next = max(self._end - REACH, self._next)
        if not len(rows):
            return
        closed = self._closed()
        if self.fitted is not None:
            self._test(rows, closed)
            self._choose()
        self._accumulate(rows, media_ms)
        if self.learned_s >= FIRST_S:
            self.fitted = self._fit(closed)
            if self.layer is not None:
                self.layer = self.fitted

    def _accumulate(self, rows: NDArray[np.intp], media_ms: float) -> None:
        # Where only some pictures are tracked, each of them stands for more time.
        apart = float(np.median(np.diff(self._times[rows]))) if len(rows) > 1 else _INTERVAL_MS
        weight = min(apart / _INTERVAL_MS, _MOST_WEIGHT)
        joined = np.concatenate([self._heard[rows + self.lag], self._seen[rows]], 1)
        if self._gram_ms is not None:
            self._gram *= np.exp(-(media_ms - self._gram_ms) / MEMORY_MS)
        self._gram_ms = media_ms
        self._gram += weight * (joined.T @ joined)

    def _fit(self, closed: NDArray[np.float64]) -> CallerLayer:
        """Return the layer for what was learned; `closed` (b,) are the coefficients of the closed mouth."""
        size, count = self._hidden + 1, self._count
        told, seen = slice(size, size + count), slice(size + count, size + 2 * count)
        gram = self._gram[:size, :size]
        frames = gram[-1, -1]
        wanted = self._gram[:size, seen] - np.outer(gram[:, -1], closed) - self._gram[:size, told]
        power = float(np.trace(gram[:-1, :-1])) / self._hidden / frames
        ridge = np.full(size, power * PULL_S * 1000.0 / _INTERVAL_MS)
        ridge[-1] = 1e-6 * frames
        quiet = np.append(self._silence[0].astype(np.float64), 1.0)
        solved = np.linalg.solve(gram + np.diag(ridge), np.concatenate([wanted, quiet[:, None]], 1))
        layer = self._spread(solved[:, :-1])
        # In silence the mouth is closed, though nothing is learned there: the change that speech feels least.
        turn = solved[:, -1] / float(quiet @ solved[:, -1])
        return CallerLayer(layer.scale, (layer.table - np.outer(turn, layer(*self._silence))).astype(np.float32))

    def _spread(self, table: NDArray[np.float64]) -> CallerLayer:
        """Return the layer whose openings vary as much as the caller's around their mean; a regression's vary less."""
        size, count = self._hidden + 1, self._count
        said = np.concatenate([table @ self.opens, self.opens, np.zeros(count)])
        shown = np.concatenate([np.zeros(size + count), self.opens])
        frames = float(self._gram[size - 1, size - 1])
        means = self._gram[size - 1] / frames
        spread = [float(x @ self._gram @ x) / frames - float(x @ means) ** 2 for x in (said, shown)]
        scale = float(np.clip(np.sqrt(max(spread[1], 0.0) / max(spread[0], 1e-12)), *SCALES))
        own = scale * table
        own[-1] += (1.0 - scale) * (means[:size] @ table + means[size : size + count])
        return CallerLayer(scale, own.astype(np.float32))

    # --- testing -----------------------------------------------------------------------------------------------------

    def _test(self, rows: NDArray[np.intp], closed: NDArray[np.float64]) -> None:
        assert self.fitted is not None
        heard = self._heard[rows + self.lag]
        hidden, told = heard[:, : self._hidden], heard[:, self._hidden + 1 :]
        truth = (self._seen[rows] - closed) @ self.opens
        self._tested.append(_Tested(truth, told @ self.opens, self.fitted(hidden, told) @ self.opens))
        while sum(len(one.truth) for one in self._tested) - len(self._tested[0].truth) >= TESTED:
            self._tested.popleft()

    def _choose(self) -> None:
        """Use the own layer or the general one, whichever followed the newest pictures better."""
        truth = np.concatenate([one.truth for one in self._tested])
        if len(truth) < TESTED_FIRST:
            return
        general, own = (np.concatenate([getattr(one, name) for one in self._tested]) for name in ("general", "own"))
        follows = correlation(own, truth)
        gained = follows - correlation(general, truth)
        # The general mouth is drawn as wide as the references are open: how far it opens is not held against it.
        ratio = np.clip(truth.std() / max(float(general.std()), 1e-9), *SCALES)
        error = error_of(own, truth) / max(min(error_of(general * part, truth) for part in (1.0, ratio)), 1e-9)
        if self.layer is None:
            needed = BETTER * np.sqrt(TESTED / min(len(truth), TESTED))
            self.layer = self.fitted if gained >= needed and error <= 1.0 and follows >= WORTH else None
        elif gained < NO_BETTER or error > 1.02 or follows < WORTH:
            self.layer = None


def correlation(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Return Pearson's correlation of (k,) and (k,); 0 when one of them does not move."""
    a, b = a - a.mean(), b - b.mean()
    energy = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / energy if energy > 1e-12 else 0.0


def error_of(said: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> float:
    """Return the root mean square difference."""
    return float(np.sqrt(np.mean(np.square(said - truth))))
