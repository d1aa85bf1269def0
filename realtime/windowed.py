"""The least of the newest values of a stream, in constant time per value. Pure."""

from collections import deque


class WindowedMin:
    """The least value of the last `window_ms`, counted back from the newest value. Not thread-safe.

    Memory holds the values that may still become the least: in the order in which they came they rise. Times in ms of
    one clock, which does not go back.
    """

    def __init__(self, window_ms: float) -> None:
        self._window_ms = window_ms
        self._rising: deque[tuple[float, float]] = deque()

    @property
    def least(self) -> float | None:
        """The least value of the window; None before the first one."""
        return self._rising[0][1] if self._rising else None

    def add(self, value: float, now_ms: float) -> float:
        """Add `value`, measured at `now_ms`, forget what has left the window, and return the least value."""
        # An older value that is not below this one leaves the window first, so it can never be the least again.
        while self._rising and self._rising[-1][1] >= value:
            self._rising.pop()
        self._rising.append((now_ms, value))
        while self._rising[0][0] < now_ms - self._window_ms:
            self._rising.popleft()
        return self._rising[0][1]

    def clear(self) -> None:
        """Forget all values."""
        self._rising.clear()
