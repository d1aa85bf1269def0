"""Run the local call for long: modes change, the camera goes and comes back, the microphone's clock is off.

`python -m benchmarks.cam --minutes 10`, in real time. Exit status 1 when a figure misses its limit.
"""

import itertools
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.soak.gauges import Before, Gauge, MemoryReading, memory, read
from realtime.cam.filesound import blocks_of
from realtime.cam.modes import Mode
from realtime.cam.output import Picture
from realtime.clock import Clock, MonotonicClock
from realtime.devices.api import OnBlock, OnLost
from realtime.media import BLOCK_MS, FrameKind

CHANGE_S: Final = 60.0
"""Between two changes of the mode; shorter where the whole run would not show every mode twice."""
GONE_EVERY, GONE_AFTER, GONE_S = 1.5, 0.75, 5.0
"""The camera goes for 5 s, every 1.5 changes, for the first time after 0.75 of one."""
MODES: Final = (Mode.THROUGH, Mode.PHOTO, Mode.DUB, Mode.AWAY)
PPM: Final = 50.0
READ_S: Final = 0.5
SETTLED_S: Final = 6.0
"""After a change or a return, until the delay of the sound counts."""
MEMORY_MIN: Final = 5.0
MISSED_PERCENT, SKEW_MS, DRIFT_MS = 2.0, 40.0, 10.0


