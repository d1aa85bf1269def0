"""Every figure that the README quotes, and the command that makes it again."""

import realtime  # noqa: F401  # before numpy is: it bounds numpy's threads
