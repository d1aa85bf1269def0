"""Measure the local call of `lipline cam`, mode by mode: `python -m benchmarks.cam [--seconds N] [--json FILE]`.

With `--minutes N` it runs that long instead (benchmarks/cam/soak.py): drift, growth, missed pictures.

A clip plays in place of camera and microphone, in real time; what leaves is counted and thrown away, so that no encoder
and no driver is measured. The camera stops and comes back once. Latency is from the camera's thread to the return of
the sink, skew is the engine's, CPU is that of the whole process, the clip's decoder included.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.cam.call import MeasuredCall, WatchedCall, running
from benchmarks.cam.soak import PPM, CamWatch, figures, watch
from benchmarks.soak.gauges import Before, Gauge
from realtime.cam.call import LocalCall
from realtime.cam.modes import Mode
from realtime.media import FrameKind
from realtime.picture.stats import freezes

PLAN: Final = (
    ("warm up", Mode.THROUGH, True, 0.5),
    ("through", Mode.THROUGH, True, 2.0),
    ("through, camera gone", Mode.THROUGH, False, 1.0),
    ("through, camera back", Mode.THROUGH, True, 1.0),
    ("photo", Mode.PHOTO, True, 1.0),
    ("dub", Mode.DUB, True, 1.0),
    ("away", Mode.AWAY, True, 1.0),
    ("through again", Mode.THROUGH, True, 1.0),
)
"""Name of a phase, its mode, whether the camera gives pictures, and its length in units of `--seconds`."""


@dataclass(frozen=True, slots=True)
class ModeRow:
    """One phase of the plan.

    Attributes:
        phase: its name.
        fps: pictures a second that left.
        made: share of them that were made, 0 to 1.
        latency_p50: median latency of real pictures in ms; 0 where none left.
        latency_p95: 95th percentile of that latency in ms; 0 where none left.
        skew_p95: 95th percentile of the skew without its sign, in ms.
        sound_ms: delay of the sound at the end of the phase, in ms.
        freezes: count of freezes, as webrtc-stats counts them.
        cpu: cores that the process used.
    """

    phase: str
    fps: float
    made: float
    latency_p50: float
    latency_p95: float
    skew_p95: float
    sound_ms: float
    freezes: int
    cpu: float


async def measure(seconds: float, size: tuple[int, int] | None, late_ms: float) -> list[ModeRow]:
    """Run the plan and return its rows."""
    rows = []
    async with running(MeasuredCall, size, late_ms) as (call, camera, synth):
        for phase, mode, present, units in PLAN:
            camera.gone = not present
            refused = call.choose(mode) if mode is not call.path.mode else None
            assert refused is None, refused
            rows.append(await _phase(call, phase, units * seconds))
    missed = 1.0 - sum(row.fps * (1.0 - row.made) for row in rows[1:2]) / camera.fps
    print(f"missed in through: {100.0 * max(0.0, missed):.1f} %; renderer's faults: {synth.errors} {synth.last_error}")
    return rows


async def soak(minutes: float, size: tuple[int, int] | None, late_ms: float) -> list[Gauge]:
    """Run the call for `minutes` after one that loads what stays loaded; return what came of it."""
    async with running(WatchedCall, size, late_ms):
        await asyncio.sleep(3.0)
    before, seen = Before(), CamWatch()
    async with running(WatchedCall, size, late_ms, ppm=PPM) as (call, camera, synth):
        await asyncio.sleep(2.0)
        call.watch = seen
        await watch(call, camera, minutes * 60.0, seen)
        call.watch = None
    print(synth.last_error)
    # The loop's own helper threads are no leak of the call's.
    await asyncio.get_running_loop().shutdown_default_executor()
    return figures(seen, before, synth.errors)


async def _phase(call: LocalCall, phase: str, seconds: float) -> ModeRow:
    left = call.__dict__.setdefault("left", [])
    first, cpu, began = len(left), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    spent = time.monotonic() - began
    here = left[first:]
    latencies = [latency for _, _, latency, _ in here if latency is not None] or [0.0]
    new = [at for at, kind, _, _ in here if kind is not FrameKind.REPEATED]
    made = sum(kind is FrameKind.SYNTH for _, kind, _, _ in here) / max(1, len(here))
    return ModeRow(
        phase,
        len(here) / spent,
        made,
        float(np.quantile(latencies, 0.5)),
        float(np.quantile(latencies, 0.95)),
        float(np.quantile([abs(skew) for *_, skew in here] or [0.0], 0.95)),
        call.path.sound.lag_ms,
        freezes(new).freezeCount,
        (time.process_time() - cpu) / spent,
    )


def table(rows: Sequence[ModeRow]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| phase | fps | made | latency p50, p95 ms | skew p95 ms | sound ms | freezes | cores |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        latency = f"{row.latency_p50:.0f}, {row.latency_p95:.0f}" if row.latency_p95 else ""
        lines.append(
            f"| {row.phase} | {row.fps:.1f} | {row.made:.0%} | {latency} | {row.skew_p95:.0f} | {row.sound_ms:.0f} | "
            f"{row.freezes} | {row.cpu:.2f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a long run missed a limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cam", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="unit of the plan; all of it takes 8.5 of them (4)")
    parser.add_argument("--minutes", type=float, help="run for so long instead, and judge it")
    parser.add_argument("--size", help="of the pictures, WxH (the clip's)")
    parser.add_argument(
        "--late", type=float, default=0.0, metavar="MS", help="pictures come so long after they were taken"
    )
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(argv)
    width, _, height = (options.size or "0x0").partition("x")
    size = (int(width), int(height)) if options.size else None
    if options.minutes:
        found = asyncio.run(soak(options.minutes, size, options.late))
        print("\n".join(figure.line() for figure in found))
        if options.json:
            options.json.write_text(json.dumps([{**asdict(figure), "met": figure.met} for figure in found]) + "\n")
        return 0 if all(figure.met for figure in found) else 1
    rows = asyncio.run(measure(options.seconds, size, options.late))
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
