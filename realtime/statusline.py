"""The line at the bottom of a terminal that says what goes on; in a log, a line of its own now and then."""

import sys
import time
from typing import Final, TextIO

_BAR: Final = 30


class StatusLine:
    """A line of text that each new one replaces.

    On a stream that is no terminal nothing can be replaced: there a text becomes a line of its own when its mark is
    another than that of the line before.
    """

    def __init__(self, stream: TextIO | None = None, *, prefix: str = "", every_s: float = 0.0) -> None:
        """Write to `stream`, by default standard error.

        Args:
            stream: a terminal or anything else.
            prefix: what the lines begin with where there is no terminal.
            every_s: least time between two texts of one mark on a terminal.
        """
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._prefix, self._every_s = prefix, every_s
        self._mark: object = None
        self._width = 0  # of the text that stands there
        self._shown_at = float("-inf")

    def show(self, text: str, mark: object, *, share: float | None = None) -> None:
        """Show `text`.

        Args:
            text: without a line break.
            mark: the stage to which the text belongs; None when it is worth no line of its own.
            share: part of the work that is done (0..1), drawn as a bar on a terminal.
        """
        new = mark is not None and mark != self._mark
        now = time.monotonic()
        if share is not None and self._terminal:
            text = f"[{'#' * round(share * _BAR):<{_BAR}}] {text}"
        if self._terminal and (new or now - self._shown_at >= self._every_s):
            self._write(f"\r{text:<{self._width}}")
            self._width, self._shown_at = len(text), now
        elif not self._terminal and new:
            self._write(f"{self._prefix}{text}\n")
        if new:
            self._mark = mark

    def say(self, text: str) -> None:
        """Write a line that stays, above the one that is replaced."""
        self.clear()
        self._write(f"{text}\n")

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            self._write(f"\r{'':<{self._width}}\r")
            self._width = 0

    def end(self) -> None:
        """Leave the line as it is and go on below it."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
