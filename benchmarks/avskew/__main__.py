"""Measure A/V skew end to end: `python -m benchmarks.avskew [--seconds S] [--run N] [--json FILE]`.

Exit status 1 when a state misses the target, or has too few events to say anything.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import asyncio
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.avskew.call import Weather, run_call
from benchmarks.avskew.film import FPS, make_film
from benchmarks.avskew.measure import STATES, Skews, measure, quantiles
from benchmarks.machine import machine

TARGET_MS = 40.0
LEAST_EVENTS = 5
POOLED, POOLED_EVENTS = "RETURNING", 10
"""A hand-back lasts 480 ms and meets about one event: its verdict is that of all calls together, from this many on."""
BUSY_SHARE = 0.02
"""Ticks that the node may miss before the figures say more about the machine than about the call."""
RUNS = (Weather("narrow"), Weather("narrow, jitter 30 ms, loss 2 %", jitter_ms=30.0, loss=0.02))


def summarize(found: Skews) -> list[dict[str, Any]]:
    """Return a row per state: events, and median, p50 and p95 without sign of both skews, in ms."""
    rows = []
    for state in STATES:
        events = [event for event in found.events if event.state == state]
        aligned = quantiles([event.aligned_ms for event in events if event.aligned_ms is not None])
        arrived = quantiles([event.arrived_ms for event in events])
        counted = sum(event.aligned_ms is not None for event in events)
        met = counted >= LEAST_EVENTS and aligned[2] <= TARGET_MS
        mixed = sum(event.mixed for event in events)
        row = {"state": state, "events": counted, "alignedMs": aligned, "arrivedMs": arrived, "mixed": mixed}
        rows.append(row if state == POOLED else {**row, "met": met})
    return rows


def pool(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the row of all calls' hand-backs together, which the verdict takes for them."""
    events = [skew for run in runs for _, state, skew, *_ in run["events"] if state == POOLED and skew is not None]
    aligned = quantiles(events)
    met = len(events) >= POOLED_EVENTS and aligned[2] <= TARGET_MS
    return {"state": POOLED, "events": len(events), "alignedMs": aligned, "met": met}


def report(run: dict[str, Any]) -> None:
    """Print one run's table."""
    print(
        f"\n{run['weather']}: {run['pauses']} pauses of video; this process took {run['cores']:.2f} cores, "
        f"its event loop was late by {run['stallMs']:.0f} ms at most"
    )
    print(
        f"beeps without flash {run['beepsAlone']}, flashes without beep {run['flashesAlone']}, "
        f"before both streams' first reports {run['beforeReports']}; sound not yet here of what a synthetic frame "
        f"hears: mean {run['missingMs'][0]:.0f} ms, p95 {run['missingMs'][1]:.0f} ms"
    )
    if run["ticksMissed"] > BUSY_SHARE:
        print(f"THE MACHINE IS TOO BUSY: the node missed {run['ticksMissed']:.1%} of its ticks; measure again")
    print(
        f"{'state':10s} {'events':>6s} | {'by sender reports:':18s} {'median':>7s} {'p50|.|':>7s} {'p95|.|':>7s} |",
        end="",
    )
    print(f" {'by arrival:':11s} {'median':>7s} {'p50|.|':>7s} {'p95|.|':>7s} | mixed")
    for row in run["rows"]:
        aligned = " ".join(f"{value:7.1f}" for value in row["alignedMs"])
        arrived = " ".join(f"{value:7.1f}" for value in row["arrivedMs"])
        verdict = "" if row.get("met", True) else "missed" if row["events"] >= LEAST_EVENTS else "too few"
        figures = f"{'':18s} {aligned} | {'':11s} {arrived} | {row['mixed']:5d}"
        print(f"{row['state']:10s} {row['events']:6d} | {figures} {verdict}")


def measure_run(weather: Weather, seconds: float, size: tuple[int, int], seed: int) -> dict[str, Any]:
    """Run one call, print and return its figures."""
    film = make_film(seconds, size=size, seed=seed)
    wall, cpu = time.monotonic(), time.process_time()
    called = asyncio.run(run_call(film, seconds, weather, seed=seed))
    cores = (time.process_time() - cpu) / (time.monotonic() - wall)
    found = measure(called.notes)
    missing = called.missing_ms or [0.0]
    run = {
        "weather": weather.name,
        "rows": summarize(found),
        "events": [(e.at_ms, e.state, e.aligned_ms, e.arrived_ms, e.mixed) for e in found.events],
        "cores": cores,
        "ticksMissed": float(str(called.counters.get("ticksSkipped", 0))) / (seconds * FPS),
        "pauses": called.pauses,
        "stallMs": called.stall_ms,
        "beepsAlone": found.beeps_alone,
        "flashesAlone": found.flashes_alone,
        "beforeReports": sum(event.aligned_ms is None for event in found.events),
        "missingMs": (float(np.mean(missing)), float(np.percentile(missing, 95))),
        "counters": called.counters,
    }
    report(run)
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the calls, print the tables, write JSON; 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.avskew", description=__doc__)
    parser.add_argument("--seconds", type=float, default=96.0, help="length of each call")
    parser.add_argument("--size", default="320x240", help="width and height of the picture")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=int, choices=range(1, len(RUNS) + 1), help="only this one of the calls")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args(arguments)
    width, _, height = args.size.partition("x")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    facts = machine("benchmarks.avskew", sys.argv[1:] if arguments is None else arguments)
    for name, value in facts.items():
        print(f"{name}: {value}")
    print(f"pictures {args.size}, calls of {args.seconds:g} s; positive: the picture is ahead of the sound")
    chosen = RUNS if args.run is None else RUNS[args.run - 1 : args.run]
    runs = [measure_run(weather, args.seconds, (int(width), int(height)), args.seed) for weather in chosen]
    pooled = pool(runs)
    if args.json is not None:
        figures = {"machine": facts, "targetMs": TARGET_MS, "runs": runs, "pooled": pooled}
        args.json.write_text(json.dumps(figures) + "\n")
    median, _, p95 = pooled["alignedMs"]
    few = "" if pooled["events"] >= POOLED_EVENTS else f": fewer than {POOLED_EVENTS} say nothing, make calls longer"
    print(f"\n{POOLED} of all calls: {pooled['events']} events, median {median:.1f}, p95 |.| {p95:.1f} ms{few}")
    met = pooled["met"] and all(row.get("met", True) for run in runs for row in run["rows"])
    verdict = "met" if met else "MISSED"
    print(f"\ntarget: p95 of |skew by sender reports| at most {TARGET_MS:.0f} ms in each state: {verdict}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
