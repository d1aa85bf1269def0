"""Do jobs in processes that may die without taking the run along."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic, TypeVar, cast

Job = TypeVar("Job")
Result = TypeVar("Result")

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Failure:
    """One line on why a job gave no result."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Worker(Generic[Job]):
    process: BaseProcess
    pipe: Connection


def work_off(
    jobs: Iterable[Job], work: Callable[[Job], Result], workers: int, expected: tuple[type[Exception], ...] = ()
) -> Iterator[tuple[Job, Result | Failure]]:
    """Yield every job with what `work` returned for it, as they are done, `workers` at a time in own processes.

    A job whose process dies (a decoder that crashes, memory that runs out) gives a `Failure`, and a new process takes
    over. Jobs are asked for one at a time, when a process is free. When the caller stops, all processes end.

    Args:
        jobs: what to do; each can be pickled.
        work: a function at the top of a module.
        workers: how many processes.
        expected: exceptions whose text is the reason; of others it is the type and the place as well.
    """
    context = multiprocessing.get_context("spawn")
    pending, running = iter(jobs), dict[Connection, tuple[_Worker[Job], Job]]()
    idle: list[_Worker[Job]] = []
    try:
        while True:
            while len(running) < workers and (job := next(pending, None)) is not None:
                worker = idle.pop() if idle else _start(context, work, expected)
                worker.pipe.send(job)
                running[worker.pipe] = worker, job
            if not running:
                return
            for ready in wait(list(running)):
                worker, job = running.pop(cast(Connection, ready))
                try:
                    result = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    result = Failure(f"the process that read it died ({_death(worker.process.exitcode)})")
                else:
                    idle.append(worker)
                yield job, result
    finally:
        for worker in [*idle, *(worker for worker, _ in running.values())]:
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()


def _start(context: Any, work: Callable[[Any], Any], expected: tuple[type[Exception], ...]) -> _Worker[Any]:
    ours, theirs = context.Pipe()
    # One thread each: the processes already fill the machine.
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        process = context.Process(target=_serve, args=(theirs, work, expected), daemon=True)
        process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection, work: Callable[[Any], Any], expected: tuple[type[Exception], ...]) -> None:
    # Ctrl-C reaches the whole group; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            result = work(job)
        except expected as error:
            result = Failure(" ".join(str(error).split()))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            result = Failure(f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})")
        pipe.send(result)


def _death(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
