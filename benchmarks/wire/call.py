"""Run one call of a cell in three processes and collect what they found."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wire.facts import CpuTimes, cpu_times, cpu_used
from benchmarks.wire.plan import Schedule
from benchmarks.wire.viewing import Watched
from client.rig.call import FINISH_S, READY_S, Peer
from client.rig.order import LEAD_MS, Order

SETTLE_MS = 1500.0
"""How long the call goes on after its end, so that what was said before arrives."""


@dataclass(frozen=True, slots=True)
class CellSetting:
    """Say what is the same in every call of a matrix: seed of the link, model and its provider."""

    seed: int
    model: str
    provider: str


@dataclass(frozen=True, slots=True)
class CallFound:
    """Hold what a call showed; times in ms of the call.

    Attributes:
        watched: what the viewer received.
        uplink: bytes per 100 ms that the caller offered and the link delivered and dropped; when video paused.
        node: ticks, series of counters and last counters of the node; empty without the filter.
        busy: cores that were busy during the call with whatever it was; None where that is not known.
        own: cores that its three processes used.
    """

    watched: Watched
    uplink: dict[str, Any]
    node: dict[str, Any]
    busy: float | None
    own: float | None


class WirePeer(Peer):
    """Run one of this benchmark's processes; speak with it as the demo does with its own."""

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    @classmethod
    async def start(cls, order: Order, log: Path, on_event: Callable[[dict[str, Any]], None]) -> "WirePeer":
        """Start the process and send its order; its stderr goes to `log`."""
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.wire.peers"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        peer = cls(order.role, process, log)
        peer.on_event = on_event
        peer._reading = asyncio.create_task(peer._read())
        await peer._write(order.line())
        return peer


async def run_call(plan: Schedule, setting: CellSetting, clip: Path, *, filtered: bool, work: Path) -> CallFound:
    """Run the call; files and logs of its processes go to `work`.

    Raises:
        RuntimeError: a process ended early or was silent; holds the end of its log.
    """
    room, token = "matrix", secrets.token_urlsafe(16)
    slug = "lipline" if filtered else "plain"

    def out(role: str) -> Path:
        return work / f"{slug}-{role}.{'npz' if role == 'viewer' else 'json'}"

    def order(role: str, **more: Any) -> Order:
        seconds = plan.seconds + SETTLE_MS / 1000.0 - 0.2
        return Order(role, filtered, str(out(role)), room, token, seconds=seconds, **more)

    async with AsyncExitStack() as stack:

        async def start(wanted: Order) -> WirePeer:
            peer = await WirePeer.start(wanted, work / f"{slug}-{wanted.role}.log", lambda event: None)
            stack.push_async_callback(peer.close)
            return peer

        node = await start(order("node", model=setting.model, provider=setting.provider))
        url = str((await node.event("listening", READY_S))["url"])
        uplink = {"clip": str(clip), "trace": plan.trace.to_json(), "seed": setting.seed}
        peers = [node, await start(order("caller", url=url, **uplink)), await start(order("viewer", url=url))]
        for peer in peers[1:]:
            await peer.event("connected", READY_S)
        zero_ms = time.monotonic() * 1000.0 + LEAD_MS
        for peer in peers:
            await peer.tell(go=zero_ms)
        before, own = cpu_times(), [cpu_used(peer.pid) for peer in peers]
        await _watch(zero_ms + plan.seconds * 1000.0 + SETTLE_MS, peers)
        busy = CpuTimes.busy(before, cpu_times())
        used = CpuTimes.used(own, [cpu_used(peer.pid) for peer in peers], plan.seconds + SETTLE_MS / 1000.0)
        for peer in (peers[2], peers[1], node):
            await peer.tell(stop=True)
            await peer.event("done", FINISH_S)
    watched = await asyncio.to_thread(Watched.load, out("viewer"))
    out("viewer").unlink()
    return CallFound(watched, _read(out("caller")), _read(out("node")), busy, used)


async def _watch(end_ms: float, peers: list[WirePeer]) -> None:
    """Wait for the end; raise when a process ends before."""
    while (now_ms := time.monotonic() * 1000.0) < end_ms:
        for peer in peers:
            if peer.ended:
                await peer.event("done", 1.0)
                raise RuntimeError(f"the {peer.role} ended before the call did")
        await asyncio.sleep(min(0.5, max(0.0, (end_ms - now_ms) / 1000.0)))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
