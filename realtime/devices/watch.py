"""Keep a device running: read it, report once when nothing comes any more, and reopen it until it is back.

`Watch` decides, a step at a time, without threads or clocks. `WatchThreads` runs it on one thread and passes the data
on by another, through a `Handover`, so that a slow listener blocks nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from realtime.devices.api import DeviceError, Fault, OnLost

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
        self._changed = threading.Condition()
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


class WatchThreads(Generic[Item]):
    """Run one device from `start` to `close`; data are passed on by a thread of their own."""

    def __init__(self, depth: int = 1, *, patience_s: float) -> None:
        """Keep `depth` items for a slow listener; `close` waits up to `patience_s` for each thread."""
        self._patience_s = patience_s
        self._handover: Handover[Item] = Handover(depth)
        self._watch: Watch[Item] | None = None
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return bool(self._threads)

    @property
    def dropped(self) -> int:
        """Number of items that were replaced by newer ones."""
        return self._handover.dropped

    @property
    def outages(self) -> int:
        """Number of times that the device stopped giving data."""
        return self._watch.outages if self._watch is not None else 0

    def start(
        self,
        reading: Reading[Item],
        again: Callable[[], Reading[Item]],
        on_item: Callable[[Item], None],
        on_lost: OnLost | None,
        *,
        name: str,
        threads: tuple[str, str],
    ) -> None:
        """Begin with an open device; `threads` names the thread that reads and the one that passes data on."""
        put = self._handover.put
        now_ms = time.monotonic() * 1000.0
        self._watch = Watch(reading, again, put, put, name=name, now_ms=now_ms)
        self._threads = [
            threading.Thread(target=self._read, args=(self._watch,), name=threads[0], daemon=True),
            threading.Thread(target=self._give, args=(on_item, on_lost), name=threads[1], daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop and let go of the device. Idempotent."""
        self._closed.set()
        self._handover.close()
        for thread in self._threads:
            # A thread that gives may be the one that closes.
            if thread is not threading.current_thread():
                thread.join(timeout=self._patience_s)

    def _read(self, watch: Watch[Item]) -> None:
        while not self._closed.is_set():
            wait_ms = watch.step(time.monotonic() * 1000.0)
            if wait_ms > 0.0:
                self._closed.wait(wait_ms / 1000.0)
        watch.close()

    def _give(self, on_item: Callable[[Item], None], on_lost: OnLost | None) -> None:
        while (given := self._handover.take()) is not None:
            if not isinstance(given, DeviceError):
                on_item(given)
            elif on_lost is not None:
                on_lost(given)
