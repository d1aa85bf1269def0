"""Keep a device running: read it, report once when nothing comes any more, and reopen it until it is back. Pure."""

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Final, Generic, Protocol, TypeVar

from realtime.devices.api import DeviceError, Fault

_STALL_MS: Final = 1000.0
"""Time without data after which a stall is reported."""
_REOPEN_MS: Final = 3000.0
"""Time without data after which the device is reopened."""
_RETRY_MS: Final = 1000.0
"""Interval at which a device that is gone is looked for."""
_IDLE_MS: Final = 2.0
"""Wait between two reads of a device that has no data."""


class Restarted(DeviceError):
    """Raised when a device must be reopened at once because the system listed its devices again; this is no outage."""


Item = TypeVar("Item")
Given = TypeVar("Given", covariant=True)


class Reading(Protocol[Given]):
    """An opened device that is read."""

    def read(self) -> Given | None:
        """Return new data, or None when there is none yet; raises DeviceError when the device is gone."""

    def close(self) -> None:
        """Let go of it. Idempotent."""


class Watch(Generic[Item]):
    """Run one device, a step at a time. Not thread-safe; times are arguments.

    Attributes:
        outages: number of times that the device stopped giving data.
    """

    def __init__(
        self,
        reading: Reading[Item],
        again: Callable[[], Reading[Item]],
        on_item: Callable[[Item], None],
        on_lost: Callable[[DeviceError], None],
        *,
        name: str,
        now_ms: float,
    ) -> None:
        """Begin with an open device; `again` finds and reopens it or raises DeviceError."""
        self.outages = 0
        self._reading: Reading[Item] | None = reading
        self._again, self._on_item, self._on_lost, self._name = again, on_item, on_lost, name
        self._told = False
        self._last_ms = self._opened_ms = now_ms
        self._try_ms = now_ms

    def step(self, now_ms: float) -> float:
        """Do what is due at `now_ms`; return the time to wait before the next step, in ms."""
        if self._reading is None:
            return self._look(now_ms)
        try:
            item = self._reading.read()
        except Restarted:
            self.close()
            self._try_ms = now_ms
            return 0.0
        except DeviceError as error:
            self._drop(now_ms)
            self._tell(error)
            return _IDLE_MS
        if item is not None:
            self._last_ms, self._told = now_ms, False
            self._on_item(item)
            return 0.0
        quiet_ms = now_ms - self._last_ms
        if quiet_ms >= _STALL_MS:
            self._tell(DeviceError(Fault.STALLED, f"{self._name} gives nothing any more: waiting for it"))
        if min(quiet_ms, now_ms - self._opened_ms) >= _REOPEN_MS:
            self._drop(now_ms)
        return _IDLE_MS

    def close(self) -> None:
        """Let go of the device."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _look(self, now_ms: float) -> float:
        if now_ms < self._try_ms:
            # In short waits, so that whoever closes need not wait for long.
            return min(50.0, self._try_ms - now_ms)
        self._try_ms = now_ms + _RETRY_MS
        try:
            self._reading = self._again()
        except DeviceError:
            return _IDLE_MS
        self._opened_ms = now_ms
        return 0.0

    def _drop(self, now_ms: float) -> None:
        self.close()
        self._try_ms = now_ms + _RETRY_MS / 4.0

    def _tell(self, error: DeviceError) -> None:
        if not self._told:
            self._told = True
            self.outages += 1
            self._on_lost(error)


class Handover(Generic[Item]):
    """A mailbox that passes items and losses from one thread to another; of items in a row it keeps only the newest.

    Attributes:
        dropped: number of items that were replaced by newer ones.
    """

    def __init__(self, depth: int = 1) -> None:
        """Keep `depth` items in a row."""
        self.dropped = 0
        self._depth = depth
        self._waiting: deque[Item | DeviceError] = deque()
        self._changed = Condition()
        self._closed = False

    def put(self, item: Item | DeviceError) -> None:
        """Add an item; never waits."""
        with self._changed:
            row = 0
            for waiting in reversed(self._waiting):
                if isinstance(waiting, DeviceError):
                    break
                row += 1
            if isinstance(item, DeviceError):
                # A loss that nobody has heard of yet is enough.
                if any(isinstance(waiting, DeviceError) for waiting in self._waiting):
                    return
            elif row >= self._depth:
                del self._waiting[len(self._waiting) - row]
                self.dropped += 1
            self._waiting.append(item)
            self._changed.notify()

    def take(self) -> Item | DeviceError | None:
        """Wait for the next item; return None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            return None if self._closed else self._waiting.popleft()

    def close(self) -> None:
        """Wake whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
