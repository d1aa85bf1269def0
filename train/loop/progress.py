"""What a run says while it goes: a line now and then, and curves on the board."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor

from train.loop.board import Board

POINT_STEPS: Final = 50
LINE_S: Final = 10.0


class Progress:
    """Average what steps show, and tell it. Used by the first process of a run alone."""

    def __init__(self, steps: int, board: Board, report: Callable[[str], None]) -> None:
        """Tell `report` and `board` about a run of `steps` in all."""
        self._steps, self._board, self._report = steps, board, report
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._told_at, self._told_step = time.monotonic(), -1

    def show(self, step: int, shown: Mapping[str, Tensor], rate: float, left_s: float | None) -> None:
        """Take in what step number `step` (1 is the first) showed; a point every 50 steps, a line every 10 seconds.

        Args:
            step: steps done.
            shown: scalars by name; they stay on their device until a point is made of them.
            rate: learning rate.
            left_s: seconds left of the time budget, None without one.
        """
        if self._told_step < 0:
            self._told_step = step - 1
        for name, value in shown.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        if step % POINT_STEPS and step != self._steps:
            return
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._board.scalars(step, means | {"rate": rate})
        self._sums, self._counts = {}, {}
        if (now := time.monotonic()) - self._told_at >= LINE_S or step == self._steps:
            self._report(self._line(step, means, now, left_s))
            self._told_at, self._told_step = now, step

    def _line(self, step: int, means: Mapping[str, float], now: float, left_s: float | None) -> str:
        speed = (step - self._told_step) / max(now - self._told_at, 1e-9)
        left = (self._steps - step) / max(speed, 1e-9)
        if left_s is not None:
            left = min(left, left_s)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        return f"step {step}/{self._steps}  {speed:.2f} steps/s  {clock(left)} left  {losses}"


def clock(seconds: float) -> str:
    """Return a time span as h:mm:ss."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
