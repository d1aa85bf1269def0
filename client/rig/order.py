"""The orders to a process of the rig and the events from it, as lines of JSON on its stdin and stdout."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal

Keep = Literal["pictures", "measured"]
"""What a viewer keeps of each picture: all of it, or what is measured on it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do.

    Attributes:
        role: "node", "caller" or "viewer".
        filtered: whether this is a call with the filter and with lipline's own caller.
        out: file for what the process found.
        room: name of the room to meet in.
        token: secret that opens the room.
        seconds: length of what the viewer records.
        url: address of the signaling server; the node makes it and needs none.
        clip: prepared clip, for the caller.
        trace: script of the uplink as JSON, for the caller.
        seed: seed of the uplink's losses and jitter, for the caller.
        model: bundled name or ONNX file, for the node.
        provider: "cpu" or "cuda", for the node.
        keep: what the viewer keeps of each picture.
    """

    role: str
    filtered: bool
    out: str
    room: str
    token: str
    seconds: float
    url: str = ""
    clip: str = ""
    trace: str = ""
    seed: int = 0
    model: str = ""
    provider: str = "cpu"
    keep: Keep = "pictures"

    def line(self) -> str:
        """Return the order as a line of JSON."""
        return json.dumps(asdict(self))


class Wire:
    """A process's line to the one that started it: `say` writes an event, `until` waits for an order.

    One event loop.
    """

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

    async def read(self) -> dict[str, Any]:
        """Return the next order; `{"stop": True}` once the other end is gone."""
        line = await self._reader.readline()
        order: dict[str, Any] = json.loads(line) if line.strip() else {"stop": True}
        return order

    async def until(self, key: str) -> Any:
        """Wait for the order that has `key` and return its value; a stop that comes first ends the process.

        Raises:
            SystemExit: the other end said stop or went away.
        """
        while key not in (order := await self.read()):
            if order.get("stop"):
                raise SystemExit(0)
        return order[key]
