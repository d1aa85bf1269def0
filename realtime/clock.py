"""Monotonic time in ms, real or made by hand for tests."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tell monotonic time in ms and wait for it."""

    def now_ms(self) -> float:
        """Return monotonic time in ms; the zero point means nothing."""

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `now_ms() >= when_ms`; return at once when that is past."""


class MonotonicClock:
    """Tell the machine's monotonic time."""

    def now_ms(self) -> float:
        """Return monotonic time in ms."""
        return time.monotonic() * 1000.0

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `when_ms`."""
        await asyncio.sleep(max(0.0, (when_ms - self.now_ms()) / 1000.0))


class FakeClock:
    """Tell the time that a test sets; `sleep_until` jumps there."""

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
