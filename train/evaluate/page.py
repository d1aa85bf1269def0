"""The report as one HTML page: no scripts, no fetches, readable in light and dark; films and frames inside."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from typing import Any

from train.evaluate.drawings import overview
from train.evaluate.groups import FolderFigures, group_grid
from train.evaluate.protocol import FROZEN, LOUDNESS, OTHER, REAL
from train.evaluate.recordings import curve_grid
from train.evaluate.showcase import Example, example_html
from train.evaluate.table import CLOSING, MOUTH, PICTURE, Table, Value, cell, column


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be."""

    key: str
    low: float
    high: float
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is told: `models` are the rows of the generators, the first is the one in question.

    Attributes:
        title: what was measured on what.
        models: names of the generators' rows.
        table: figures of every row.
        speakers: correlation, lag, spread and clips by row and speaker.
        examples: pairs that are shown.
        seen: whether these speakers, in other clips, may have been trained on.
        facts: (name, value) about the run.
        groups: figures folder by folder.
        curves: figures on recordings with curves of a face, by row; empty without any.
    """

    title: str
    models: Sequence[str]
    table: Table
    speakers: Mapping[str, Mapping[str, Mapping[str, float]]]
    examples: Sequence[Example]
    seen: bool
    facts: Sequence[tuple[str, str]]
    groups: Sequence[FolderFigures] = ()
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_AIMS = (
    Aim("lag", -40.0, 40.0, "within 40 ms"),
    Aim("spread", 0.7, 1.3, "0.7 to 1.3 of the real mouth's"),
    Aim("sharpness", 0.8, 1.2, "0.8 to 1.2 of the real frame's"),
    Aim("cut", 0.0, 2.0, "within 2 frames of silence"),
)


def aims(seen: bool) -> tuple[Aim, ...]:
    """Return what the first generator's figures should be, for speakers that were trained on or not."""
    low, who = (0.65, "a person trained on") if seen else (0.5, "a person never seen")
    return Aim("r", low, 1.0, f"at least {low:g} for {who}"), *_AIMS


_CONTROLS = (
    (REAL, "the clip itself; its openings were found in the original frames, those it is compared with in the crops: "
     "what this measurement can reach"),
    (FROZEN, "the last frame of the pose clip, as a stalled call shows it"),
    (LOUDNESS, "real frames of the pose clip, ranked by opening as the sound is by loudness: what needs no model"),
    (OTHER.strip(", "), "the same generator hearing another clip: what is left is rhythm and chance"),
)  # fmt: skip


def page(report: Report) -> str:
    """Return the page."""
    style = resources.files("train.evaluate").joinpath("page.css").read_text()
    styles = _styles(report)
    wanted = {aim.key: (aim.low, aim.high) for aim in aims(report.seen)}
    examples = "".join(example_html(example, report.models) for example in report.examples)
    controls = "".join(f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, what in _CONTROLS)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, what in report.facts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>lipline evaluate: {escape(report.title)}</title><style>{style}</style></head><body><main>
