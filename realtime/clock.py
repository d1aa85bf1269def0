"""Monotonic time in ms, real or made by hand for tests."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

_CATCH_UP_MS: Final = 500.0
"""Delay in ms above which work that was missed is skipped: the machine slept."""


class Clock(Protocol):
    """A monotonic clock in ms that one can wait on."""

    def now_ms(self) -> float:
        """Return monotonic time in ms; its zero has no meaning."""

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `now_ms() >= when_ms`; return at once when that is past."""


class MonotonicClock:
    """The machine's monotonic clock."""

    def now_ms(self) -> float:
        """Return monotonic time in ms."""
        return time.monotonic() * 1000.0

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `when_ms`."""
        await asyncio.sleep(max(0.0, (when_ms - self.now_ms()) / 1000.0))


class FakeClock:
    """A clock that a test sets; `sleep_until` jumps to its time."""

    def __init__(self, now_ms: float = 0.0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> float:
        """Return the time last set."""
        return self._now_ms

    def advance(self, ms: float) -> None:
        """Move time forward by `ms` (not negative)."""
        if ms < 0:
            raise ValueError(f"time cannot go back by {-ms} ms")
        self._now_ms += ms

    async def sleep_until(self, when_ms: float) -> None:
        """Jump to `when_ms` and let other tasks run once."""
        self._now_ms = max(self._now_ms, when_ms)
        await asyncio.sleep(0)


async def beat(
    clock: Clock, interval_ms: float, work: Callable[[float], None], skipped: Callable[[float], None]
) -> None:
    """Call `work(due_ms)` now and every `interval_ms`, until cancelled.

    Calls that are late by up to 500 ms are made up for at once. If they are later, the machine slept, and they are
    skipped: `skipped(ms)` receives the time skipped, a multiple of `interval_ms`.
    """
    due_ms = clock.now_ms()
    while True:
        await clock.sleep_until(due_ms)
        work(due_ms)
        due_ms += interval_ms
        late_ms = clock.now_ms() - due_ms
        if late_ms > _CATCH_UP_MS:
            missed_ms = late_ms // interval_ms * interval_ms
            skipped(missed_ms)
            due_ms += missed_ms
