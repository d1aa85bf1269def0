"""What the figures were taken on: machine, versions, commit, load."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.rig.machine import processor, versions

PACKAGES = ("aiortc", "av", "numpy", "onnxruntime", "opencv-python", "opuslib-next", "websockets")
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What all cores together did since the start of the machine.

    Attributes:
        idle: ticks in which they did nothing.
        total: all ticks.
    """

    idle: int
    total: int

    @staticmethod
    def busy(before: "CpuTimes | None", after: "CpuTimes | None") -> float | None:
        """Return how many cores were busy on average between two readings; None when unknown."""
        if before is None or after is None or after.total <= before.total:
            return None
        idle = min(max((after.idle - before.idle) / (after.total - before.total), 0.0), 1.0)  # counters may run back
        return (1.0 - idle) * (os.cpu_count() or 1)

    @staticmethod
    def used(before: "list[float | None]", after: "list[float | None]", lasted_s: float) -> float | None:
        """Return how many cores processes used on average, from their CPU seconds; None when unknown."""
        if None in before or None in after:
            return None
        return (sum(value or 0.0 for value in after) - sum(value or 0.0 for value in before)) / lasted_s


def cpu_times() -> CpuTimes | None:
    """Return the sums of /proc/stat; None where there is none."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    return CpuTimes(idle=fields[3] + fields[4], total=sum(fields))


def cpu_used(pid: int) -> float | None:
    """Return the CPU seconds that process `pid` has used; None where /proc does not tell."""
    try:
        # The name, in brackets, may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def machine(program: str, arguments: Sequence[str]) -> dict[str, str]:
    """Return the command `python -m program arguments`, date, hardware, load average, commit and versions, in words."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return {
        "command": shlex.join(["python", "-m", program, *arguments]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "hardware": f"{processor()}, {os.cpu_count()} cores, {_memory()}",
        "load average at the start": load,
        "commit": commit(),
        "versions": versions(PACKAGES),
    }


def commit() -> str:
    """Return the commit that is measured, with a + when files differ from it; "unknown" outside a checkout."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"],
            cwd=ROOT, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "memory unknown"
