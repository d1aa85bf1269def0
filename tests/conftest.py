"""Limits and fixtures that every test shares."""

import os
import sys
from pathlib import Path

# Before numpy and friends start their pools: threads that wait for each other on busy cores cost minutes.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# TensorBoard's libraries write to stderr from C++ otherwise.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import hypothesis  # noqa: E402
import pytest  # noqa: E402

# What passed once passes again: every run tries the same examples, for as long as they take on a busy machine.
# `--hypothesis-profile=default` tries new ones.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")

ASSETS = Path(__file__).resolve().parents[1] / "client" / "assets"


@pytest.fixture(scope="session")
def caller_clip() -> Path:
    """Return the path of the bundled talking head; its ground truth lies beside it as JSON."""
    return ASSETS / "caller.mp4"


@pytest.fixture(scope="session", autouse=True)
def limit_torch_threads() -> None:
    """Keep torch from taking a thread per core in each test process; do nothing where torch is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test, and the fixtures it is the first to ask for, with the same numbers.

    What a network starts from would otherwise hang on which tests ran before it in this process.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
