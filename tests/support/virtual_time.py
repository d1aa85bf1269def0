"""Event loops whose time is made by hand: what waits costs nothing, and a busy machine changes nothing."""

import asyncio
import functools
import selectors
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
