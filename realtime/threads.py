"""Work on threads that is waited for, whatever becomes of the task that asked for it."""

import asyncio
import contextlib
from collections.abc import Callable
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
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
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
    running = asyncio.ensure_future(asyncio.to_thread(opening))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end_of(running)
        if not running.cancelled() and running.exception() is None:
            await _end_of(asyncio.ensure_future(asyncio.to_thread(close, running.result())))
        raise


async def _end_of(running: "asyncio.Future[Result]") -> None:
    # Another cancellation changes nothing: the thread cannot be stopped, only waited for.
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({running})
