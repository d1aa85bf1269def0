"""The node's process: signaling server and node, and a record of states, frames and counters."""

import asyncio
import json
from pathlib import Path
from typing import Any

from client.rig.order import Order, Wire
from client.serve.host import filter_node, hosted, plain_node
from realtime.rtc.node.node import LiplineNode
from realtime.rtc.node.path import TimelineEntry

WATCH_S = 0.1
NO_STATS: dict[str, Any] = {
    "timeToSynthMs": [],
    "timeToReturnMs": [],
    **{name: {"count": 0, "p50": 0, "p95": 0, "p99": 0, "max": 0} for name in ("avSkewAbsMs", "tickMs", "modelMs")},
    **dict.fromkeys(("framesReal", "framesSynth", "framesRepeated"), 0),
}
"""What a node without the filter has to say about it."""


async def node(order: Order, wire: Wire) -> None:
    """Serve the room until told to stop; write what the node did."""

    def make() -> Any:
        return filter_node(order.model, order.provider) if order.filtered else plain_node()

    async with hosted([order.room], order.token, make) as here:
        wire.say("listening", url=here.url)
        made = here.nodes[order.room]
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        if not isinstance(made, LiplineNode):
            await stopping
            record = {"states": [[0.0, "real"]], "outputs": [], "stats": NO_STATS}
        else:
            said = ""
            while not stopping.done():
                await asyncio.wait({stopping}, timeout=WATCH_S)
                entries = made.timeline()
                if entries and entries[-1].output.value != said:
                    said = entries[-1].output.value
                    wire.say("state", state=said)
            record = recorded(made.timeline(), made.snapshot(), zero_ms)
        await asyncio.to_thread(Path(order.out).write_text, json.dumps(record))
        wire.say("done")


def recorded(entries: list[TimelineEntry], stats: dict[str, object], zero_ms: float) -> dict[str, Any]:
    """Return `states` of the link and `outputs` as (time of the call, media time, kind), both from `zero_ms` on.

    Frames leave with the media clock, which runs with the node's: the time of the tick serves as media time.
    """
    states: list[tuple[float, str]] = [(0.0, "real")]
    outputs = []
    for entry in entries:
        at_ms = entry.at_ms - zero_ms
        outputs.append((at_ms, at_ms, entry.kind.value))
        if entry.link.value != states[-1][1]:
            states.append((max(0.0, at_ms), entry.link.value))
    return {"states": states, "outputs": outputs, "stats": stats}
