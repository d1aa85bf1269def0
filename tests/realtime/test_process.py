"""Only programs tune their process, and they do so before numpy is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    ("client.main", "--version"),
    ("client.rig", ""),
    *((f"benchmarks.{name}", "--help") for name in ("avskew", "cam", "soak", "voice", "wire.matrix")),
    *((f"benchmarks.{name}", "--help") for name in ("lookahead", "occlusion", "speed", "video_loss")),
]

AT_NUMPY = """\
import os, runpy, sys

class Stop(SystemExit):
    "Ends the program where it asks for numpy, or else where it ends."

class AtNumpy:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            raise Stop

sys.meta_path.insert(0, AtNumpy())
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except BaseException as error:
    ended = error
print("\\n" + os.environ.get("OPENBLAS_NUM_THREADS", "untouched"))
"""

IN_THREADS = """\
import ctypes, sys, threading
{first}
all_here = threading.Barrier(4)
def allocate():
    kept = bytes(100_000)
    all_here.wait(90)
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python code in a process that nobody has tuned."""
    unset = ("OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT, env=environment, input="", capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("package", ["realtime", "client", "benchmarks", "client.main"])
def test_an_import_leaves_the_process_alone(package: str) -> None:
    found = run(f"import os; before = dict(os.environ); import {package}; print(dict(os.environ) == before)")
    assert found.stdout.split() == ["True"], found.stderr


@pytest.mark.parametrize(("module", "argument"), PROGRAMS)
def test_a_program_is_tuned_before_it_imports_numpy(module: str, argument: str) -> None:
    found = run(AT_NUMPY, module, argument)
    assert found.stdout.splitlines()[-1] == "1", found.stderr


def test_what_somebody_has_set_is_obeyed() -> None:
    code = "import os; os.environ['OPENBLAS_NUM_THREADS'] = '3'; from realtime.process import tune; tune()"
    assert run(f"{code}; print(os.environ['OPENBLAS_NUM_THREADS'])").stdout.split() == ["3"]


def test_threads_of_a_tuned_process_take_turns_ten_times_a_millisecond() -> None:
    code = "import sys; from realtime.process import tune; tune(); print(round(sys.getswitchinterval(), 6))"
    assert run(code).stdout.split() == ["0.0001"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_all_threads_of_a_tuned_process_share_one_heap() -> None:
    tuned = run(IN_THREADS.format(first="from realtime.process import tune; tune()"))
    alone = run(IN_THREADS.format(first="import realtime"))
    assert tuned.stderr.count("Arena ") == 1
    assert alone.stderr.count("Arena ") > 1
