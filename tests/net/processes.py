"""The real processes of a call, each in its namespace: their lines of output with the time, and a sure end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.net.namespaces import Namespaces

ROOT = Path(__file__).resolve().parents[2]
LIPLINE = str(Path(sys.executable).parent / "lipline")
READY_S = 90.0
END_S = 20.0


def now_ms() -> float:
    """Return CLOCK_MONOTONIC in ms, the clock of every process here."""
    return time.monotonic() * 1000.0


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `condition`.

    Raises:
        AssertionError: it did not come within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Line:
    """Hold a line of output and when it came, in ms."""

    at_ms: float
    text: str


class Process:
    """Run a command in a namespace and keep what it says (stdout and stderr alike)."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.lines: list[Line] = []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, name=f"reading {name}", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    def said(self, words: str, after_ms: float = 0.0) -> float | None:
        """Return when it first said `words` after `after_ms`; None if it has not."""
        found = (line.at_ms for line in list(self.lines) if words in line.text and line.at_ms > after_ms)
        return next(found, None)

    def until_said(self, words: str, seconds: float = READY_S, after_ms: float = 0.0) -> None:
        """Wait until it has said `words`.

        Raises:
            AssertionError: it ended before, or was silent for `seconds`; holds what it said.
        """
        deadline = time.monotonic() + seconds
        while self.said(words, after_ms) is None:
            if not self.running or time.monotonic() > deadline:
                raise AssertionError(f"the {self.name} did not say {words!r}\n{self.text()}")
            time.sleep(0.05)

    def text(self) -> str:
        """Return all that it has said."""
        return "\n".join(line.text for line in list(self.lines))

    def end(self) -> int:
        """Ask it to leave as Ctrl-C would, insist after 20 s, and return its exit code. Idempotent."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self.running:
                self._process.send_signal(number)
            try:
                self._process.wait(END_S)
                break
            except subprocess.TimeoutExpired:
                continue
        self._reader.join(5.0)
        return self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self.lines.append(Line(now_ms(), line.rstrip()))


class Processes:
    """Start processes in namespaces; the last one started ends first, whatever happened in between."""

    def __init__(self, net: Namespaces) -> None:
        self._net = net
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._started:
            self._started.pop().end()

    def start(self, place: str, *command: str, name: str = "") -> Process:
        """Start a command in the namespace `place`."""
        process = Process(name or place, self._net.command(place, *command))
        self._started.append(process)
        return process

    def python(self, place: str, script: str, *words: str) -> Process:
        """Start a script of tests/net."""
        return self.start(place, sys.executable, str(ROOT / "tests" / "net" / script), *words)

    def lipline(self, place: str, *words: str, name: str = "") -> Process:
        """Start the `lipline` command."""
        return self.start(place, LIPLINE, *words, name=name)
