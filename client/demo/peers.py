"""The processes of a call: `python -m client.demo.peers ROLE` with its order as JSON on the first line of stdin.

Node, caller and viewer run in processes of their own, as on three machines, so that none borrows another's time. They
speak with the demo in lines of JSON: orders come on stdin, events go out on stdout. Times are CLOCK_MONOTONIC in ms,
which all processes of a machine share.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from realtime.clock import MonotonicClock

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


async def run_caller(order: Order, wire: Wire) -> None:
    """Play the clip over the impaired uplink; write what the link was offered and what it delivered."""
    from client.demo.calling import call

    await call(order, wire)


async def run_viewer(order: Order, wire: Wire) -> None:
    """Watch; write what came as npz."""
    from aiortc import RTCPeerConnection

    from client.demo.seeing import Viewer
    from client.joining import offer_to_node, until_connected
    from signaling.client import SignalingClient
    from signaling.messages import Role

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            SignalingClient(order.url, order.room, order.token, role=Role.VIEWER, name="viewer")
        )
        pc = RTCPeerConnection()
        stack.push_async_callback(pc.close)
        viewer = Viewer(pc, MonotonicClock())
        await offer_to_node(client, pc)
        await until_connected(pc)
        wire.say("connected")
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        while not stopping.done():
            wire.say("pictures", count=viewer.pictures)
            await asyncio.wait({stopping}, timeout=0.5)
        seen = await viewer.result(zero_ms, zero_ms + order.seconds * 1000.0)
        await asyncio.to_thread(seen.save, Path(order.out))
        wire.say("done", pictures=len(seen.frame_ms))


async def run_node(order: Order, wire: Wire) -> None:
    """Serve signaling and the node; write states and statistics."""
    from client.demo.noding import node

    await node(order, wire)


ROLES: dict[str, Callable[[Order, Wire], Awaitable[None]]] = {
    "caller": run_caller,
    "viewer": run_viewer,
    "node": run_node,
}


async def _main() -> None:
    wire = await Wire.open()
    order = Order(**await wire.hear())
    await ROLES[order.role](order, wire)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f %(name)s %(message)s", stream=sys.stderr)
    asyncio.run(_main())