class OffClockSound:
    """A `SoundSource` that plays a file's sound, over and over, by a clock that runs `ppm` fast."""

    def __init__(self, path: Path, ppm: float, round_ms: float | None = None) -> None:
        self._path, self._round_ms = path, round_ms
        self._block_ms = BLOCK_MS / (1.0 + ppm * 1e-6)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_block: OnBlock, on_lost: OnLost | None = None) -> None:
        """Start to play."""
        self._thread = threading.Thread(target=self._run, args=(on_block,), name="off-clock sound", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. Idempotent."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self, on_block: OnBlock) -> None:
        begin_ms = time.monotonic() * 1000.0
        for index, block in enumerate(blocks_of(self._path, self._round_ms)):
            taken_ms = begin_ms + index * self._block_ms
            wait_ms = taken_ms + self._block_ms - time.monotonic() * 1000.0
            if self._closed.wait(max(0.0, wait_ms) / 1000.0):
                return
            on_block(block, taken_ms)


@dataclass
class CamSeen:
    """What was seen of one mode.

    Attributes:
        seconds: time that it lasted, in s.
        due: pictures that should have left.
        new: pictures that left and were no repeats.
        skew_ms: skew of each without its sign, in ms.
        cpu_s: CPU time of the process, in s.
    """

    seconds: float = 0.0
    due: float = 0.0
    new: int = 0
    skew_ms: "array[float]" = field(default_factory=lambda: array("f"))
    cpu_s: float = 0.0

    @property
    def missed_percent(self) -> float:
        """Share of the pictures that were due and did not leave, in percent."""
        return 100.0 * max(0.0, 1.0 - self.new / max(1.0, self.due))


class CamWatch:
    """Count by mode what leaves; everything on the event loop."""

    def __init__(self) -> None:
        self.modes: defaultdict[Mode, CamSeen] = defaultdict(CamSeen)
        self.mode = Mode.THROUGH
        self.readings: list[MemoryReading] = []
        self.lag_ms: defaultdict[Mode, array[float]] = defaultdict(lambda: array("f"))

    def see(self, picture: Picture) -> None:
        """Count a picture that leaves."""
        seen = self.modes[self.mode]
        seen.skew_ms.append(abs(picture.skew_ms))
        seen.new += picture.kind is not FrameKind.REPEATED


@dataclass(frozen=True, slots=True)
class SoakStep:
    """One thing that happens in a long run.

    Attributes:
        at_s: when, in s of the run.
        mode: mode that is chosen; None when it stays.
        camera: True when the camera comes, False when it goes, None when neither.
    """

    at_s: float
    mode: Mode | None = None
    camera: bool | None = None


def plan(seconds: float) -> list[SoakStep]:
    """Return all that happens, in order; the run begins in THROUGH with the camera."""
    change_s = min(CHANGE_S, seconds / 8.0)
    steps = [SoakStep(change_s * i, mode=MODES[i % 4]) for i in range(1, int(seconds / change_s + 0.5))]
    for number in itertools.count():
        gone_s = change_s * (GONE_AFTER + GONE_EVERY * number)
        if gone_s + GONE_S >= seconds:
            break
        steps += [SoakStep(gone_s, camera=False), SoakStep(gone_s + min(GONE_S, change_s / 4.0), camera=True)]
    return sorted(steps, key=lambda step: step.at_s)


async def watch(call: Any, camera: Any, seconds: float, seen: CamWatch, clock: Clock | None = None) -> None:
    """Follow the plan for `seconds` with a call that runs already; `camera` has `gone` and `given`.

    `clock` is the machine's own unless given.
    """
    clock = clock or MonotonicClock()
    began, cpu, given = clock.now_ms() / 1000.0, time.process_time(), camera.given
    steps, changed, last = plan(seconds), began, began
    while (now := clock.now_ms() / 1000.0) - began < seconds:
        while steps and steps[0].at_s <= now - began:
            step, changed = steps.pop(0), now
            if step.camera is not None:
                camera.gone = not step.camera
            elif step.mode is not None:
                refused = call.choose(step.mode)
                assert refused is None, refused
                seen.mode = step.mode
        await clock.sleep_until((now + READ_S) * 1000.0)
        now = clock.now_ms() / 1000.0
        row, made = seen.modes[seen.mode], call.path.engine.pinned or camera.gone
        row.seconds += now - last
        # Real pictures are due as the camera gives them, made ones in their own time.
        row.due += (now - last) * camera.fps if made else camera.given - given
        row.cpu_s += time.process_time() - cpu
        last, cpu, given = now, time.process_time(), camera.given
        if now - changed > SETTLED_S and not camera.gone:
            seen.lag_ms[seen.mode].append(call.path.sound.lag_ms)
        seen.readings.append(read((now - began) / 3600.0))


def drift_ms(values: Sequence[float]) -> float:
    """Return how far the median of the last third lies from that of the first."""
    third = max(1, len(values) // 3)
    return abs(float(np.median(values[-third:]) - np.median(values[:third])))


def figures(seen: CamWatch, before: Before, errors: int) -> list[Gauge]:
    """Return all figures and their limits."""
    found = []
    for mode, row in seen.modes.items():
        found += [
            Gauge(f"{mode.value}: pictures missed of {row.due:.0f}", row.missed_percent, "%", MISSED_PERCENT),
            Gauge(f"{mode.value}: |skew| p95", float(np.percentile(row.skew_ms, 95)), "ms", SKEW_MS),
            Gauge(f"{mode.value}: CPU", row.cpu_s / max(row.seconds, 1e-6), "cores"),
        ]
        lags = seen.lag_ms[mode]
        if len(lags) >= 6:
            found.append(Gauge(f"{mode.value}: delay of the sound", float(np.median(lags)), "ms"))
            # Nothing is heard in AWAY: its delay is that of silence made here.
            if mode is not Mode.AWAY:
                found.append(Gauge(f"{mode.value}: drift of that delay", drift_ms(lags), "ms", DRIFT_MS))
    due = sum(row.due for row in seen.modes.values())
    missed = 100.0 * max(0.0, 1.0 - sum(row.new for row in seen.modes.values()) / max(1.0, due))
    found.append(Gauge(f"pictures missed of all {due:.0f}", missed, "%", MISSED_PERCENT))
    found += memory_figures(seen.readings)
    threads, fds = before.left()
    for name in threads:
        print(f"left: {name}")
    return [
        *found,
        Gauge("renderer's faults", errors, "", 0.0),
        Gauge("threads left", len(threads), "", 0.0),
        Gauge("file descriptors left", fds, "", 0.0),
    ]


def memory_figures(readings: Sequence[MemoryReading]) -> list[Gauge]:
    """Return how memory went; nothing where the run was too short to tell: each mode fills something once."""
    if not readings or (readings[-1].hours - readings[0].hours) * 60.0 < MEMORY_MIN:
        print(f"memory: a run of less than {MEMORY_MIN:g} minutes does not tell")
        return []
    found = memory(readings)
    return [
        Gauge("memory: slope", found.slope_mb_h, "MiB/h"),
        Gauge(f"memory: growth in the last {found.hours * 60.0:.1f} min", found.growth_mb, "MiB", found.limit_mb),
        Gauge("memory: most", max(reading.rss_mb for reading in readings), "MiB"),
    ]
