"""Tasks that end together."""

import asyncio
from collections.abc import Awaitable


async def first_to_end(*work: Awaitable[object], timeout_s: float | None = None) -> None:
    """Run `work` side by side until one of it ends or `timeout_s` is over; cancel the rest and wait for its end.

    Raises:
        Exception: whatever ended first raised.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        # In the order of `work`: where two end at once, it is no matter of chance whose error is raised.
        for task in tasks:
            if task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
