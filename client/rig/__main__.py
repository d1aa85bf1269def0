"""A process of a call: `python -m client.rig` with its order as JSON on the first line of stdin.

Node, caller and viewer run in processes of their own, as on three machines, so that none borrows another's time. They
speak with the process that started them in lines of JSON (client/rig/order.py). Times are CLOCK_MONOTONIC in ms, which
all processes of a machine share.
"""

import asyncio
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable

from client.rig.order import Order, Wire
from realtime.process import tune

ROLES = {"caller": "client.rig.caller:call", "viewer": "client.rig.viewer:view", "node": "client.rig.node:serve"}


async def _main() -> None:
    wire = await Wire.open()
    order = Order(**await wire.read())
    # Each process loads its own part alone: the viewer needs no face tracker, the caller no model.
    module, _, name = ROLES[order.role].partition(":")
    work: Callable[[Order, Wire], Awaitable[None]] = getattr(importlib.import_module(module), name)
    await work(order, wire)


if __name__ == "__main__":
    tune()  # before a role imports numpy
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f %(name)s %(message)s", stream=sys.stderr)
    asyncio.run(_main())
