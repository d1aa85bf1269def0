"""Measure one cell: the same link twice, with lipline and without."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.wire.call import SETTLE_MS, CellSetting, run_call
from benchmarks.wire.figures import figures
from benchmarks.wire.plan import Cell, Schedule, schedule
from benchmarks.wire.source import Source, prepare
from benchmarks.wire.verdict import Record

CALLS = (("lipline", True), ("plain", False))
PREPARED_S = 0.5
"""The clip is this much longer than the call, so that it never ends before it."""


class CellBench:
    """Measure cells one after the other; keeps the clips that it made in `work`."""

    def __init__(self, seconds: float, size: tuple[int, int], setting: CellSetting, work: Path) -> None:
        self.seconds = seconds
        self.size = size
        self.setting = setting
        self._work = work
        self._sources: dict[int, Source] = {}

    def plan(self, cell: Cell) -> Schedule:
        """Return what the link of `cell` does."""
        return schedule(cell, self.seconds)

    def measure(self, cell: Cell, say: Callable[[str], None]) -> Record:
        """Run both calls and return the record; a call that breaks is tried once more, then the record holds "error".

        `say` hears what is being done.
        """
        plan = self.plan(cell)
        source = self._source(math.ceil(plan.seconds + SETTLE_MS / 1000.0 + PREPARED_S))
        record: Record = {
            "cell": asdict(cell),
            "speech": cell.speech,
            "seconds": plan.seconds,
            "trace": [asdict(step) for step in plan.trace.steps],
        }
        for name, filtered in CALLS:
            say(f"{name} call, {plan.seconds:.0f} s")
            try:
                record[name] = self._call(plan, source, filtered)
            except RuntimeError as error:
                return {**record, "error": f"the {name} call broke: {error}"}
        return record

    def _call(self, plan: Schedule, source: Source, filtered: bool) -> dict[str, Any]:
        for last in (False, True):
            try:
                found = asyncio.run(run_call(plan, self.setting, source.path, filtered=filtered, work=self._work))
                return figures(found, plan, source)
            except RuntimeError:
                if last:
                    raise
        raise AssertionError

    def _source(self, seconds: int) -> Source:
        if seconds not in self._sources:
            # One at a time: a clip of 40 s is hundreds of megabytes while it is made, and cells of a length are near.
            self._sources = {seconds: prepare(self.size, seconds, self._work)}
        return self._sources[seconds]
