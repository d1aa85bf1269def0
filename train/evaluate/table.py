"""The figures of a report: every row of the table with its confidence interval, from what single pairs gave."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.evaluate.frechet import frechet_distance
from train.evaluate.grid import Grid, number
from train.evaluate.measure import Measured, Row
from train.evaluate.opening import (
    REACH,
    by_speaker,
    correlation,
    interval,
    lag_ms,
    pooled,
    resampled,
)
from train.evaluate.protocol import REAL

CLOSED_IN_TIME: Final = 2.0
"""Frames of silence after which a mouth should be closed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure and the 95 % interval of it over clips; NaN where it does not apply."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def as_json(self) -> dict[str, float | None]:
        """Return plain values; what does not apply is null."""
        known = {"value": self.value, "low": self.low, "high": self.high}
        return {name: number if math.isfinite(number) else None for name, number in known.items()}


@dataclass(frozen=True, slots=True)
class Column:
    """Description of a figure: its key, heading, unit, digits, and what exactly it is."""

    key: str
    title: str
    unit: str
    digits: int
    note: str


COLUMNS: Final = (
    Column("r", "r in speech", "", 2, "correlation of the mouth opening with the real one's of the same speech, inside "
           "speech, each clip's mean taken out; mean over speakers"),
    Column("lag", "lag", "ms", 0, "how late the mouth is by the best fit within 200 ms; negative is early"),
    Column("spread", "spread", "", 2, "standard deviation of the opening inside speech over the real one's"),
    Column("r_clip", "r, median clip", "", 2, "the same correlation clip by clip, the median"),
    Column("r_raw", "r, means kept", "", 2, "the same without taking the clips' means out"),
    Column("r_whole", "r, whole clips", "", 2, "the same with the silence before and after speech"),
    Column("spread_whole", "spread, whole", "", 2, "spread over whole clips"),
    Column("r_planned", "r planned", "", 2, "correlation of the shape that the generator meant to draw"),
    Column("spread_planned", "spread planned", "", 2, "spread of the shape that the generator meant to draw"),
    Column("r_drawn", "r drawn", "", 2, "correlation of the opening seen in the picture with the one meant"),
    Column("lse_d", "LSE-D", "", 2, "distance of picture and sound to the sync expert, lower is better"),
    Column("lse_c", "LSE-C", "", 2, "how much the best offset stands out to the expert, higher is better"),
    Column("closing", "end of speech", "frames", 1, "median of the frames from the last sound to a closed mouth, which "
           "is open by a quarter of the way from rest to wide at most"),
    Column("closing_share", "closed in 2", "%", 0, "clips whose mouth is closed 2 frames after the last sound"),
    Column("closing_late", "end, p95", "frames", 1, "95th percentile of these frames"),
    Column("cut", "cut off", "frames", 1, "median of the same when the sound is cut off while the mouth is widest"),
    Column("cut_late", "cut, p95", "frames", 1, "95th percentile of these frames; 12 were watched"),
    Column("cut_share", "cut, closed in 2", "%", 0, "clips closed 2 frames after the sound is cut off"),
    Column("sharpness", "sharpness", "", 2, "variance of the Laplacian over the lips, made over real frame"),
    Column("lmd", "LMD", "% eyes", 2, "distance of 40 lip points to the real frame's, hundredths of the eye distance"),
    Column("psnr", "PSNR", "dB", 1, "mouth region of rebuilt frames"),
    Column("ssim", "SSIM", "", 3, "mouth region of rebuilt frames"),
    Column("cpbd", "CPBD", "", 3, "share of edges not seen as blurred, lower half of rebuilt frames"),
    Column("flicker", "flicker", "", 2, "second difference over time of still skin, over that of the real frames"),
    Column("fd_sync", "FD-sync", "", 3, "Fréchet distance of the expert's video embeddings to the real videos'; in the "
           "row of the real video that of one half of the clips to the other"),
    Column("faces", "faces", "%", 1, "frames in which a face is found"),
)  # fmt: skip

MOUTH: Final = ("r", "lag", "spread", "r_clip", "r_whole", "spread_whole", "lse_d", "lse_c")
CLOSING: Final = ("closing", "closing_late", "closing_share", "cut", "cut_late", "cut_share")
PICTURE: Final = ("sharpness", "lmd", "psnr", "ssim", "cpbd", "flicker", "fd_sync", "faces")


def column(key: str) -> Column:
    """Return the description of a figure."""
    return next(entry for entry in COLUMNS if entry.key == key)


Table = dict[str, dict[str, Value]]
"""Figures by row and key."""


def tabulate(measured: Sequence[Measured], rounds: int = 1000) -> Table:
    """Return every row's figures over the pairs; intervals by a bootstrap over clips."""
    draws = resampled(len(measured), rounds)
    return {name: _row(name, measured, draws) for name in measured[0].rows}


