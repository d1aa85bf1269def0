"""The logger that is given to websockets."""

import logging
from typing import Final

FRAME_LOG: Final = logging.getLogger("signaling.websockets")
# websockets writes whole frames at DEBUG, and the first frame holds a token.
FRAME_LOG.setLevel(logging.INFO)
