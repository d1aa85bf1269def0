"""The time a run has taken and may take."""

import time

from train.loop.distributed import Place, largest


class Budget:
    """Measure the time a run has taken, over all its parts, against what it may take."""

    def __init__(self, limit_s: float | None, spent_s: float) -> None:
        self.limit_s = limit_s
        self._start = time.monotonic() - spent_s
        self.spent_s = spent_s

    def update(self, stop: bool, place: Place) -> bool:
        """Bring `spent_s` up to date and return whether any process was asked to stop, the same in all of them."""
        self.spent_s, stops = largest([time.monotonic() - self._start, float(stop)], place)
        return stops > 0

    @property
    def share(self) -> float:
        """Part of the budget that is spent; 0 without one."""
        return self.spent_s / self.limit_s if self.limit_s else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a budget."""
        return None if self.limit_s is None else self.limit_s - self.spent_s