def _row(name: str, measured: Sequence[Measured], draws: NDArray[np.int64]) -> dict[str, Value]:
    speakers = [one.speaker for one in measured]
    rows = [one.rows[name] for one in measured]
    inside = np.stack([row.inside for row in rows])
    found = dict(zip(("r", "lag", "spread"), _mouth(inside, speakers, draws), strict=True))
    found["r_clip"] = Value(_median(correlation(inside)[:, REACH]))
    found["r_raw"] = Value(_raw(inside, speakers))
    curve, wide = by_speaker(np.stack([row.whole for row in rows]), speakers)
    found["r_whole"], found["spread_whole"] = Value(float(curve[REACH])), Value(float(wide))
    found |= _plan(rows, speakers)
    for key, of in _MEANS.items():
        found[key] = _mean(np.array([of(row) for row in rows], dtype=np.float64), draws)
    for key, of in (("closing", _closing), ("cut", _cut)):
        frames = np.array([of(row) for row in rows])
        in_time = np.where(np.isfinite(frames), 100.0 * (frames <= CLOSED_IN_TIME), np.nan)
        found[key], found[f"{key}_share"] = Value(_median(frames)), _mean(in_time, draws)
        found[f"{key}_late"] = Value(_late(frames))
    found["fd_sync"] = Value(_frechet(name, measured))
    return found


def _mouth(inside: Floats, speakers: Sequence[str], draws: NDArray[np.int64]) -> tuple[Value, Value, Value]:
    """Return correlation, lag and spread with their intervals."""
    curve, wide = by_speaker(inside, speakers)
    names = np.array(speakers)
    again = [by_speaker(inside[draw], list(names[draw])) for draw in draws]
    bounds = (
        interval(np.array([one[REACH] for one, _ in again])),
        interval(np.array([lag_ms(one) for one, _ in again])),
        interval(np.array([float(one) for _, one in again])),
    )
    values = float(curve[REACH]), lag_ms(curve), float(wide)
    first, second, third = (Value(value, *bound) for value, bound in zip(values, bounds, strict=True))
    return first, second, third


def _raw(inside: Floats, speakers: Sequence[str]) -> float:
    names = np.array(speakers)
    raw = [correlation(pooled(inside[names == name], centred=False))[REACH] for name in sorted(set(speakers))]
    return _average(np.array(raw))


def _plan(rows: Sequence[Row], speakers: Sequence[str]) -> dict[str, Value]:
    """Return how well the shapes follow that the generator meant to draw, and the picture follows them."""
    found = {"r_planned": math.nan, "spread_planned": math.nan, "r_drawn": math.nan}
    planned = [row.planned for row in rows if row.planned is not None]
    drawn = [row.planned_seen for row in rows if row.planned_seen is not None]
    if len(planned) == len(drawn) == len(rows):
        curve, wide = by_speaker(np.stack(planned), speakers)
        found["r_planned"], found["spread_planned"] = float(curve[REACH]), float(wide)
        found["r_drawn"] = float(by_speaker(np.stack(drawn), speakers)[0][REACH])
    return {key: Value(value) for key, value in found.items()}


def _closing(row: Row) -> float:
    return row.closing


def _cut(row: Row) -> float:
    return row.cut


def _of_picture(key: str) -> Callable[[Row], float]:
    return lambda row: row.picture.get(key, math.nan)


_MEANS: Final[dict[str, Callable[[Row], float]]] = {
    "lse_d": lambda row: row.lse[0],
    "lse_c": lambda row: row.lse[1],
    "faces": lambda row: 100.0 * row.faces,
    **{key: _of_picture(key) for key in ("sharpness", "lmd", "psnr", "ssim", "cpbd", "flicker")},
}


def _mean(values: Floats, draws: NDArray[np.int64]) -> Value:
    with np.errstate(invalid="ignore"):
        known = np.isfinite(values)
        counts = known[draws].sum(1)
        sums = np.where(known, values, 0.0)[draws].sum(1)
        again = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Value(_average(values), *interval(again))


def _average(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan


def _late(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, 95)) if known.size else math.nan


def _frechet(name: str, measured: Sequence[Measured]) -> float:
    made, real = ([one.rows[row].embeddings for one in measured] for row in (name, REAL))
    if name == REAL:
        made, real = made[::2], real[1::2]
    if not made or not real or any(one is None for one in (*made, *real)):
        return math.nan
    stacked = [np.concatenate([one for one in side if one is not None]).astype(np.float32) for side in (made, real)]
    return frechet_distance(stacked[0], stacked[1])


def per_speaker(measured: Sequence[Measured]) -> dict[str, dict[str, dict[str, float]]]:
    """Return correlation, lag and spread by row and speaker."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in measured[0].rows:
        for speaker in sorted({one.speaker for one in measured}):
            inside = np.stack([one.rows[name].inside for one in measured if one.speaker == speaker])
            curve, wide = by_speaker(inside, [speaker] * len(inside))
            figures = {"r": float(curve[REACH]), "lag": lag_ms(curve), "spread": float(wide), "clips": len(inside)}
            found.setdefault(name, {})[speaker] = figures
    return found


def text(table: Table, keys: Sequence[str]) -> str:
    """Return some columns as plain text; the headline figures with half the width of their interval."""
    rows = [[name, *(cell(row[key], column(key)) for key in keys)] for name, row in table.items()]
    return Grid(["", *(column(key).title for key in keys)], rows).text()


_WITH_INTERVAL: Final = ("r", "lag", "spread", "sharpness", "lse_d", "lse_c")


def cell(value: Value, about: Column) -> str:
    """Return a figure as text, with half the width of its interval where it is a headline figure; "-" without one."""
    shown = number(value.value, about.digits)
    if about.key in _WITH_INTERVAL and math.isfinite(value.low) and math.isfinite(value.value):
        shown += f" ±{(value.high - value.low) / 2.0:.{about.digits}f}"
    return shown


def as_json(table: Table) -> dict[str, Any]:
    """Return the table as plain values."""
    return {name: {key: value.as_json() for key, value in row.items()} for name, row in table.items()}
