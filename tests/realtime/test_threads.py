"""A thread's work is over before the cancellation of its caller goes on."""

import asyncio
import threading

import pytest

from realtime.threads import in_thread, opened_in_thread


class Slow:
    """Work that lasts until it is let go."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()
        self.log: list[str] = []

    def work(self) -> str:
        self.began.set()
        assert self.go.wait(60.0)
        self.log.append("worked")
        return "opened"

    def close(self, what: str) -> None:
        self.log.append(f"closed what was {what}")


async def begun(slow: Slow) -> None:
    while not slow.began.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_the_result_and_the_exception_come_through() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


async def test_a_cancelled_caller_waits_for_the_thread_however_often_it_is_cancelled() -> None:
    slow = Slow()
    task = asyncio.create_task(in_thread(slow.work))
    await begun(slow)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done() and not slow.log
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.log == ["worked"]


async def test_what_was_opened_for_nobody_is_closed() -> None:
    slow = Slow()
    task = asyncio.create_task(opened_in_thread(slow.work, slow.close))
    await begun(slow)
    task.cancel()
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.log == ["worked", "closed what was opened"]


@pytest.mark.parametrize("ends", [None, KeyboardInterrupt])
def test_the_end_of_the_loop_waits_for_the_thread_of_a_task_that_was_left(ends: type[BaseException] | None) -> None:
    """`asyncio.run` cancels every task at its end: one made by `asyncio.to_thread` would count as done."""
    slow = Slow()

    async def user() -> None:
        try:
            await in_thread(slow.work)
        finally:
            slow.log.append("closed")

    async def main() -> None:
        left = asyncio.ensure_future(user())
        await begun(slow)
        left.add_done_callback(lambda _: None)
        threading.Timer(0.1, slow.go.set).start()
        if ends is not None:
            raise ends

    if ends is None:
        asyncio.run(main())
    else:
        with pytest.raises(ends):
            asyncio.run(main())
    assert slow.log == ["worked", "closed"]
