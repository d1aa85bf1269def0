"""A clock that goes from one sleeper's time to the next, so that an hour of call takes as long as its work."""

import asyncio
import heapq
import math


class StepClock:
    """A `realtime.clock.Clock` that only `advance` moves. Every sleeper wakes exactly at its time, in order."""

    def __init__(self, now_ms: float = 0.0) -> None:
        self._now_ms = now_ms
        self._count = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> float:
        """Return the time."""
        return self._now_ms

    @property
    def sleepers(self) -> int:
        """Count of those who wait."""
        return len(self._sleepers)

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `advance` has come to `when_ms`."""
        if when_ms <= self._now_ms:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_ms, self._count, future))
        self._count += 1
        await future

    async def advance(self, to_ms: float) -> None:
        """Advance to `to_ms`; whoever wakes on the way does its work at its own time.

        Raises:
            ValueError: `to_ms` is past or not finite.
        """
        if not math.isfinite(to_ms) or to_ms < self._now_ms:
            raise ValueError(f"time goes forward only: {to_ms} comes before {self._now_ms}")
        while self._sleepers and self._sleepers[0][0] <= to_ms:
            when_ms, _, future = heapq.heappop(self._sleepers)
            self._now_ms = max(self._now_ms, when_ms)
            if not future.done():
                future.set_result(None)
                # Once for the sleeper, once for what it wakes itself.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        self._now_ms = to_ms
