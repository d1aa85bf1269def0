"""The pictures of the report: plots over time, and rows of frames around the switches."""

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from client.demo.evidence import Evidence, Truth
from client.demo.films import link_spans
from client.demo.plot import Panel, stack
from client.rig.timeline import Span
from models.generator import Image
from realtime.rtc.badlink.link import LinkTrace

STRIP_WIDTH = 300
BIN_MS = 100.0


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of pictures with its heading.

    Attributes:
        title: heading of the row.
        text: what it shows.
        shots: caption and picture, from left to right.
    """

    title: str
    text: str
    shots: tuple[tuple[str, Image], ...]


def timeline(filtered: Evidence, plain: Evidence, trace: LinkTrace) -> str:
    """Return the plot of states and of what each caller offered and the link delivered."""
    seconds = filtered.seconds
    parts: list[Panel | tuple[str, Sequence[Span]]] = [
        ("uplink", link_spans(trace, seconds)),
        ("link monitor of the node", filtered.states),
        ("what the viewer saw with lipline", _kind_spans(filtered)),
    ]
    # Bursts of a stock sender reach ten times the link; what matters happens below its capacity.
    capacities = [step.rate_kbps for step in trace.steps if math.isfinite(step.rate_kbps)]
    top = _round_up(1.25 * max(capacities, default=2000.0))
    for title, call in (("with lipline: uplink", filtered), ("without: uplink", plain)):
        rates = {
            (way, kind): _rates(call, way, kind, seconds)
            for way in ("offered", "delivered")
            for kind in ("video", "audio")
        }
        panel = Panel(title, "kbit/s", seconds, top)
        centres = (np.arange(len(rates["offered", "video"])) + 0.5) * BIN_MS
        panel.bars(rates["delivered", "video"], BIN_MS, "area video")
        panel.bars(rates["delivered", "audio"], BIN_MS, "area audio")
        for kind in ("video", "audio"):
            panel.line(centres, rates["offered", kind], f"line {kind}")
        panel.line(centres, [trace.at(time).rate_kbps for time in centres], "line capacity")
        parts.append(panel)
    return stack("States of the call and bit rates of both uplinks over time", parts, seconds)


def mouth(filtered: Evidence, known: Truth) -> str:
    """Return the plot of the mouth opening that was seen over that of the clip, and of the loudness heard."""
    times = filtered.frame_ms
    true = np.interp(times - filtered.delay.at(times), known.times_ms, np.nan_to_num(known.opening))
    top = max(0.05, float(np.nanmax(np.concatenate([true, filtered.opening, [0.0]]))))
    lips = Panel("mouth opening", "eyes", filtered.seconds, math.ceil(top * 20) / 20, 170.0)
    lips.shade(filtered.synthetic())
    lips.line(times, true, "line true")
    lips.line(times, filtered.opening, "line seen")
    block = 48_000 // 25
    samples = filtered.result.seen.samples
    power = samples[: len(samples) // block * block].astype(np.float64).reshape(-1, block)
    loud = np.sqrt((power**2).mean(axis=1))
    sound = Panel("sound heard", "level", filtered.seconds, 1.0, 60.0)
    sound.bars([float(v) for v in loud / max(float(loud.max(initial=1.0)), 1.0)], 40.0, "area audio")
    return stack("Mouth opening seen and true, and loudness, over time", [lips, sound], filtered.seconds)


def legend() -> str:
    """Return what the colours of `timeline` mean."""
    entries = (("area video", "video delivered"), ("area audio", "audio delivered"), ("line video", "video offered"),
               ("line audio", "audio offered"), ("line capacity", "capacity of the link"))  # fmt: skip
    keys = "".join(
        '<li><svg viewBox="0 0 24 12" aria-hidden="true">'
        + (
            f'<rect class="{style}" width="24" height="12"/>'
            if style.startswith("area")
            else f'<path class="{style}" d="M0 6H24"/>'
        )
        + f"</svg>{name}</li>"
        for style, name in entries
    )
    return f'<ul class="legend">{keys}</ul>'


def strips_of(call: Evidence) -> list[Strip]:
    """Return the rows of pictures around both switches of the longest synthetic stretch and in its middle."""
    found = []
    for span in _longest(call):
        first = int(np.searchsorted(call.frame_ms, span.start_ms))
        last = int(np.searchsorted(call.frame_ms, span.end_ms))
        middle = np.linspace(first, last - 1, 8)[1:-1].astype(int)
        found += [
            Strip(
                "Into synthesis",
                "Consecutive frames; the badge marks the first synthetic one.",
                _shots(call, range(first - 2, first + 4)),
            ),
            Strip("In the middle", "Six moments of the outage: one caller, talking.", _shots(call, middle)),
            Strip(
                "Hand-back",
                "Every second frame of the return to real video.",
                _shots(call, range(last - 8, last + 4, 2)),
            ),
        ]
    return found


def contrast(plain: Evidence, filtered: Evidence) -> list[Strip]:
    """Return what the other viewer saw at the moments of the middle strip."""
    found = []
    for span in _longest(filtered):
        moments = np.linspace(span.start_ms, span.end_ms, 8)[1:-1]
        rows = [int(np.searchsorted(plain.frame_ms, moment, side="right")) - 1 for moment in moments]
        shots = tuple(
            (f"{moment / 1000:.2f} s", plain.picture(row))
            for moment, row in zip(moments, rows, strict=True)
            if row >= 0
        )
        found.append(Strip("The same moments without lipline", "The newest picture that had arrived.", shots))
    return found


def _longest(call: Evidence) -> list[Span]:
    return sorted(call.synthetic(), key=lambda span: span.start_ms - span.end_ms)[:1]


def _shots(call: Evidence, rows: Iterable[int]) -> tuple[tuple[str, Image], ...]:
    return tuple(
        (f"{call.frame_ms[row] / 1000:.2f} s {call.kinds[row]}", call.picture(int(row)))
        for row in rows
        if 0 <= row < len(call.frame_ms)
    )


def strip_html(strip: Strip) -> str:
    """Return a row of pictures as HTML, the pictures inside."""
    shots = "".join(
        f'<figure><img src="{_jpeg(image)}" alt="{escape(strip.title)}, {escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, image in strip.shots
    )
    return f'<h3>{escape(strip.title)}</h3><p class="small">{escape(strip.text)}</p><div class="strip">{shots}</div>'


def _jpeg(image: Image) -> str:
    height = round(image.shape[0] * STRIP_WIDTH / image.shape[1])
    small = cv2.resize(image, (STRIP_WIDTH, height), interpolation=cv2.INTER_AREA)
    fine, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not fine:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _rates(call: Evidence, way: str, kind: str, seconds: float) -> list[float]:
    rates = [0.0] * round(seconds * 1000.0 / BIN_MS)
    for bin_number, size in call.result.uplink[way][kind]:
        if 0 <= bin_number < len(rates):
            rates[bin_number] += size * 8.0 / BIN_MS
    return rates


def _kind_spans(call: Evidence) -> list[Span]:
    edges = [0.0]
    found: list[Span] = []
    for span in call.synthetic():
        found += [Span("real", edges[-1], span.start_ms), span]
        edges.append(span.end_ms)
    return [*found, Span("real", edges[-1], call.seconds * 1000.0)]


def _round_up(value: float) -> float:
    step = 10.0 ** math.floor(math.log10(max(value, 10.0))) / 2
    return math.ceil(max(value, 10.0) / step) * step
