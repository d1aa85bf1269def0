"""Batches prepared while the networks learn from the ones before."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from train.loop.distributed import Place
from train.loop.task import Batch, Task


class Ahead:
    """Prepare the next batch in a thread while the networks learn from this one."""

    def __init__(self, task: Task, place: Place, steps: Iterable[int]) -> None:
        """Begin with the first of `steps`, whose batches will be taken one after the other."""
        self._task, self._place, self._steps = task, place, iter(steps)
        self._pool = ThreadPoolExecutor(1, "batch")
        self._next: Future[Batch] | None = None
        self._begin()

    def take(self) -> Batch:
        """Return the batch of the next step on the device and begin with the one after it.

        Raises:
            IndexError: every step had its batch.
            Exception: whatever the task raised over this one.
        """
        if self._next is None:
            raise IndexError("every step had its batch")
        batch = self._next.result()
        self._begin()
        return {key: value.to(self._place.device, non_blocking=True) for key, value in batch.items()}

    def settle(self) -> None:
        """Wait until the task is not preparing any more."""
        if self._next is not None:
            self._next.exception()

    def _begin(self) -> None:
        step = next(self._steps, None)
        self._next = None if step is None else self._pool.submit(self._prepare, step)

    def _prepare(self, step: int) -> Batch:
        batch = self._task.batch(step, self._place.rank, self._place.world)
        return {key: value.pin_memory() for key, value in batch.items()} if self._place.device.type == "cuda" else batch

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
