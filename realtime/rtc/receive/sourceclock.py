"""Map audio timestamps to the caller's time, over one connection after another with timestamps of its own. Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from realtime.media import AUDIO_RATE
from realtime.serial import unwrap

_NEAR = 30 * AUDIO_RATE
"""Distance from a stream's newest timestamp beyond which one is of another stream; no packet waits nearly as long."""


@dataclass(slots=True)
class _SourceStream:
    to_ms: Callable[[int], float]
    newest: int | None = None


class SourceClock:
    """Map 32-bit audio timestamps at 48 kHz to the caller's time by the connection that they were received over.

    When a connection replaces another, packets of the old one still wait to be played and keep its mapping. The newest
    two connections are known. Event loop only.
    """

    def __init__(self) -> None:
        self._streams: deque[_SourceStream] = deque(maxlen=2)

    def begin(self, to_ms: Callable[[int], float]) -> Callable[[int], None]:
        """Begin a connection whose timestamps `to_ms` maps.

        Returns:
            A function to call with the timestamp of every packet that comes over it, before that packet is played.
        """
        stream = _SourceStream(to_ms)
        self._streams.append(stream)

        def saw(timestamp: int) -> None:
            stream.newest = timestamp

        return saw

    def ms(self, timestamp: int) -> float:
        """Return the caller's time in ms at `timestamp`.

        Raises:
            LookupError: no packet was seen on any connection.
        """
        seen = [stream for stream in reversed(self._streams) if stream.newest is not None]
        if not seen:
            raise LookupError("no packet was seen yet: say so with the function that `begin` returned")
        near = (stream for stream in seen if stream.newest is not None and _distance(timestamp, stream.newest) < _NEAR)
        return next(near, seen[0]).to_ms(timestamp)


def _distance(a: int, b: int) -> int:
    return abs(unwrap(a, b, 32) - b)
