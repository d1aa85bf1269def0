"""Work on threads that is waited for, whatever becomes of the task that asked for it."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_thread(
    work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
) -> Result:  # fmt: skip
    """Run `work` on a thread and return its result; when cancelled, wait for its end before the cancellation goes on.

    `asyncio.to_thread` leaves the thread running when its caller is cancelled. What `work` uses (an encoder, a device)
    would then be closed by the caller's `finally` while the thread is still in it.
    """
    running = _started(partial(work, *args, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end_of(running)
        raise


async def opened_in_thread(
    opening: Callable[[], Result], close: Callable[[Result], object]
) -> Result:  # fmt: skip
    """Run `opening` on a thread and return what it opened; when cancelled meanwhile, close that first.

    Args:
        opening: opens something that has to be closed.
        close: closes it; runs on a thread, too.
    """
    running = _started(opening)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end_of(running)
        if not running.cancelled() and running.exception() is None:
            await _end_of(_started(partial(close, running.result())))
        raise


def _started(work: Callable[[], Result]) -> "asyncio.Future[Result]":
    # A future, not a task as of `asyncio.to_thread`: `asyncio.run` cancels every task that is left at its end, and a
    # cancelled task counts as done while its thread still works.
    return asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)


async def _end_of(running: "asyncio.Future[Result]") -> None:
    # Another cancellation changes nothing: the thread cannot be stopped, only waited for.
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({running})
