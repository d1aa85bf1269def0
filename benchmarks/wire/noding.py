"""The node's process: signaling server and node, and what it said about itself over the whole call."""

import asyncio
import json
from pathlib import Path
from typing import Any

from client.rig.order import Order, Wire
from client.serve.host import filter_node, hosted, plain_node
from realtime.clock import MonotonicClock
from realtime.rtc.node.node import LiplineNode

SAMPLE_S = 0.2


async def node(order: Order, wire: Wire) -> None:
    """Serve the room until told to stop; write what the node did, times in ms of the call."""

    def make() -> Any:
        return filter_node(order.model, order.provider) if order.filtered else plain_node()

    clock = MonotonicClock()
    async with hosted([order.room], order.token, make) as here:
        wire.say("listening", url=here.url)
        made = here.nodes[order.room]
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        record: dict[str, Any] = {"ticks": [], "series": [], "stats": {}}
        if isinstance(made, LiplineNode):
            while not stopping.done():
                await asyncio.wait({stopping}, timeout=SAMPLE_S)
                record["series"].append({"atMs": clock.now_ms() - zero_ms, **numbers(made.snapshot())})
            record["stats"] = made.snapshot()
            record["ticks"] = [
                (entry.at_ms - zero_ms, entry.link.value, entry.output.value, entry.kind.value, entry.skew_ms)
                for entry in made.timeline()
            ]
        await stopping
        await asyncio.to_thread(Path(order.out).write_text, json.dumps(record))
        wire.say("done")


def numbers(snapshot: dict[str, object]) -> dict[str, float]:
    """Return the plain numbers of a snapshot; lists, quantiles and words are left out."""
    return {
        name: value
        for name, value in snapshot.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
