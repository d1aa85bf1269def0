"""One call, one clock: timing, link state, history, compositing, engine, and the skins that do the I/O."""

import os

# numpy's OpenBLAS keeps its threads waiting in a busy loop (sched_yield). A call multiplies small matrices only, all
# the time: that cost more than a third of its CPU (perf, two people in one process) and won nothing. It must be said
# before numpy is loaded; whoever sets the variable themselves is obeyed.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
