"""Call for long: `python -m benchmarks.soak --minutes 60 --speed 10`, `python -m benchmarks.soak --minutes 10`.

With a speed above 1 the call is simulated (one process, its own clock, no sockets); at speed 1 it is real, over aiortc.
Exit status 1 when a figure misses its limit.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import asyncio
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.avskew.film import make_film
from benchmarks.machine import machine
from benchmarks.soak import real, simulated
from benchmarks.soak.gauges import Before, Gauge, MemoryReading, memory
from benchmarks.soak.parts import RENDERERS, make_renderer
from benchmarks.soak.record import SoakRecord

SKEW_MS = 40.0
DRIFT_MS = 20.0
LINE_MS = 600.0


def memory_figures(readings: Sequence[MemoryReading]) -> list[Gauge]:
    """Return slope and growth; the growth over what was measured is judged, the slope of a short run says little."""
    found = memory(readings)
    return [
        Gauge(f"memory: slope over the last {found.hours * 60:.1f} min of call", found.slope_mb_h, "MiB/h"),
        Gauge("memory: growth in that time", found.growth_mb, "MiB", found.limit_mb),
        Gauge("memory: at the end", found.last_mb, "MiB"),
    ]


def drift(values: Sequence[float]) -> float:
    """Return how far the median of the last quarter lies from that of the second quarter."""
    quarter = max(1, len(values) // 4)
    return abs(float(np.median(values[-quarter:]) - np.median(values[quarter : 2 * quarter])))


def left_figures(before: Before, tasks_left: Sequence[str]) -> list[Gauge]:
    """Return what the call left, and name it."""
    threads, fds = before.left()
    for name in (*tasks_left, *threads):
        print(f"left: {name}")
    return [
        Gauge("tasks left", len(tasks_left), "", 0.0),
        Gauge("threads left", len(threads), "", 0.0),
        Gauge("file descriptors left", fds, "", 0.0),
    ]


def warmed(renderer: str) -> None:
    """Load and run the libraries once, so that what they keep for the whole process is not taken for the call's."""
    made, _ = make_renderer(renderer)
    image = make_film(1.0).image(0)
    made.observe(image, 0.0)
    made.close()


def simulate(args: argparse.Namespace) -> tuple[list[Gauge], SoakRecord]:
    """Run the simulated call."""
    call = simulated.SimulatedCall(args.minutes, args.speed, renderer=args.renderer, seed=args.seed)
    before = Before()
    seen = asyncio.run(call.run())
    concealed = float(str(seen.counters["concealedSamples"])) / max(
        1.0, float(str(seen.counters["totalSamplesReceived"]))
    )
    figures = [
        Gauge("speed reached", args.minutes * 60.0 / seen.wall_s, "x"),
        *memory_figures(seen.readings),
        Gauge("|skew| p95 by frame numbers", float(np.percentile(np.abs(seen.skew_ms), 95)), "ms", SKEW_MS),
        Gauge("delay: drift of its median", drift(seen.delay_ms), "ms", DRIFT_MS),
        Gauge("delay: |off the target| p95", float(np.percentile(seen.off_ms, 95)), "ms"),
        Gauge("sound waiting, most", max(seen.line_ms), "ms", LINE_MS),
        Gauge("sound concealed", 100.0 * concealed, "%"),
        Gauge("real frames", seen.counts["real"], ""),
        Gauge("synthetic frames", seen.counts["synth"], ""),
        Gauge("repeated frames", seen.counts["repeated"], ""),
        Gauge("renderer errors", seen.counts["errors"], "", 0.0),
        *left_figures(before, seen.tasks_left),
    ]
    return figures, seen


def call_for_real(args: argparse.Namespace) -> tuple[list[Gauge], SoakRecord]:
    """Run the real call."""
    before = Before()
    seen = asyncio.run(real.run_call(args.minutes, renderer=args.renderer, seed=args.seed))
    warm = len(seen.skew_ms) // 5
    missed = 100.0 - 4.0 * seen.counts["pictures"] / seen.wall_s  # 25 a second are due
    figures = [
        *memory_figures(seen.readings),
        Gauge("|skew| p95 of the node's last 80 s, worst", max(seen.skew_ms[warm:]), "ms", SKEW_MS),
        Gauge("delay: |off the target| p95", float(np.percentile(seen.off_ms[warm:], 95)), "ms"),
        Gauge("asyncio tasks, most", max(seen.tasks), ""),
        Gauge("threads, most", max(reading.threads for reading in seen.readings), ""),
        Gauge("ticks that the machine was too busy for", float(str(seen.counters.get("ticksSkipped", 0))), ""),
        Gauge("connections cut", seen.counts["cuts"], ""),
        Gauge("connections that did not come about", seen.counts["failed"], "", 0.0),
        Gauge("errors logged", seen.counts["errors"], "", 0.0),
        Gauge("viewer's returns", seen.counts["viewer returns"], ""),
        Gauge("pictures that did not come to the viewer", missed, "%", 25.0),
        *left_figures(before, seen.tasks_left),
    ]
    return figures, seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the call, print the figures, write JSON; 1 when a limit was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the call")
    parser.add_argument("--speed", type=float, default=1.0, help="1: real; above: simulated, at most so fast")
    parser.add_argument(
        "--renderer", choices=RENDERERS, default="lite", help="the bundled model, or a painted stand-in"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args(arguments)
    if args.minutes <= 0 or args.speed < 1:
        parser.error("--minutes must be above 0 and --speed at least 1")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # progress is for who waits, through a pipe too
    facts = machine("benchmarks.soak", sys.argv[1:] if arguments is None else arguments)
    for name, value in facts.items():
        print(f"{name}: {value}")
    kind = "simulated" if args.speed > 1 else "real"
    print(f"{args.minutes:g} minutes, {kind}, renderer {args.renderer}", flush=True)
    warmed(args.renderer)
    figures, seen = simulate(args) if args.speed > 1 else call_for_real(args)
    print()
    for figure in figures:
        print(figure.line())
    if args.json is not None:
        rows = [{**asdict(figure), "met": figure.met} for figure in figures]
        readings = [asdict(reading) for reading in seen.readings]
        more = {"readings": readings, "delayMs": seen.delay_ms, "counters": seen.counters}
        args.json.write_text(json.dumps({"machine": facts, "kind": kind, "figures": rows, **more}) + "\n")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
