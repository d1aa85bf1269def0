"""One call: start its three processes, give the signals, collect what they found."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from client.rig.node import NodeRecord
from client.rig.order import Keep, Order
from client.rig.peer import OnEvent, Peer
from client.rig.seen import ViewerRecord
from realtime.rtc.badlink.link import LinkTrace
from realtime.threads import in_thread

LEAD_MS = 300.0
"""Time between the start signal and the first frame of the clip."""

TAIL_MS = 200.0
"""Time that the call goes on after the viewer's record ends."""

_READY_S, _FINISH_S = 90.0, 60.0
_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What a call is to be.

    Attributes:
        name: name of the call, in its files' names too.
        filtered: whether it goes through lipline's filter, from lipline's own caller.
        clip: what the caller plays, as `client.rig.clip.prepare` wrote it.
        trace: script of the uplink.
        seed: seed of the uplink's losses and jitter.
        seconds: length of what the viewer records.
        model: bundled name or ONNX file.
        provider: "cpu" or "cuda".
        work: folder for what the processes find.
        logs: folder for what the processes say.
        keep: what the viewer keeps of each picture.
    """

    name: str
    filtered: bool
    clip: Path
    trace: LinkTrace
    seed: int
    seconds: float
    model: str
    provider: str
    work: Path
    logs: Path
    keep: Keep = "pictures"


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the processes of a call found; times in ms of the call.

    Attributes:
        seen: what the viewer received.
        uplink: bytes per 100 ms that the caller offered and the link delivered and dropped, and when video paused.
        node: what the node did; empty without the filter.
    """

    seen: ViewerRecord
    uplink: dict[str, Any]
    node: NodeRecord


class RigCall:
    """Run the call that `plan` describes for as long as the `async with` block lasts. One event loop.

    Entering it starts the processes, connects them and gives the start signal; then `run`, then `finish`. Each raises
    RuntimeError with the end of a process's log when the process ended early or was silent.
    """

    def __init__(self, plan: CallPlan, on_event: OnEvent = lambda event: None) -> None:
        self._plan = plan
        self._on_event = on_event
        self._stack = AsyncExitStack()
        self._slug = plan.name.replace(" ", "-")
        self.peers: list[Peer] = []
        """The processes: node, caller and viewer."""
        self.zero_ms = 0.0
        """Time of the monotonic clock at which the clip begins."""

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
        except BaseException:
            await self._stack.aclose()
            raise
        self.zero_ms = time.monotonic() * 1000.0 + LEAD_MS
        for peer in self.peers:
            await peer.tell(go=self.zero_ms)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, on_tick: Callable[[float], None] = lambda elapsed_ms: None) -> None:
        """Wait until the call is over; `on_tick` is called twice a second with its time in ms.

        Raises:
            RuntimeError: a process ended before.
        """
        end_ms = self.zero_ms + self._plan.seconds * 1000.0 + TAIL_MS
        while (now_ms := time.monotonic() * 1000.0) < end_ms:
            for peer in self.peers:
                if peer.ended:
                    await peer.event("done", 1.0)
                    raise RuntimeError(f"the {peer.role} ended before the call did")
            on_tick(max(0.0, now_ms - self.zero_ms))
            await asyncio.sleep(min(_TICK_S, max(0.0, (end_ms - now_ms) / 1000.0)))

    async def finish(self) -> CallResult:
        """Stop the processes, the viewer first, and return what they found.

        Raises:
            RuntimeError: a process broke down.
        """
        for peer in reversed(self.peers):
            await peer.tell(stop=True)
            await peer.event("done", _FINISH_S)
        return await in_thread(self._read)

    async def _connect(self) -> None:
        plan = self._plan
        room, token = "call", secrets.token_urlsafe(16)

        async def start(role: str, **more: Any) -> Peer:
            order = Order(role, plan.filtered, str(self._out(role)), room, token, plan.seconds, **more)
            peer = await Peer.start(order, plan.logs / f"{self._slug}-{role}.log", self._on_event)
            self._stack.push_async_callback(peer.close)
            self.peers.append(peer)
            return peer

        node = await start("node", model=plan.model, provider=plan.provider)
        url = str((await node.event("listening", _READY_S))["url"])
        await start("caller", url=url, clip=str(plan.clip), trace=plan.trace.to_json(), seed=plan.seed)
        await start("viewer", url=url, keep=plan.keep)
        for peer in self.peers[1:]:
            await peer.event("connected", _READY_S)

    def _read(self) -> CallResult:
        seen = ViewerRecord.load(self._out("viewer"))
        self._out("viewer").unlink()  # hundreds of megabytes
        uplink: dict[str, Any] = json.loads(self._out("caller").read_text())
        return CallResult(seen, uplink, NodeRecord.load(self._out("node")))

    def _out(self, role: str) -> Path:
        return self._plan.work / f"{self._slug}-{role}.{'npz' if role == 'viewer' else 'json'}"
