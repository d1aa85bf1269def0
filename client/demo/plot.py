"""Line plots over the time of a call as inline SVG; colours come from the page's style sheet by class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from client.rig.timeline import Span

WIDTH = 1000.0
LEFT, RIGHT = 64.0, 12.0


@dataclass
class Panel:
    """Draw one plot with a common time axis; y from 0 to `top`.

    Attributes:
        title: what is plotted, shown above it.
        unit: of the y axis.
        seconds: end of the time axis.
        top: greatest y.
        height: of the plot area, in units of the viewBox (1000 wide).
    """

    title: str
    unit: str
    seconds: float
    top: float
    height: float = 150.0
    _body: list[str] = field(default_factory=list)

    def x(self, time_ms: float) -> float:
        """Return the place of a time of the call."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(time_ms / 1000.0 / self.seconds, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return self.height * (1.0 - min(max(value / self.top, 0.0), 1.0))

    def line(self, times_ms: ArrayLike, values: ArrayLike, style: str) -> None:
        """Draw a line; NaN leaves a gap."""
        runs: list[list[str]] = [[]]
        for time, value in zip(np.asarray(times_ms, float), np.asarray(values, float), strict=True):
            if np.isfinite(value):
                runs[-1].append(f"{self.x(time):.1f},{self.y(value):.1f}")
            elif runs[-1]:
                runs.append([])
        self._body += [f'<polyline class="{style}" points="{" ".join(run)}"/>' for run in runs if len(run) > 1]

    def bars(self, values: Sequence[float], width_ms: float, style: str) -> None:
        """Draw an area of bars of `width_ms` from 0 on."""
        points = [f"{self.x(0):.1f},{self.y(0):.1f}"]
        for number, value in enumerate(values):
            points += [f"{self.x(edge * width_ms):.1f},{self.y(value):.1f}" for edge in (number, number + 1)]
        points.append(f"{self.x(len(values) * width_ms):.1f},{self.y(0):.1f}")
        self._body.append(f'<polygon class="{style}" points="{" ".join(points)}"/>')

    def shade(self, spans: Sequence[Span]) -> None:
        """Shade stretches over the whole height, each in the class of its name."""
        for span in spans:
            x, wide = self.x(span.start_ms), self.x(span.end_ms) - self.x(span.start_ms)
            self._body.append(
                f'<rect class="shade {escape(span.name)}" x="{x:.1f}" y="0" width="{wide:.1f}" height="{self.height}"/>'
            )

    def draw(self, offset: float, *, times: bool) -> str:
        """Return the SVG group at height `offset`, with the time axis labelled when `times`."""
        marks = []
        for step in range(3):
            value = self.top * step / 2
            marks.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(value)}" y2="{self.y(value)}"/>'
            )
            marks.append(f'<text class="tick end" x="{LEFT - 8}" y="{self.y(value) + 4}">{value:g}</text>')
        for second in range(0, int(self.seconds) + 1, 2):
            x = self.x(second * 1000.0)
            marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{self.height}"/>')
            if times:
                marks.append(f'<text class="tick mid" x="{x:.1f}" y="{self.height + 18}">{second} s</text>')
        label = f'<text class="name" x="{LEFT}" y="-8">{escape(self.title)}</text>'
        unit = f'<text class="tick" x="8" y="-8">{escape(self.unit)}</text>'
        return f'<g transform="translate(0 {offset:.0f})">{"".join(marks)}{"".join(self._body)}{label}{unit}</g>'


def band(title: str, spans: Sequence[Span], seconds: float, offset: float) -> str:
    """Return a strip that names the state at each time."""
    axis = Panel(title, "", seconds, 1.0, 26.0)
    parts = [f'<text class="name" x="{LEFT}" y="-8">{escape(title)}</text>']
    for span in spans:
        x, wide = axis.x(span.start_ms), axis.x(span.end_ms) - axis.x(span.start_ms)
        parts.append(
            f'<rect class="band {escape(span.name)}" x="{x:.1f}" y="0" width="{max(wide, 1.5):.1f}" height="26"/>'
        )
        if wide > 9.0 * len(span.name):
            parts.append(f'<text class="in mid" x="{x + wide / 2:.1f}" y="18">{escape(span.name.upper())}</text>')
    return f'<g transform="translate(0 {offset:.0f})">{"".join(parts)}</g>'


def stack(title: str, parts: Sequence[Panel | tuple[str, Sequence[Span]]], seconds: float) -> str:
    """Return one SVG with panels and bands (title, spans) below each other; `title` is for those who cannot see it."""
    offset, drawn = 26.0, []
    for number, part in enumerate(parts):
        if isinstance(part, Panel):
            last = number == len(parts) - 1
            drawn.append(part.draw(offset, times=last))
            offset += part.height + (30.0 if last else 40.0)
        else:
            drawn.append(band(part[0], part[1], seconds, offset))
            offset += 26.0 + 40.0
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {offset:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(drawn)}</svg>"
    )
