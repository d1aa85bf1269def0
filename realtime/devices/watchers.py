"""A watched device on two threads: one reads it, one passes the data on, so that a slow listener blocks nothing."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from realtime.devices.api import DeviceError, OnLost
from realtime.devices.watch import Handover, Reading, Watch

Item = TypeVar("Item")


class Watching(Generic[Item]):
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
