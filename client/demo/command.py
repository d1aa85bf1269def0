"""`lipline demo`: two calls over the same collapsing link, and a report on what the viewer got."""

import argparse
import json
import math
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from client.demo import films
from client.demo.evidence import Evidence, Truth, evidence, truth
from client.demo.figures import Figure, figures
from client.demo.page import number, page
from client.demo.progress import run_call
from client.doctor.checks import CALLER
from client.errors import UsageError
from client.rig import clip as clips
from client.rig.call import CallPlan
from client.rig.machine import processor, versions
from realtime import ending
from realtime.rtc.badlink.link import LinkTrace
from realtime.statusline import StatusLine

DEFAULT_TRACE = Path(__file__).with_name("default_trace.json")
LAST_STEP_S = 6.0
"""Length of the call after the last step of the link's script, in s."""

DESCRIPTION = """\
Run a real WebRTC call whose uplink collapses, first with lipline, then without, over the same
link, and measure both at the viewer. Caller, node and viewer are processes of their own."""

EXAMPLES = """\
examples:
  lipline demo                                   the bundled caller, who is nobody
  lipline demo --clip me.mp4                     your own talking face, with sound
  lipline demo --clip a.mkv --clip b.mkv         several clips of one speaker, joined
  lipline demo --trace link.json --seconds 30    another link:
      {"steps": [{"t_ms": 0, "rate_kbps": 2000}, {"t_ms": 6000, "rate_kbps": 60, "loss": 0.02}]}

The exit code is 0 unless something broke; targets that were missed are printed and marked."""

PACKAGES = ("lipline", "aiortc", "av", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline demo`."""
    parser.add_argument(
        "--clip", type=Path, action="append", metavar="FILE", help="talking face with sound; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="where results go (out/demo)")
    parser.add_argument("--trace", type=Path, default=DEFAULT_TRACE, metavar="FILE", help="script of the uplink, JSON")
    parser.add_argument("--seconds", type=float, metavar="N", help="length of a call (default: last step + 6)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the link's jitter and losses (1)")
    parser.add_argument("--model", default="lite", metavar="NAME|FILE.onnx", help="bundled name or file (lite)")
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu", help="where the model runs (cpu)")


def run(options: argparse.Namespace) -> int:
    """Run both calls, write the results, print the figures; return 0."""
    began = time.monotonic()
    try:
        trace = LinkTrace.load(options.trace)
    except (OSError, ValueError) as error:
        raise UsageError(f"{options.trace} is no link trace: {error}") from error
    seconds = options.seconds or trace.steps[-1].t_ms / 1000.0 + LAST_STEP_S
    if not 3.0 <= seconds <= 110.0:
        raise UsageError(f"a call of {seconds:g} s cannot be shown: use --seconds 3 to 110")
    if not options.clip and not CALLER.exists():
        raise UsageError("the bundled caller is missing: run `git checkout -- client/assets`, or use --clip FILE")
    options.out.mkdir(parents=True, exist_ok=True)
    found = _calls(options, trace, seconds)
    _results(options, trace, found, time.monotonic() - began)
    return 0


def _calls(
    options: argparse.Namespace, trace: LinkTrace, seconds: float
) -> tuple[list[Figure], Evidence, Evidence, Truth]:
    """Prepare the clip, run both calls, and look at what the viewers received."""
    line = StatusLine(sys.stdout)
    sources = options.clip or [CALLER]
    line.say(f"Preparing {', '.join(source.name for source in sources)} for a call of {seconds:.0f} s")
    logs = options.out / "log"
    logs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lipline-demo-") as folder:
        work = Path(folder)
        clip = clips.prepare(sources, seconds, work / "clip.mp4")
        for warning in clip.warnings:
            line.say(f"  note: {warning}")
        results = []
        for name, filtered in (("with lipline", True), ("without", False)):
            plan = CallPlan(
                name, filtered, clip.path, trace, options.seed, seconds, options.model, options.provider, work, logs
            )
            results.append(ending.run(run_call(plan, line)))
    line.say("Looking at every picture that the viewers received")
    known = truth(clip)
    filtered_call, plain_call = (evidence(result, clip, known, seconds) for result in results)
    return figures(filtered_call, plain_call, clip, known), filtered_call, plain_call, known


def _results(
    options: argparse.Namespace,
    trace: LinkTrace,
    found: tuple[list[Figure], Evidence, Evidence, Truth],
    took_s: float,
) -> None:
    """Write films, JSON and page; print the figures."""
    rows, filtered, plain, known = found
    out: Path = options.out
    print("Writing films and report", flush=True)
    films.write_seen(out / "lipline.mp4", filtered, synthetic=True)
    films.write_seen(out / "plain.mp4", plain, synthetic=False)
    films.write_side_by_side(out / "side_by_side.mp4", plain, filtered, trace)
    facts = _facts(options, took_s)
    report: dict[str, Any] = {
        "facts": dict(facts),
        "seed": options.seed,
        "seconds": filtered.seconds,
        "trace": json.loads(trace.to_json()),
        "figures": [figure.as_json() for figure in rows],
        "filtered": _record(filtered),
        "plain": _record(plain),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "report.html").write_text(page(rows, filtered, plain, known, trace, facts), encoding="utf-8")
    print(table(rows))
    print(f"\nThe page: {(out / 'report.html').resolve().as_uri()}\nThe films: {out / 'side_by_side.mp4'}")


def table(rows: list[Figure]) -> str:
    """Return the figures for a terminal; missed targets stand out and are listed again below."""
    lines = [f"\n{'':7}{'figure':<29}{'with':>14}{'without':>14}   target"]
    for row in rows:
        mark = {True: "met", False: "MISSED", None: ""}[row.passed]
        plain = "" if math.isnan(row.plain) else number(row.plain, row.unit)
        lines.append(f"{mark:<7}{row.name:<29}{number(row.value, row.unit):>14}{plain:>14}   {row.target}")
    missed = [row.name for row in rows if row.passed is False]
    judged = sum(row.passed is not None for row in rows)
    ending = f"; missed: {', '.join(missed)}" if missed else ""
    return "\n".join([*lines, f"\n{judged - len(missed)} of {judged} targets met{ending}"])


def _record(call: Evidence) -> dict[str, Any]:
    """Return the data from which a later program can draw the call again; NaN becomes null."""
    return {
        "states": [[span.name, round(span.start_ms, 1), round(span.end_ms, 1)] for span in call.states],
        "frameMs": [round(float(time), 2) for time in call.frame_ms],
        "kinds": [str(kind) for kind in call.kinds],
        "mouthOpening": [None if math.isnan(value) else round(float(value), 4) for value in call.opening],
        "uplink": call.result.uplink,
        "node": call.result.node.stats,
    }


def _facts(options: argparse.Namespace, took_s: float) -> list[tuple[str, str]]:
    clips = ", ".join(path.name for path in options.clip or [CALLER])
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return [
        ("Clip", clips),
        ("Command", shlex.join(["lipline", *sys.argv[1:]])),
        ("Model", f"{options.model} on {options.provider}"),
        ("Link", f"{options.trace.name}, seed {options.seed}"),
        ("Processor", f"{processor()}, {os.cpu_count()} cores; load at the end {load}"),
        ("Time taken", f"{took_s:.0f} s for both calls and their evaluation, films apart"),
        ("Versions", versions(PACKAGES)),
    ]
