"""Single keys from the terminal while a command runs, and a terminal that is as it was when it ends."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TextIO

_POLL_S: Final = 0.05


class Keys:
    """Call `pressed` with each key on the event loop, while the context lasts; without a terminal do nothing.

    Ctrl-C stays Ctrl-C. The terminal's settings are put back at the end, whatever that end is.
    """

    def __init__(self, pressed: Callable[[str], None], stream: TextIO | None = None) -> None:
        self._pressed = pressed
        self._stream = stream or sys.stdin
        self._before: Any = None
        self._task: asyncio.Task[None] | None = None
        self.active = False
        """Whether keys are read."""

    async def __aenter__(self) -> Self:
        """Begin to read keys, where there is a terminal."""
        if not self._is_terminal():
            return self
        if sys.platform == "win32":
            self._task = asyncio.create_task(self._poll())
            self.active = True
            return self
        import termios
        import tty

        descriptor = self._stream.fileno()
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            return self  # in the background: reading would stop us
        self._before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
        asyncio.get_running_loop().add_reader(descriptor, self._read)
        self.active = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the terminal back."""
        self.active = False
        if self._task is not None:
            self._task.cancel()
        if self._before is not None:
            import termios

            descriptor = self._stream.fileno()
            asyncio.get_running_loop().remove_reader(descriptor)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, self._before)
            self._before = None

    def _is_terminal(self) -> bool:
        with contextlib.suppress(ValueError, OSError):
            return self._stream.isatty()
        return False

    def _read(self) -> None:
        try:
            typed = os.read(self._stream.fileno(), 32)
        except OSError:
            typed = b""
        if not typed:
            asyncio.get_running_loop().remove_reader(self._stream.fileno())
            return
        text = typed.decode(errors="ignore")
        if not text.startswith("\x1b"):  # arrows and function keys mean nothing here
            for key in text:
                self._pressed(key)

    async def _poll(self) -> None:
        import msvcrt

        console: Any = msvcrt
        while True:
            while console.kbhit():
                self._pressed(console.getwch())
            await asyncio.sleep(_POLL_S)
