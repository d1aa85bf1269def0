"""The drawings of the report as inline SVG; colours come from the page's style sheet by class."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from train.evaluate.table import Table, Value, cell, column

_WIDTH: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Description of one column of the overview: figure, ends of the axis, ticks."""

    key: str
    low: float
    high: float
    ticks: tuple[float, ...]


OVERVIEW: Final = (
    Axis("r", -0.2, 1.0, (0.0, 0.5, 1.0)),
    Axis("lag", -200.0, 200.0, (-200.0, 0.0, 200.0)),
    Axis("spread", 0.0, 2.0, (0.0, 1.0, 2.0)),
    Axis("sharpness", 0.0, 2.0, (0.0, 1.0, 2.0)),
)


def overview(table: Table, styles: Mapping[str, str], aims: Mapping[str, tuple[float, float]]) -> str:
    """Return a row of dots with whiskers for each row of the table; `aims` are the ranges aimed at, by figure."""
    line, top, names = 40.0, 40.0, 210.0
    height = top + line * len(table)
    room = (_WIDTH - names) / len(OVERVIEW)
    parts = [
        f'<text class="name" x="0" y="{top + line * (number + 0.5) + 5:.0f}">{escape(name)}</text>'
        for number, name in enumerate(table)
    ]
    for place, axis in enumerate(OVERVIEW):
        left, right = names + room * place + 14, names + room * (place + 1) - 30
        parts.append(_axis(axis, aims[axis.key], left, right, top, height))
        for number, (name, row) in enumerate(table.items()):
            parts.append(_dot(axis, row, left, right, top + line * (number + 0.5), styles[name]))
    label = "Correlation, lag, spread and sharpness of every row, with 95 % intervals; the range aimed at is shaded"
    return _svg(label, height + 26, parts)


def _axis(axis: Axis, aim: tuple[float, float], left: float, right: float, top: float, height: float) -> str:
    def x(value: float) -> float:
        return _place(value, axis.low, axis.high, left, right)

    about = column(axis.key)
    title = about.title + (f", {about.unit}" if about.unit else "")
    begin, end = x(aim[0]), x(aim[1])
    marks = [
        f'<text class="name" x="{left:.1f}" y="22">{escape(title)}</text>',
        f'<rect class="aim" x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{height - top:.1f}"/>',
    ]
    for tick in axis.ticks:
        marks.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{height:.1f}"/>')
        marks.append(f'<text class="tick mid" x="{x(tick):.1f}" y="{height + 18:.1f}">{tick:g}</text>')
    return "".join(marks)


def _dot(axis: Axis, row: Mapping[str, Value], left: float, right: float, y: float, style: str) -> str:
    value = row[axis.key]
    if not math.isfinite(value.value):
        return f'<text class="tick" x="{left:.1f}" y="{y + 4:.1f}">-</text>'
    at = _place(value.value, axis.low, axis.high, left, right)
    whisker = ""
    if math.isfinite(value.low):
        low, high = (_place(bound, axis.low, axis.high, left, right) for bound in (value.low, value.high))
        whisker = f'<line class="whisker {style}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    shown = cell(Value(value.value), column(axis.key))
    label = f'<text class="tick mid" x="{at:.1f}" y="{y - 9:.1f}">{shown}</text>'
    return f'{whisker}<circle class="dot {style}" cx="{at:.1f}" cy="{y:.1f}" r="5"/>{label}'


def _place(value: float, low: float, high: float, left: float, right: float) -> float:
    return left + (right - left) * min(max((value - low) / (high - low), 0.0), 1.0)


def curves(
    lines: Sequence[tuple[str, ArrayLike]], speech: NDArray[np.bool_], moments: Sequence[int], label: str
) -> str:
    """Return openings over time: lines (style, (T,) values) in eye distances, NaN leaves a gap.

    Args:
        lines: those named first lie below.
        speech: (T,) frames inside speech; the rest is shaded.
        moments: frames that are shown as pictures, marked below.
        label: what it is, for those who cannot see it.
    """
    left, right, height, top = 46.0, 8.0, 190.0, 8.0
    values = [np.asarray(line, dtype=np.float64) for _, line in lines]
    greatest = max((float(np.nanmax(line)) for line in values if np.isfinite(line).any()), default=0.1)
    peak = max(0.05, math.ceil(greatest * 20.0) / 20.0)

    def x(frame: float) -> float:
        return left + (_WIDTH - left - right) * frame / max(len(speech) - 1, 1)

    def y(value: float) -> float:
        return top + height * (1.0 - min(max(value / peak, 0.0), 1.0))

    parts = [_quiet(speech, x, top, height)]
    for value in (0.0, peak / 2, peak):
        parts.append(f'<line class="grid" x1="{left}" x2="{_WIDTH - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="tick end" x="{left - 6}" y="{y(value) + 4:.1f}">{value:.3g}</text>')
    for (style, _), line in zip(lines, values, strict=True):
        runs = np.split(np.arange(len(line)), np.flatnonzero(np.diff(np.isfinite(line))) + 1)
        for run in runs:
            if len(run) > 1 and np.isfinite(line[run[0]]):
                points = " ".join(f"{x(frame):.1f},{y(float(line[frame])):.1f}" for frame in run)
                parts.append(f'<polyline class="line {style}" points="{points}"/>')
    floor = top + height
    parts += [f'<path class="mark" d="M{x(moment):.1f} {floor + 3:.1f}l-4 7h8z"/>' for moment in moments]
    for second in range(0, int((len(speech) - 1) / 25) + 1):
        parts.append(f'<text class="tick mid" x="{x(second * 25):.1f}" y="{floor + 26:.1f}">{second} s</text>')
    return _svg(label, floor + 32, parts)


def _quiet(speech: NDArray[np.bool_], x: Callable[[float], float], top: float, height: float) -> str:
    spoken = np.flatnonzero(speech)
    ends = (0, len(speech) - 1) if not spoken.size else (int(spoken[0]), int(spoken[-1]))
    spans = ((0, ends[0]), (ends[1], len(speech) - 1))
    return "".join(
        f'<rect class="quiet" x="{x(a):.1f}" y="{top}" width="{x(b) - x(a):.1f}" height="{height}"/>'
        for a, b in spans
        if b > a
    )


def _svg(label: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
