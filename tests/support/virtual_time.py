"""Time made by hand, in which a busy machine changes nothing; and the machine's own, less its stalls."""

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from realtime.clock import Clock

P = ParamSpec("P")


class _Leaping(selectors.SelectSelector):
    """A selector that moves its own time forward where others wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the test waits for ever: no task can run and no timer is set")
        self.now_s += max(0.0, timeout)
        return super().select(0.0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Go from each timer to the next at once. For tasks of one loop only: it waits for no thread and no socket."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the time in s; it begins at 0."""
        return self._leaping.now_s

    def stall(self, seconds: float) -> None:
        """Let time pass while no task runs, as on a machine that stands still."""
        self._leaping.now_s += seconds


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a virtual loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class LoopClock(Clock):
    """Tell the time of the loop that runs, in ms."""

    def now_ms(self) -> float:
        """Return the loop's time in ms."""
        return asyncio.get_running_loop().time() * 1000.0

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `when_ms`."""
        await asyncio.sleep(max(0.0, (when_ms - self.now_ms()) / 1000.0))


class PatientClock(Clock):
    """Tell the machine's time in ms, less its stalls: from one look to the next at most `most_ms` pass.

    Tasks that look at it every 20 ms see the same on a machine that others hold up as on an idle one.
    """

    def __init__(self, most_ms: float = 25.0) -> None:
        self._most_ms = most_ms
        self._now_ms = 0.0
        self._looked_s = time.monotonic()

    def now_ms(self) -> float:
        """Return the time in ms; it begins at 0."""
        now_s = time.monotonic()
        self._now_ms += min(self._most_ms, (now_s - self._looked_s) * 1000.0)
        self._looked_s = now_s
        return self._now_ms

    async def sleep_until(self, when_ms: float) -> None:
        """Wait until `when_ms`."""
        while (wait_ms := when_ms - self.now_ms()) > 0.0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait_ms, self._most_ms) / 1000.0)
