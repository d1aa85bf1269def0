"""What a long call is judged by: memory over time, what is left at the end, figures against their limits."""

import gc
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WARM_SHARE = 0.2
SLACK_MB = 8.0
"""What a flat process may still gain: the allocator's arenas and the bounded queues, filled once."""
MB_PER_HOUR = 10.0


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """One reading of the process's gauges.

    Attributes:
        hours: time of the call, in h.
        rss_mb: resident memory, in MiB.
        threads: count of Python threads.
        fds: count of open file descriptors.
    """

    hours: float
    rss_mb: float
    threads: int
    fds: int


def read(hours: float) -> MemoryReading:
    """Read this process's gauges; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return MemoryReading(hours, pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threading.active_count(), open_fds())


def open_fds() -> int:
    """Return how many file descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory after the warm-up, in MiB and h.

    Attributes:
        slope_mb_h: slope by least squares.
        growth_mb: slope times length.
        hours: length of what was measured.
        first_mb: memory at its beginning.
        last_mb: memory at its end.
    """

    slope_mb_h: float
    growth_mb: float
    hours: float
    first_mb: float
    last_mb: float

    @property
    def limit_mb(self) -> float:
        """Most growth that still counts as flat over that time."""
        return SLACK_MB + MB_PER_HOUR * self.hours


def memory(readings: Sequence[MemoryReading], warm_share: float = WARM_SHARE) -> Memory:
    """Fit the memory of the call after its first part, in which models load and queues fill.

    Raises:
        ValueError: fewer than three readings are left.
    """
    warm = readings[int(len(readings) * warm_share) :]
    if len(warm) < 3:
        raise ValueError("a slope needs at least three readings after the warm-up: let the soak run longer")
    hours = np.array([reading.hours for reading in warm])
    rss = np.array([reading.rss_mb for reading in warm])
    slope = float(np.polyfit(hours - hours[0], rss, 1)[0])
    length = float(hours[-1] - hours[0])
    return Memory(slope, slope * length, length, float(rss[0]), float(rss[-1]))


@dataclass(frozen=True, slots=True)
class Before:
    """The threads and descriptors that were there before a call, to find what it leaves."""

    threads: frozenset[threading.Thread] = field(default_factory=lambda: frozenset(threading.enumerate()))
    fds: int = field(default_factory=open_fds)

    def left(self, patience_s: float = 5.0) -> tuple[list[str], int]:
        """Return names of the threads that a call left and how many descriptors, once that does not fall any more."""
        until = time.monotonic() + patience_s
        while True:
            gc.collect()
            threads = [t.name for t in threading.enumerate() if t not in self.threads and t.is_alive()]
            fds = max(0, open_fds() - self.fds)
            if (not threads and not fds) or time.monotonic() > until:
                return threads, fds
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure and its limit.

    Attributes:
        name: what was measured.
        value: what came out.
        unit: unit of the value; "" for counts.
        limit: largest value that is good; None when any is.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def met(self) -> bool:
        """True when the figure is within its limit; what is not a number never is."""
        return self.limit is None or self.value <= self.limit

    def line(self) -> str:
        """Return a row for people."""
        if self.limit is None:
            return f"{self.name:52s} {self.value:10.2f} {self.unit}"
        verdict = "" if self.met else "  MISSED"
        return f"{self.name:52s} {self.value:10.2f} {self.unit:6s} at most {self.limit:8.2f}{verdict}"
