"""What the node's diary and the viewer's recording say about a call."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.media_file import read_audio, read_video

_MOVED = 0.15
_FPS = 25


@dataclass(frozen=True, slots=True)
class Tick:
    """Hold one picture of the node: time in ms, link, output, kind, skew in ms."""

    at_ms: float
    link: str
    output: str
    kind: str
    skew_ms: float


class Diary:
    """Read the lines of `node_process.py`, also while they are written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[dict[str, Any]]:
        """Return what is written so far; a line that is being written is left out."""
        if not self._path.exists():
            return []
        whole = self._path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in whole]

    def ticks(self, begin_ms: float = 0.0, end_ms: float = float("inf")) -> list[Tick]:
        """Return the pictures shown between two times."""
        ticks = [Tick(*row) for line in self.lines() for row in line["ticks"]]
        return [tick for tick in ticks if begin_ms <= tick.at_ms < end_ms]

    def output(self) -> str:
        """Return what is shown now: "real", "synth", "returning", or "" before the first picture."""
        for line in reversed(self.lines()):
            if line["ticks"]:
                return str(line["ticks"][-1][2])
        return ""

    def stats(self, at_ms: float = float("inf")) -> dict[str, Any]:
        """Return the counters as they were at `at_ms`."""
        before = [line["stats"] for line in self.lines() if line["at_ms"] <= at_ms and line["stats"]]
        return before[-1] if before else {}

    def concealed(self, begin_ms: float, end_ms: float) -> float:
        """Return the share (0..1) of the sound between two times that was made up."""
        first, last = self.stats(begin_ms), self.stats(end_ms)
        played = last["totalSamplesReceived"] - first.get("totalSamplesReceived", 0)
        return float((last["concealedSamples"] - first.get("concealedSamples", 0)) / max(1, played))


@dataclass(frozen=True, slots=True)
class Recorded:
    """Hold what the viewer's file shows: how much each picture differs from the one before, and the sound's level.

    Attributes:
        steps: (n,) mean change of brightness, 0 for a picture that is the one before.
        levels_db: (n,) level of the sound during each picture, dB of full scale.
    """

    steps: NDArray[np.float64]
    levels_db: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return len(self.steps) / _FPS

    def longest_still_ms(self) -> float:
        """Return the longest time for which the picture did not change, in ms."""
        longest = run = 0
        for step in self.steps[1:]:
            run = run + 1 if step < _MOVED else 0
            longest = max(longest, run)
        return (longest + 1) * 1000.0 / _FPS

    def longest_silence_ms(self, below_db: float = -55.0) -> float:
        """Return the longest time without sound, in ms."""
        longest = run = 0
        for level in self.levels_db:
            run = run + 1 if level < below_db else 0
            longest = max(longest, run)
        return longest * 1000.0 / _FPS


def read_recording(path: Path) -> Recorded:
    """Read a file of `lipline call --view`; pictures are compared at a quarter of their size."""
    steps: list[float] = []
    before: NDArray[np.float32] | None = None
    for frame in read_video(path):
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).astype(np.float32)
        steps.append(0.0 if before is None else float(np.abs(small - before).mean()))
        before = small
    samples = read_audio(path, 16_000)
    blocks = samples[: len(samples) // 640 * 640].reshape(-1, 640).astype(np.float64)
    levels = 10.0 * np.log10((blocks**2).mean(axis=1) + 1e-12)
    return Recorded(np.array(steps), levels[: len(steps)])
