"""How a command ends: one way out for SIGINT and SIGTERM, and an end that nothing can hold up."""

import asyncio
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

Result = TypeVar("Result")

INTERRUPTED: Final = 130
GRACE_S: Final = 4.5
"""Time for goodbyes and files after the first signal; a command promises to be gone within 5 s."""

_promised = False
_running: "tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None" = None
_asked = False
_ends_s = math.inf


def on_signals() -> None:
    """Make SIGINT and SIGTERM end this process in one way: `finally` blocks run, files are finished, exit code 130.

    Main thread only. A task that `run` runs is cancelled; other code gets KeyboardInterrupt. Later signals change
    nothing: they would cut the cleaning up short. A process that has not ended after `GRACE_S` is ended by force.
    """
    global _asked, _promised, _ends_s
    _asked, _promised, _ends_s = False, True, math.inf
    # Shells start background jobs of a script with SIGINT ignored; SIGTERM must end them all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` as `asyncio.run` does, ended by the signals of `on_signals`.

    Raises:
        KeyboardInterrupt: a signal ended it; its `finally` blocks have run.
    """
    try:
        return asyncio.run(_noted(main))
    except asyncio.CancelledError:
        if _asked:
            raise KeyboardInterrupt from None
        raise


def asked() -> bool:
    """Return whether a signal has asked this process to end."""
    return _asked


def left_s() -> float:
    """Return the seconds until this process is ended; infinite while nothing has asked it to end. Any thread."""
    return _ends_s - time.monotonic()


def end_in_time() -> None:
    """End this process `GRACE_S` from now if it is still there then. Call it when the process is asked to end.

    A thread that hangs in a driver or an encoder would otherwise hold up the interpreter's end for ever. The
    environment's LIPLINE_GRACE_S sets another time, for machines that need longer to finish their files. Without
    `on_signals`, as where our functions are called by another program, nothing happens.
    """
    global _ends_s
    if not _promised:
        return
    grace_s = float(os.environ.get("LIPLINE_GRACE_S", GRACE_S))
    _ends_s = time.monotonic() + grace_s
    timer = threading.Timer(grace_s, _give_up)
    timer.daemon = True
    timer.start()


def leave(code: int) -> NoReturn:
    """End this process with the exit code `code`, also where the exception of a signal was raised in an `exec`.

    Raises:
        SystemExit: always.
    """
    # A KeyboardInterrupt that leaves code compiled from a string, as dataclasses and named tuples are made, marks the
    # interpreter, though it is caught further up: `python -m` then ends by SIGINT and not with its code
    # (run_eval_code_obj in CPython's pythonrun.c, issue 1054041). The next string takes the mark away.
    exec("")
    sys.exit(code)


async def _noted(main: Coroutine[Any, Any, Result]) -> Result:
    global _running
    task = asyncio.current_task()
    assert task is not None
    _running = asyncio.get_running_loop(), task
    try:
        return await main
    finally:
        _running = None


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    global _asked
    if _asked:
        return
    _asked = True
    end_in_time()
    if _running is None:
        raise KeyboardInterrupt
    # An exception raised here would make asyncio cancel all tasks at once, and closing a connection would wait for a
    # task that is no more.
    loop, task = _running
    loop.call_soon_threadsafe(task.cancel)


def _give_up() -> None:
    print("\nlipline: something did not end in time; ended all the same", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
