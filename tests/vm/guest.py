"""Run a command in the guest kernel, or say what is missing for it."""

import json
import math
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86", "apt-get": "apt", "gcc": "gcc", "make": "make",
}  # fmt: skip
LEAST_SLOW = 12
PROBE = """
import time
began, total = time.perf_counter(), 0
for number in range(300_000):
    total += number * number % 7
print(time.perf_counter() - began)
"""
PROBE_S = 0.045
"""What the probe takes outside the guest on the machine for which the tests' waits were chosen (2 cores, 2026-11)."""


@cache
def pace() -> int:
    """Return by how much the guest's clock is to be slowed here and now: its program then has as much time as it needs.

    The guest is emulated, so its speed is the host's, less what other programs take. It is measured in the guest
    itself, by what a small program takes there, once for all tests.
    """
    program = f"{sys.executable} -c '{PROBE}'"
    done = subprocess.run(_vmrun(" && ".join([program] * 3)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"the guest does not start:\n{done.stdout}\n{done.stderr}"
    took_s = sorted(float(line) for line in done.stdout.split())[1]
    slow = max(LEAST_SLOW, math.ceil(took_s / PROBE_S))
    print(f"the guest takes {took_s:.2f} s for the probe: its clock is slowed {slow} times")
    return slow


def guest(folder: Path, command: str, seconds: int, *, cpu: str = "", memory: str = "") -> dict[str, Any]:
    """Run a command in the guest at the host's pace; return the JSON that it wrote.

    `seconds` is the longest that it may take on a machine on which the clock is slowed `LEAST_SLOW` times; a slower one
    gets as much more.
    """
    if os.geteuid() != 0:
        pytest.skip("the guest is given this machine's files, and needs root for that")
    missing = [package for tool, package in NEEDED.items() if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"apt-get install --no-install-recommends {' '.join(missing)}")
    slow = pace()
    limit_s = seconds * slow // LEAST_SLOW
    environment = {**os.environ, "VM_OUT": str(folder), "VM_TIMEOUT": str(limit_s), "VM_CAMERA": "1"}
    environment |= {"VM_SLOW": str(slow)} | ({"VM_CPU": cpu} if cpu else {}) | ({"VM_MEM": memory} if memory else {})
    quiet = (
        "OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 GLOG_minloglevel=2 TF_CPP_MIN_LOG_LEVEL=2"
    )
    # The limit is the guest's own; the first run builds kernel modules besides, for as long as that takes.
    done = subprocess.run(
        _vmrun(f"export PYTHONPATH={ROOT} XDG_RUNTIME_DIR=/run/none {quiet}; {command} $OUT/seen.json"),
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, f"the guest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return seen


def _vmrun(command: str) -> list[str]:
    return ["nice", "-n", "15", str(ROOT / "tests" / "vm" / "vmrun.sh"), command]
