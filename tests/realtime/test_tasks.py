"""Tasks that end together."""

import asyncio

import pytest

from realtime.tasks import first_to_end


class Log:
    def __init__(self) -> None:
        self.entries: list[str] = []

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.entries.append("ended")


async def test_the_first_end_is_the_end_of_all_and_is_waited_for() -> None:
    log = Log()
    await first_to_end(log.wait(), asyncio.sleep(0), log.wait())
    assert log.entries == ["ended", "ended"]


async def test_what_it_raised_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("first")

    log = Log()
    with pytest.raises(ValueError, match="first"):
        await first_to_end(log.wait(), fail())
    assert log.entries == ["ended"]


async def test_the_end_of_the_time_is_no_error() -> None:
    log = Log()
    await first_to_end(log.wait(), timeout_s=0.0)
    # What has not begun when it is cancelled has nothing to end.
    assert log.entries in ([], ["ended"])


async def test_a_cancelled_caller_cancels_all() -> None:
    log = Log()
    task = asyncio.create_task(first_to_end(log.wait(), log.wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.entries == ["ended", "ended"]
