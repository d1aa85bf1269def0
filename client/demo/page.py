"""The report as one HTML page: no scripts, no fetches but the films beside it, readable in light and dark."""

import math
from collections.abc import Sequence
from html import escape
from importlib import resources

from client.demo.drawings import contrast, legend, mouth, strip_html, strips_of, timeline
from client.demo.evidence import Evidence, Truth
from client.demo.figures import Figure
from client.demo.films import link_spans
from realtime.rtc.badlink.link import LinkTrace


def page(
    figures: Sequence[Figure],
    filtered: Evidence,
    plain: Evidence,
    known: Truth,
    trace: LinkTrace,
    facts: Sequence[tuple[str, str]],
) -> str:
    """Return the page; `facts` are (name, value) about the run: clip, command, hardware, versions."""
    style = resources.files("client.demo").joinpath("page.css").read_text()
    judged = [figure for figure in figures if figure.passed is not None]
    met = sum(bool(figure.passed) for figure in judged)
    missed = [figure for figure in judged if not figure.passed]
    verdict = f"{met} of {len(judged)} targets met." + (
        f" Missed: {', '.join(f.name for f in missed)}." if missed else ""
    )
    bad = [span for span in link_spans(trace, filtered.seconds) if span.name == "bad"]
    outage_s = sum(span.end_ms - span.start_ms for span in bad) / 1000.0
    strips = "".join(strip_html(strip) for strip in (*strips_of(filtered), *contrast(plain, filtered)))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>lipline demo: one link, two calls</title><style>{style}</style></head><body><main>
<header><h1>One link, two calls</h1>
<p class="lede">A caller's uplink collapses for {outage_s:.0f} of {filtered.seconds:.0f} seconds. The same clip is sent
over it twice: once by lipline's caller through the lipline node, once by stock aiortc peers without the filter.
Everything below is measured from what the viewer received.</p>
<p class="verdict {"good" if not missed else "bad"}">{escape(verdict)}</p></header>
<section><h2>Both calls</h2><video src="side_by_side.mp4" controls preload="metadata"></video>
<p class="small">Left without, right with lipline; the sound is that of the right one. Each alone:
<a href="lipline.mp4">lipline.mp4</a>, <a href="plain.mp4">plain.mp4</a>. Synthetic frames carry a badge.</p></section>
<section><h2>Figures</h2>{_table(figures)}</section>
<section><h2>States and bit rates</h2>{timeline(filtered, plain, trace)}{legend()}</section>
<section><h2>Frames</h2>{strips}</section>
<section><h2>Mouth and sound</h2>{mouth(filtered, known)}
<p class="small">Line: mouth opening that the viewer saw. Dotted: the clip's own opening for the sound heard at that
moment. Shaded: synthetic.</p></section>
<section><h2>This run</h2><dl>{"".join(f"<dt>{escape(n)}</dt><dd>{escape(v)}</dd>" for n, v in facts)}</dl>
<p class="small">All numbers are in <a href="report.json">report.json</a>.</p></section>
</main></body></html>
"""


def _table(figures: Sequence[Figure]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(f.name)}<span>{escape(f.note)}</span></th><td>{number(f.value, f.unit)}</td>"
        f"<td>{'' if math.isnan(f.plain) else number(f.plain, f.unit)}</td>"
        f"<td>{escape(f.target)}</td>{_mark(f)}</tr>"
        for f in figures
    )
    head = "".join(f"<th scope=col>{name}</th>" for name in ("Figure", "with", "without", "target", "result"))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def number(value: float, unit: str) -> str:
    """Return `value` with its unit, as precise as it deserves."""
    if math.isnan(value):
        return "not measured"
    whole = value == int(value) and unit != "1/s"
    digits = 0 if whole else 4 if unit == "eyes" else 2 if abs(value) < 100 else 0
    text = f"{value:.{digits}f}"
    return f"{text} {unit}".strip()


def _mark(figure: Figure) -> str:
    if figure.passed is None:
        return "<td></td>"
    return '<td class="good">✓ met</td>' if figure.passed else '<td class="bad">✗ missed</td>'
