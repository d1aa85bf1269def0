"""How well planned lips follow the curves of a face in speech without pictures: another language, another voice.

The curves (train.lite.curves) are weights of blend shapes, one of which opens the jaw. They share no scale and no
points with the lips, so nothing but the correlation is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.callerlayer import TeachableGenerator
from models.mel import melspectrogram
from train.data.clips import FPS
from train.evaluate.grid import Grid, number
from train.evaluate.opening import REACH, Floats, correlation, lag_ms, moments
from train.evaluate.protocol import LOUDNESS, OTHER, loudness
from train.lite.curves import CurveRecording

LAYER: Final = ", layer of its own"
"""Ending of the row of a linear layer on a generator's hidden numbers, fitted to the other recordings' curves."""

_RIDGE: Final = 0.01  # pull to zero, in shares of the variance that a hidden number has
_FRAME_MS: Final = 1000.0 / FPS

Heard = dict[str, dict[str, Floats]]
"""Correlation with the curve for each shift (2 REACH + 1,), by row and recording."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedSpeech:
    """A recording as one generator hears it: hidden numbers (T, n), planned opening (T,), at 25 fps."""

    hidden: NDArray[np.float32]
    opening: Floats


def follow(
    generators: Mapping[str, TeachableGenerator], judged: Sequence[CurveRecording], others: Sequence[CurveRecording]
) -> Heard:
    """Return how well every row follows the first curve of the `judged` recordings inside their speech.

    The layers are fitted to `others`; where there are none, to all judged ones but the one in question.
    """
    found: Heard = {}
    for name, generator in generators.items():
        said = {one.key: _hear(generator, one) for one in (*judged, *others)}
        for at, one in enumerate(judged):
            wrong = judged[(at + 1) % len(judged)]
            rows = {name: said[one.key].opening}
            if wrong is not one:
                rows[name + OTHER] = np.resize(said[wrong.key].opening, len(said[one.key].opening))
            fitted = others or [other for other in judged if other is not one]
            if fitted:
                weights = _layer([(said[other.key].hidden, _curve(other)[0]) for other in fitted])
                rows[name + LAYER] = _told(said[one.key].hidden, weights)
            for row, values in rows.items():
                found.setdefault(row, {})[one.key] = _against(values, one)
    for one in judged:
        mel = melspectrogram(one.samples.astype(np.float32) / np.float32(32768.0))
        loud = loudness(mel, range(len(_curve(one)[0])))
        found.setdefault(LOUDNESS, {})[one.key] = _against(loud, one)
    return found


def _hear(generator: TeachableGenerator, recording: CurveRecording) -> PlannedSpeech:
    hearing = generator.hearing
    heard = hearing.hear(recording.samples.astype(np.float32) / np.float32(32768.0))
    count = len(_curve(recording)[0])
    hidden, told = generator.hear(np.stack([hearing.cut(heard, at * _FRAME_MS) for at in range(count)]))
    return PlannedSpeech(hidden, np.asarray(told @ generator.opens, np.float64))


def _curve(recording: CurveRecording) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the first curve (T,) of a recording at 25 fps, and where it lies inside speech."""
    times = recording.times(np.arange(len(recording.curves)))
    at = np.arange(int(times[-1] // _FRAME_MS) + 1) * _FRAME_MS
    inside = np.interp(at, times, recording.speech.astype(np.float64)) > 0.5
    return np.interp(at, times, recording.curves[:, 0].astype(np.float64)), inside


def _against(values: Floats, recording: CurveRecording) -> Floats:
    real, inside = _curve(recording)
    return correlation(moments(values, real, inside))


def _layer(pairs: Sequence[tuple[NDArray[np.float32], Floats]]) -> Floats:
    """Fit a linear layer by ridge regression; return weights and bias (n + 1,)."""
    hidden = np.concatenate([one for one, _ in pairs]).astype(np.float64)
    curve = np.concatenate([one for _, one in pairs])
    mean = hidden.mean(0)
    centred = hidden - mean
    gram = centred.T @ centred
    gram += np.diag(_RIDGE * np.diag(gram) + 1e-6)
    weights = np.linalg.solve(gram, centred.T @ (curve - curve.mean()))
    return np.append(weights, curve.mean() - mean @ weights)


def _told(hidden: NDArray[np.float32], weights: Floats) -> Floats:
    return np.asarray(hidden @ weights[:-1] + weights[-1], np.float64)


def curve_figures(heard: Heard) -> dict[str, dict[str, Any]]:
    """Return by row `r` at lag 0, the lag in ms and r there, means over recordings, and `recordings`, r of each."""
    figures = {}
    for row, of in heard.items():
        mean = np.mean(list(of.values()), axis=0)
        each = {key.removeprefix("curves-"): float(curve[REACH]) for key, curve in of.items()}
        figures[row] = {"r": float(mean[REACH]), "lag": lag_ms(mean), "r_best": float(np.max(mean)), "recordings": each}
    return figures


def curve_grid(figures: Mapping[str, Mapping[str, Any]]) -> Grid:
    """Return the figures as a table, each recording in a column."""
    names = list(next(iter(figures.values()))["recordings"])
    rows = [
        [row, number(of["r"], 2), number(of["lag"], 0), number(of["r_best"], 2)]
        + [number(of["recordings"][name], 2) for name in names]
        for row, of in figures.items()
    ]
    return Grid(("", "r", "lag, ms", "r at that lag", *names), rows)
