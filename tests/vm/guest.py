"""Run a command in the guest kernel, or say what is missing for it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86", "apt-get": "apt", "gcc": "gcc", "make": "make",
}  # fmt: skip


def guest(folder: Path, command: str, seconds: int, *, slow: int = 1, cpu: str = "", memory: str = "") -> Any:
    """Run a command in the guest, whose seconds last `slow` of ours each; return the JSON that it wrote."""
    if os.geteuid() != 0:
        pytest.skip("the guest is given this machine's files, and needs root for that")
    missing = [package for tool, package in NEEDED.items() if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"apt-get install --no-install-recommends {' '.join(missing)}")
    environment = {**os.environ, "VM_OUT": str(folder), "VM_TIMEOUT": str(seconds), "VM_CAMERA": "1"}
    environment |= {"VM_SLOW": str(slow)} | ({"VM_CPU": cpu} if cpu else {}) | ({"VM_MEM": memory} if memory else {})
    quiet = (
        "OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 GLOG_minloglevel=2 TF_CPP_MIN_LOG_LEVEL=2"
    )
    done = subprocess.run(
        ["nice", "-n", "15", str(ROOT / "tests" / "vm" / "vmrun.sh"),
         f"export PYTHONPATH={ROOT} XDG_RUNTIME_DIR=/run/none {quiet}; {command} $OUT/seen.json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds + 200,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, f"the guest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return json.loads((folder / "seen.json").read_text())
