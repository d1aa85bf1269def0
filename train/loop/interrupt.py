"""Ctrl-C and SIGTERM as a request to stop after the step at hand."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final

from realtime.ending import end_in_time

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Note that a signal asked to stop; the signals' own handlers come back when the context ends.

    torchrun sends every signal a second time to its processes, so that further ones change nothing: SIGKILL ends a
    process that does not answer. In another thread than the main one, which gets no signals, it notes nothing.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.asked = False
        self._report = report
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            # A step or an evaluation that takes too long is given up; the checkpoint before it stands.
            end_in_time()
            self._report("stopping after this step; a checkpoint is written")
