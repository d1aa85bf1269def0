"""What a person starts: the `lipline` command."""

import realtime  # noqa: F401  # before numpy is: it bounds numpy's threads
