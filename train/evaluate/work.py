"""Measure pairs in several processes; every figure is the same however many there are."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from models.catalog import open_generator
from models.generator import Generator
from train.evaluate.corpus import Corpus
from train.evaluate.crop_mesh import CropMesh
from train.evaluate.measure import Judge, Measured, measure
from train.evaluate.pairs import Pair
from train.evaluate.protocol import Scene, Setting, spoken_over
from train.evaluate.talker import SpokenFrame
from train.prepare.listener import open_listener
from train.prepare.offset import curve


@dataclass(frozen=True, slots=True)
class PairTask:
    """What is measured.

    Attributes:
        models: files of the generators by their names in the table.
        expert: file of the sync expert, or None.
        setting: how.
        corpus: on what.
        listener: file of who finds the offset of real videos (train.prepare.listener), or None.
    """

    models: Mapping[str, Path]
    expert: Path | None
    setting: Setting
    corpus: Corpus
    listener: Path | None = None


class Bench:
    """The open models of one process."""

    def __init__(self, task: PairTask, judge: Judge | None = None) -> None:
        """Open everything on one thread; `judge` replaces the expert's file."""
        cv2.setNumThreads(1)
        self._task = task
        self._generators: dict[str, Generator] = {
            name: open_generator(path, threads=1) for name, path in task.models.items()
        }
        self._judge = judge
        if judge is None and task.expert is not None:
            from train.evaluate.judge import open_judge

            self._judge = open_judge(task.expert)
        self._mesh = CropMesh()

    def measure(self, pair: Pair) -> Measured:
        """Measure a pair."""
        scene = self._task.corpus.scene(pair)
        found = measure(scene, self._generators, self._mesh, self._judge, self._task.setting)
        if self._task.listener is None:
            return found
        listener = open_listener(self._task.listener)
        return replace(found, drift=curve(*listener.embed(self._task.corpus.sample(pair.speech))))

    def show(self, pair: Pair) -> tuple[Scene, dict[str, SpokenFrame]]:
        """Show a pair once more, for the report."""
        scene = self._task.corpus.scene(pair)
        return scene, spoken_over(scene, self._generators, self._task.setting)

    def close(self) -> None:
        """Free the models."""
        self._mesh.close()


class Workers:
    """Measure and show pairs on benches of their own processes, or on one in this process."""

    def __init__(self, bench: Bench | None, pool: ProcessPoolExecutor | None, jobs: int) -> None:
        self._bench, self._pool, self._jobs = bench, pool, jobs

    def measure(self, pairs: Sequence[Pair], progress: Callable[[int, int], None]) -> list[Measured]:
        """Measure pairs; `progress` is told how many of how many are done. The order is that of `pairs`."""
        found = []
        for number, one in enumerate(self._map(_measure, Bench.measure, pairs), 1):
            found.append(one)
            progress(number, len(pairs))
        return found

    def show(self, pairs: Sequence[Pair]) -> list[tuple[Scene, dict[str, SpokenFrame]]]:
        """Show pairs."""
        return list(self._map(_show, Bench.show, pairs))

    def _map(self, remote: Callable[[Pair], Any], local: Callable[[Bench, Pair], Any], pairs: Sequence[Pair]) -> Any:
        if self._bench is not None:
            return (local(self._bench, pair) for pair in pairs)
        assert self._pool is not None
        return _in_order(self._pool, remote, pairs, 2 * self._jobs)


def _in_order(
    pool: ProcessPoolExecutor, remote: Callable[[Pair], Any], pairs: Sequence[Pair], ahead: int
) -> Iterator[Any]:
    """Yield results in order with at most `ahead` pairs under way, so that results do not pile up."""
    waiting: list[Future[Any]] = []
    for pair in pairs:
        waiting.append(pool.submit(remote, pair))
        if len(waiting) > ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


@contextmanager
def workers(task: PairTask, jobs: int, judge: Judge | None = None) -> Iterator[Workers]:
    """Open `jobs` benches; with 1, or with a `judge` of one's own, all happens in this process."""
    if jobs <= 1 or judge is not None:
        bench = Bench(task, judge)
        try:
            yield Workers(bench, None, 1)
        finally:
            bench.close()
        return
    # A fork would copy the threads' locks of libraries that are already loaded.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _open, (task,)) as pool:
        try:
            yield Workers(None, pool, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def default_jobs() -> int:
    """Return how many processes this machine is good for."""
    return max(1, len(os.sched_getaffinity(0)))


_bench: Bench | None = None


def _open(task: PairTask) -> None:
    global _bench
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    _bench = Bench(task)


def _measure(pair: Pair) -> Measured:
    assert _bench is not None
    return _bench.measure(pair)


def _show(pair: Pair) -> tuple[Scene, dict[str, SpokenFrame]]:
    assert _bench is not None
    return _bench.show(pair)
