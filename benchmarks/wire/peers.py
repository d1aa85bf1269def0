"""The processes of a measured call: `python -m benchmarks.wire.peers`, its order as JSON on the first line of stdin.

The caller is the demo's (client/rig/caller.py). Node and viewer are our own: the node keeps its counters over time,
the viewer keeps when each sound arrived and of each picture only what is measured, so that a cell may be long.
"""

import asyncio
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable

from client.rig.order import Order, Wire

ROLES = {
    "caller": "client.rig.caller:call",
    "viewer": "benchmarks.wire.viewing:view",
    "node": "benchmarks.wire.noding:node",
}


async def _main() -> None:
    wire = await Wire.open()
    order = Order(**await wire.hear())
    module, _, name = ROLES[order.role].partition(":")
    work: Callable[[Order, Wire], Awaitable[None]] = getattr(importlib.import_module(module), name)
    await work(order, wire)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f %(name)s %(message)s", stream=sys.stderr)
    asyncio.run(_main())
