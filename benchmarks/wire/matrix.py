"""Measure calls over a matrix of bad links, with lipline and with plain aiortc, and write a table.

`python -m benchmarks.wire.matrix [--out DIR] [--cells PATTERN] [--seconds N] [--full] [--resume] [--doc FILE]`
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.wire.call import CellSetting
from benchmarks.wire.cell import CellBench
from benchmarks.wire.plan import LEAST_SECONDS, Cell, chosen, default_plan, full_plan
from benchmarks.wire.report import disturbed, progress_line, report
from benchmarks.wire.store import Store, StoreError
from client.errors import UsageError

OVERHEAD_S = 8.0
"""What starting, ending and looking at a call takes, until it has been measured."""

EXAMPLES = """\
examples:
  python -m benchmarks.wire.matrix --doc docs/results/matrix.md       33 cells, about 27 minutes
  python -m benchmarks.wire.matrix --cells 'loss5-*' --seconds 14    some of them, shorter
  python -m benchmarks.wire.matrix --resume                          go on where it was stopped
  python -m benchmarks.wire.matrix --full --resume                   all 375 cells, about 6 hours

A cell is called like loss5-jitter30-rate2000 or loss0-jitter0-rate2000-outage3."""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.wire.matrix",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--out", type=Path, default=Path("out/wire"), metavar="DIR", help="cells.json, matrix.md (out/wire)"
    )
    found.add_argument("--doc", type=Path, metavar="FILE", help="write the table there, too")
    found.add_argument("--cells", default="*", metavar="PATTERN", help="only these cells; * and ?, several with commas")
    found.add_argument(
        "--seconds", type=float, default=16.0, metavar="N", help="length of a call (16); outages take more"
    )
    found.add_argument("--full", action="store_true", help="the whole product of levels")
    found.add_argument("--resume", action="store_true", help="keep what DIR/cells.json holds, measure what is missing")
    found.add_argument(
        "--redo", action="store_true", help="with --resume: measure again what other programs disturbed, too"
    )
    found.add_argument("--seed", type=int, default=1, metavar="N", help="of the link's losses and jitter (1)")
    found.add_argument("--size", type=_size, default=(320, 240), metavar="WxH", help="of the picture (320x240)")
    found.add_argument("--model", default="lite", metavar="NAME|FILE.onnx", help="bundled name or file (lite)")
    found.add_argument("--provider", choices=("cpu", "cuda"), default="cpu", help="where the model runs (cpu)")
    return found


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()) or min(int(width), int(height)) < 64 or int(width) > 640:
        raise argparse.ArgumentTypeError("give width and height like 320x240, even numbers from 64, width up to 640")
    if int(width) % 2 or int(height) % 2:
        raise argparse.ArgumentTypeError("width and height must be even")
    return int(width), int(height)


def time_left(pending: Sequence[float], overhead_s: float) -> str:
    """Return in words how long the calls of `pending` cells, given by their seconds, will take."""
    minutes = sum(2.0 * (seconds + overhead_s) for seconds in pending) / 60.0
    return f"about {minutes:.0f} min left" if minutes >= 1.0 else "less than a minute left" if pending else "done"


@dataclass(frozen=True, slots=True)
class Say:
    """Print what is being done in a cell, between its name and the time left."""

    head: str
    left: str

    def __call__(self, what: str) -> None:
        """Print `what`."""
        print(f"{self.head}: {what}; {self.left}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked; 0 when every cell was measured, 1 when some broke, 2 for a wrong command, 130 when stopped."""
    options = parser().parse_args(arguments)
    given = list(sys.argv[1:] if arguments is None else arguments)
    cells = full_plan() if options.full else default_plan()
    wanted = chosen(cells, options.cells)
    if not wanted:
        return _refuse(f"no cell is called {options.cells}: try --cells 'loss5-*', or --full")
    if options.seconds < LEAST_SECONDS:
        return _refuse(f"a call of {options.seconds:g} s is too short: use --seconds {LEAST_SECONDS:g} or more")
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        store = _store(options)
    except StoreError as error:
        return _refuse(str(error))
    facts = machine("benchmarks.wire.matrix", given)
    try:
        _measure(options, store, wanted, facts)
    except UsageError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("stopped; the same command with --resume goes on", flush=True)
        return 130
    finally:
        if store.cells:
            _write(options, store)
    return 1 if any("error" in store.cells[cell.name] for cell in wanted) else 0


def _refuse(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return 2


def _store(options: argparse.Namespace) -> Store:
    path = options.out / "cells.json"
    settings: dict[str, Any] = {
        "seconds": options.seconds,
        "seed": options.seed,
        "size": list(options.size),
        "model": options.model,
        "provider": options.provider,
    }
    return Store.resume(path, settings) if options.resume else Store(path, settings)


def _measure(options: argparse.Namespace, store: Store, wanted: Sequence[Cell], facts: dict[str, str]) -> None:
    # Cells of one length follow each other: each length has its own clip.
    with tempfile.TemporaryDirectory(prefix="lipline-wire-") as folder:
        setting = CellSetting(options.seed, options.model, options.provider)
        bench = CellBench(options.seconds, options.size, setting, Path(folder))
        noisy = {name for name, record in store.cells.items() if options.redo and disturbed(record)}
        pending = [cell for cell in wanted if cell.name in noisy or not store.has(cell.name)]
        lengths = {cell: bench.plan(cell).seconds for cell in pending}
        pending.sort(key=lengths.__getitem__)
        if not pending:
            print("nothing to measure: every cell is there", flush=True)
            return
        store.begin(facts)
        overhead_s, done = OVERHEAD_S, len(wanted) - len(pending)
        for number, cell in enumerate(pending):
            left = time_left([lengths[other] for other in pending[number:]], overhead_s)
            head = f"[{done + number + 1}/{len(wanted)}] {cell.name}"
            began = time.monotonic()
            record = bench.measure(cell, Say(head, left))
            store.put(cell.name, record)
            took_s = time.monotonic() - began
            overhead_s += (took_s / 2.0 - lengths[cell] - overhead_s) / (number + 1)
            print(f"{head}: {progress_line(store.cells[cell.name])}", flush=True)


def _write(options: argparse.Namespace, store: Store) -> None:
    order = [cell.name for cell in default_plan()]
    order += [cell.name for cell in full_plan() if cell.name not in set(order)]
    text = report(store, order)
    for path in (options.out / "matrix.md", options.doc):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"written: {path}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