<header><h1>{escape(report.title)}</h1>
<p class="lede">{escape(_lede(report))}</p>{_aims(report)}</header>
<section><h2>At a glance</h2>{overview(report.table, styles, wanted)}
<p class="small">Dots with 95 % intervals over clips; the range aimed at is shaded.</p></section>
<section><h2>See and hear</h2>
<p class="small">Chosen by the correlation of {escape(report.models[0])}; all rows show the same moments of the same
speech. Curves: how far the mouth is open, in eye distances; silence is shaded, triangles mark the frames above.</p>
{_legend(report)}{examples}</section>
<section><h2>Mouth</h2>{_table(report, MOUTH)}</section>
{_groups(report)}<section><h2>Closing</h2>{_table(report, CLOSING)}</section>
<section><h2>Picture</h2>{_table(report, PICTURE)}</section>
{_plan(report)}{_curves(report)}{_speakers(report)}
<section><h2>What the rows and columns mean</h2><dl>{controls}</dl><dl>{_notes()}</dl></section>
<section><h2>This run</h2><dl>{facts}</dl><p class="small">All numbers are in report.json.</p></section>
</main></body></html>
"""


def _styles(report: Report) -> dict[str, str]:
    styles = {name: f"m{number % 3}" for number, name in enumerate(report.models)}
    return {name: styles.get(name, "real" if name == REAL else "control") for name in report.table}


def _lede(report: Report) -> str:
    """Return the first figure in words."""
    main, loud = (report.table[name]["r"] for name in (report.models[0], LOUDNESS))
    bounds = f" ({main.low:.2f} to {main.high:.2f})" if math.isfinite(main.low) else ""
    return (
        f"While people speak, the mouth that {report.models[0]} draws follows the real one with a correlation of "
        f"{main.value:.2f}{bounds}. A mouth that opens with the loudness alone reaches {loud.value:.2f}, and two "
        f"measurements of the real video agree to {report.table[REAL]['r'].value:.2f}."
    )


def _aims(report: Report) -> str:
    entries = []
    for aim in aims(report.seen):
        value = report.table[report.models[0]][aim.key]
        about = column(aim.key)
        met = aim.low <= value.value <= aim.high
        mark = "" if not math.isfinite(value.value) else "good" if met else "bad"
        unit = f" {about.unit}" if about.unit and math.isfinite(value.value) else ""
        shown = cell(Value(value.value), about) + unit
        entries.append(
            f'<li><small>{escape(about.title)}</small><b class="{mark}">{"✓" if met else "✗"} {shown}</b>'
            f"<small>aim: {escape(aim.words)}</small></li>"
        )
    return f'<ul class="aims">{"".join(entries)}</ul>'


def _legend(report: Report) -> str:
    entries = [("real", REAL), *((f"m{number % 3}", name) for number, name in enumerate(report.models))]
    entries.append(("control", LOUDNESS))
    return f'<ul class="legend">{"".join(f"<li><i class={style}></i>{escape(n)}</li>" for style, n in entries)}</ul>'


def _table(report: Report, keys: Sequence[str]) -> str:
    known = [key for key in keys if any(math.isfinite(row[key].value) for row in report.table.values())]
    head = "".join(f"<th scope=col>{escape(_heading(key))}</th>" for key in known)
    rows = []
    for name, row in report.table.items():
        kind = ' class="made"' if name in report.models else ""
        cells = "".join(f"<td>{_cell(row[key], key)}</td>" for key in known)
        rows.append(f"<tr{kind}><th scope=row>{escape(name)}</th>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _heading(key: str) -> str:
    about = column(key)
    return about.title + (f", {about.unit}" if about.unit else "")


def _cell(value: Value, key: str) -> str:
    about = column(key)
    shown = cell(Value(value.value), about)
    if not math.isfinite(value.value) or not math.isfinite(value.low):
        return shown
    return f"{shown}<small>{value.low:.{about.digits}f} to {value.high:.{about.digits}f}</small>"


def _plan(report: Report) -> str:
    """Return where correlation is lost: in the shape that is meant, or in drawing it."""
    keys = ("r_planned", "r_drawn", "r", "spread_planned", "spread")
    told = [name for name in report.models if math.isfinite(report.table[name]["r_planned"].value)]
    if not told:
        return ""
    head = "".join(f"<th scope=col>{escape(column(key).title)}</th>" for key in keys)
    rows = "".join(
        f"<tr class=made><th scope=row>{escape(name)}</th>"
        + "".join(f"<td>{cell(Value(report.table[name][key].value), column(key))}</td>" for key in keys)
        + "</tr>"
        for name in told
    )
    return f"""<section><h2>Heard or drawn badly?</h2><p class="small">The shape that the generator meant to draw
against the real mouth, the picture against that shape, and both together as above.</p>
<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"""


def _groups(report: Report) -> str:
    if not report.groups:
        return ""
    return f"""<section><h2>Folder by folder</h2><p class="small">How late the pictures of each folder come after their
sound (negative: before it), by the lips that the bundled generator hears in it, and how sure that is; r and lag as they
are, and at that offset.</p>{group_grid(report.groups).html()}</section>"""


def _curves(report: Report) -> str:
    if not report.curves:
        return ""
    grid = curve_grid(report.curves).html()
    return f"""<section><h2>Speech with curves of a face</h2><p class="small">The opening of the lips that is
planned, against a curve of the speaker's face, inside speech; mean over recordings, then each. A layer of its own is a
linear one on what the generator hears, fitted to the other recordings.</p>{grid}</section>"""


def _speakers(report: Report) -> str:
    names = sorted(report.speakers[report.models[0]])
    if len(names) < 2:
        return ""
    rows = [*report.models, LOUDNESS, REAL]
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in rows)
    body = "".join(
        f"<tr><th scope=row>{escape(who)}</th>"
        + "".join(f"<td>{_r_and_lag(report.speakers[row][who])}</td>" for row in rows)
        + "</tr>"
        for who in names
    )
    return f"""<section><h2>Speaker by speaker</h2><p class="small">Correlation inside speech, below it the spread.</p>
<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"""


def _r_and_lag(figures: Mapping[str, float]) -> str:
    return "-" if not math.isfinite(figures["r"]) else f"{figures['r']:.2f}<small>{figures['spread']:.2f}</small>"


def _notes() -> str:
    return "".join(
        f"<dt>{escape(column(key).title)}</dt><dd>{escape(column(key).note)}</dd>" for key in MOUTH + CLOSING + PICTURE
    )
