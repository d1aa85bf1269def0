"""The node's process: signaling server and node, and a record of what the node did over the whole call."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from client.rig.order import Order, Wire
from client.serve.host import filter_node, hosted
from realtime.clock import MonotonicClock
from realtime.rtc.node.node import LiplineNode
from realtime.rtc.node.path import TimelineEntry
from realtime.rtc.node.plain import PlainNode
from realtime.threads import in_thread
from signaling.agent import Node

SAMPLE_S = 0.2
"""Time between two samples of the node's counters."""


class Tick(NamedTuple):
    """What one tick of the node sent.

    Attributes:
        at_ms: time of the call.
        video: state of the caller's video.
        output: what the node showed.
        kind: kind of the frame that was sent.
        skew_ms: that of the frame; positive when the picture is ahead of the sound.
    """

    at_ms: float
    video: str
    output: str
    kind: str
    skew_ms: float


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What a node did in a call; all empty for a node without the filter.

    Attributes:
        ticks: every tick that is still in the node's memory, oldest first.
        series: the node's plain numbers every 0.2 s, with "atMs", the time of the call.
        stats: the node's last counters, lists and quantiles included.
    """

    ticks: list[Tick] = field(default_factory=list)
    series: list[dict[str, float]] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def sent(self) -> list[tuple[float, str]]:
        """Time and kind of each frame that was sent, rising."""
        return [(tick.at_ms, tick.kind) for tick in self.ticks]

    @property
    def states(self) -> list[tuple[float, str]]:
        """Changes of the caller's video as (time, new state), from "real" at time 0 on."""
        states = [(0.0, "real")]
        for tick in self.ticks:
            if tick.video != states[-1][1]:
                states.append((max(0.0, tick.at_ms), tick.video))
        return states

    def save(self, path: Path) -> None:
        """Write to a JSON file."""
        path.write_text(json.dumps({"ticks": self.ticks, "series": self.series, "stats": self.stats}))

    @classmethod
    def load(cls, path: Path) -> "NodeRecord":
        """Read what `save` wrote."""
        found = json.loads(path.read_text())
        return cls([Tick(*row) for row in found["ticks"]], found["series"], found["stats"])


async def serve(order: Order, wire: Wire) -> None:
    """Serve the room until told to stop; write what the node did."""

    def make() -> Node:
        return filter_node(order.model, order.provider) if order.filtered else PlainNode()

    clock = MonotonicClock()
    async with hosted([order.room], order.token, make) as here:
        wire.say("listening", url=here.url)
        node = here.nodes[order.room]
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        record = NodeRecord()
        if isinstance(node, LiplineNode):
            shown = ""
            while not stopping.done():
                await asyncio.wait({stopping}, timeout=SAMPLE_S)
                snapshot = node.snapshot()
                record.series.append({"atMs": clock.now_ms() - zero_ms, **plain_numbers(snapshot)})
                entries = node.timeline()
                if entries and entries[-1].output.value != shown:
                    shown = entries[-1].output.value
                    wire.say("state", state=shown)
            record = NodeRecord(ticks(node.timeline(), zero_ms), record.series, node.snapshot())
        await stopping
        await in_thread(record.save, Path(order.out))
        wire.say("done")


def ticks(entries: Sequence[TimelineEntry], zero_ms: float) -> list[Tick]:
    """Return the entries of a node's timeline, in ms of the call that began at `zero_ms` of the node's clock."""
    return [
        Tick(entry.at_ms - zero_ms, entry.video.value, entry.output.value, entry.kind.value, entry.skew_ms)
        for entry in entries
    ]


def plain_numbers(snapshot: dict[str, object]) -> dict[str, float]:
    """Return the plain numbers of a snapshot; lists, quantiles and words are left out."""
    return {
        name: value
        for name, value in snapshot.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
