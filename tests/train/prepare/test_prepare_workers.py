"""Processes that do jobs, and what happens when one of them dies."""

import multiprocessing
from collections.abc import Generator, Iterator

import pytest
from crashing_jobs import do

from train.prepare.workers import Failure, work_off


def test_a_job_that_crashes_or_fails_ends_nothing() -> None:
    jobs = ["one", "crash", "refuse", "break", "two"]
    results = dict(work_off(jobs, do, 2, (ValueError,)))
    assert results["one"] == "ONE 1" and results["two"] == "TWO 1"
    assert results["crash"] == Failure("the process that read it died (SIGSEGV)")
    assert results["refuse"] == Failure("this one is refused: give another")
    failure = results["break"]
    assert isinstance(failure, Failure) and failure.reason.startswith("RuntimeError: unforeseen (crashing_jobs.py:")


def test_when_the_caller_stops_no_process_is_left_and_no_more_jobs_are_taken() -> None:
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append("job")
            yield "job"

    running = work_off(endless(), do, 1)
    assert isinstance(running, Generator)
    next(running)
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt)
    assert not multiprocessing.active_children()
    assert len(taken) <= 2
