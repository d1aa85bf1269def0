"""How busy this machine is beside a test: what busy processors do to a call is not the network's doing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PRESSURE = Path("/proc/pressure/cpu")
_MOST = 0.5


class Load:
    """Tell the share of time in which some process waited for a processor, since this was made (Linux PSI).

    A call alone on two cores: 0.2 to 0.4. Where the kernel does not say it counts as 0, and limits are judged.
    """

    def __init__(self) -> None:
        self._began_s, self._waited_us = time.monotonic(), self._total_us()

    @property
    def share(self) -> float:
        """Return the share, 0..1."""
        waited_s = (self._total_us() - self._waited_us) / 1e6
        return waited_s / max(1e-3, time.monotonic() - self._began_s)

    @property
    def too_high(self) -> bool:
        """Return whether figures of time say more about this machine than about the call."""
        return self.share > _MOST

    @contextmanager
    def excuses(self) -> Iterator[None]:
        """Skip the test where a wait inside takes too long on a machine that had no time for it."""
        try:
            yield
        except AssertionError as error:
            if self.too_high:
                pytest.skip(f"{self}: {error}")
            raise

    def __str__(self) -> str:
        return f"some process waited for a processor in {self.share:.0%} of the time"

    @staticmethod
    def _total_us() -> int:
        try:
            some = _PRESSURE.read_text().splitlines()[0]
        except (OSError, IndexError):
            return 0
        return int(some.rpartition("total=")[2])
