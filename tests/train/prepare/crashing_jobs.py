"""Jobs that other processes do in the tests."""

import os
import signal


def do(job: str) -> str:
    """Return the job in capitals, or fail as it says."""
    if job == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "refuse":
        raise ValueError("this one\nis refused: give another")
    if job == "break":
        raise RuntimeError("unforeseen")
    return f"{job.upper()} {os.environ['OMP_NUM_THREADS']}"
