"""What the demo tells its processes, and the lines of JSON in which it does: orders on stdin, events on stdout."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

LEAD_MS = 300.0
"""Time between the start signal and the first frame of the clip."""


@dataclass(frozen=True, slots=True)
class Order:
    """Tell a process what to do.

    Attributes:
        role: "node", "caller" or "viewer".
        filtered: whether this is the call with the filter and with our caller.
        out: file for what the process found.
        url, room, token: where to meet; the node needs room and token only.
        clip: the prepared clip, for the caller.
        trace: the uplink's script as JSON, for the caller.
        seed: of the uplink's losses and jitter.
        seconds: length of the call.
        model: bundled name or ONNX file, for the node.
        provider: "cpu" or "cuda", for the node.
    """

    role: str
    filtered: bool
    out: str
    room: str
    token: str
    url: str = ""
    clip: str = ""
    trace: str = ""
    seed: int = 0
    seconds: float = 20.0
    model: str = ""
    provider: str = "cpu"

    def line(self) -> str:
        """Return the order as a line of JSON."""
        return json.dumps(asdict(self))


class Wire:
    """Speak with the demo: `say` writes an event, `hear` waits for the next order."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    @classmethod
    async def open(cls) -> "Wire":
        """Connect to stdin."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        return cls(reader)

    def say(self, event: str, **facts: object) -> None:
        """Write one event."""
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()

    async def hear(self) -> dict[str, Any]:
        """Return the next order; `{"stop": True}` when the demo is gone."""
        line = await self._reader.readline()
        order: dict[str, Any] = json.loads(line) if line.strip() else {"stop": True}
        return order

    async def until(self, key: str) -> Any:
        """Wait for the order that has `key` and return its value; a stop ends the process.

        Raises:
            SystemExit: the demo said stop or went away.
        """
        while key not in (order := await self.hear()):
            if order.get("stop"):
                raise SystemExit(0)
        return order[key]
