"""One call, one clock: timing, link state, history, compositing, engine, and the skins that do the I/O."""

import ctypes
import os
import sys

# numpy's OpenBLAS keeps its threads waiting in a busy loop (sched_yield). A call multiplies small matrices only, all
# the time: that cost more than a third of its CPU (perf, two people in one process) and won nothing. It must be said
# before numpy is loaded; whoever sets the variable themselves is obeyed.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _one_heap() -> None:
    """Let all threads share one heap of glibc, and let it keep what a picture needs.

    A picture is made in one thread and freed in another, so each thread's own heap keeps room for all of them: 500 to
    690 MiB resident, up and down, where one heap needs 455 to 494 (soak, 2 min). Python's lock lets one thread allocate
    at a time anyway. Left alone, glibc gives the memory of a large picture back as soon as it is freed, and gets it
    anew, page by page, for the next: half of the time of a photo's motion at 1280x720. So up to 48 MiB stay.
    Other C libraries have no such settings; whoever sets MALLOC_ARENA_MAX is obeyed.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 16 << 20)
        mallopt(_M_TRIM_THRESHOLD, 48 << 20)


_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1  # <malloc.h>
_one_heap()
