"""Settings of a process that runs calls: threads of numpy's linear algebra, turns of threads, the C library's heaps."""

import ctypes
import os
import sys

# How long a thread that computes keeps the interpreter from one that wakes. An event loop lets go of it a thousand
# times a second (each datagram, each packet of sound) and each time waits so long while faces are rendered: with
# Python's 5 ms a node falls behind for good, with 0.5 it was 5 to 20 ms late at the median, with this 1 to 14. In a
# local call a picture that came would wait for several such threads.
_SWITCH_S = 0.0001

_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1  # <malloc.h>


def tune() -> None:
    """Fit this process to calls; call it once, first of all in a program's main module.

    The threads of numpy's OpenBLAS wait in a busy loop (sched_yield). A call multiplies small matrices only, all the
    time: that cost more than a third of its CPU (perf, two people in one process) and won nothing. OpenBLAS reads its
    setting when numpy is imported, so after that only heap and threads' turns are tuned. Processes started later
    inherit the setting; OPENBLAS_NUM_THREADS and MALLOC_ARENA_MAX that are set already are left as they are.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _share_one_heap()
    sys.setswitchinterval(_SWITCH_S)


def _share_one_heap() -> None:
    """Let all threads share one heap of glibc, and let it keep what a picture needs.

    A picture is made in one thread and freed in another, so each thread's own heap keeps room for all of them: 500 to
    690 MiB resident, up and down, where one heap needs 455 to 494 (soak, 2 min). Python's lock lets one thread allocate
    at a time anyway. Left alone, glibc gives the memory of a large picture back as soon as it is freed, and gets it
    anew, page by page, for the next: half of the time of a photo's motion at 1280x720. So up to 48 MiB stay.
    Other C libraries have no such settings.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 16 << 20)
        mallopt(_M_TRIM_THRESHOLD, 48 << 20)
