"""Run one call: start the three processes, give the signals, show progress, collect what they found."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.errors import UsageError
from client.rig.order import LEAD_MS, Order
from client.rig.seen import Seen
from realtime.rtc.badlink.link import LinkTrace

READY_S = 90.0
FINISH_S = 60.0

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Say what a call shall be; `filtered` is with lipline, `seconds` its length, `logs` keeps what processes say."""

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


@dataclass(frozen=True, slots=True)
class CallResult:
    """Hold what the processes of a call found; times in ms of the call.

    Attributes:
        seen: what the viewer received.
        uplink: bytes per 100 ms that the caller offered and the link delivered, and when video paused and resumed.
        node: states, statistics and output frames of the node.
    """

    seen: Seen
    uplink: dict[str, Any]
    node: dict[str, Any]


class Peer:
    """Run one process of the call and speak with it in lines of JSON."""

    def __init__(self, role: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.role = role
        self.log = log
        self._process = process
        self._events: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.on_event: Callable[[dict[str, Any]], None] = lambda event: None

    @classmethod
    async def start(cls, order: Order, log: Path, on_event: Callable[[dict[str, Any]], None]) -> "Peer":
        """Start the process and send its order; its stderr goes to `log`."""
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "client.rig"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        peer = cls(order.role, process, log)
        peer.on_event = on_event
        peer._reading = asyncio.create_task(peer._read())
        await peer._write(order.line())
        return peer

    @property
    def ended(self) -> bool:
        """Return whether the process is gone."""
        return self._process.returncode is not None

    async def tell(self, **order: object) -> None:
        """Send an order."""
        await self._write(json.dumps(order))

    async def event(self, name: str, timeout_s: float) -> dict[str, Any]:
        """Wait for the first event `name`.

        Raises:
            RuntimeError: the process ended or was silent; holds the end of its log.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._future(name))
        except TimeoutError as error:
            raise RuntimeError(
                f"the {self.role} did not say {name!r} within {timeout_s:g} s\n{self._tail()}"
            ) from error

    async def close(self) -> None:
        """End the process: stop, then terminate, then kill. Idempotent."""
        if self._process.returncode is None:
            for end in (self._process.terminate, self._process.kill):
                try:
                    async with asyncio.timeout(3.0):
                        await self._process.wait()
                    break
                except TimeoutError:
                    end()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        for future in self._events.values():
            # Whoever waited has been told; nobody else will ask.
            future.cancel()

    async def _write(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line.encode() + b"\n")
            await stdin.drain()
        except ConnectionError:
            pass  # it has ended; whoever waits for its next event hears why

    def _future(self, name: str) -> asyncio.Future[dict[str, Any]]:
        return self._events.setdefault(name, asyncio.get_running_loop().create_future())

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            try:
                event: dict[str, Any] = json.loads(line)
                name = str(event["event"])
            except (ValueError, TypeError, KeyError):
                continue  # some library's own output
            self.on_event(event)
            future = self._future(name)
            if not future.done():
                future.set_result(event)
        await self._process.wait()
        failure = RuntimeError(f"the {self.role} ended early (code {self._process.returncode})\n{self._tail()}")
        for future in self._events.values():
            if not future.done():
                future.set_exception(failure)
                future.exception()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([*lines, f"(all of it: {self.log})"])


@dataclass
class _Progress:
    """Show where a call stands."""

    plan: CallPlan
    show: Show
    zero_ms: float = 0.0
    state: str = "real"
    pictures: int = 0
    last: str = field(default="", repr=False)

    def on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "state":
            self.state = str(event["state"])
        elif event["event"] == "pictures":
            self.pictures = int(event["count"])

    def update(self, now_ms: float) -> None:
        elapsed = max(0.0, now_ms - self.zero_ms)
        rate = self.plan.trace.at(elapsed).rate_kbps
        self.show(
            f"  {self.plan.name:<14} {elapsed / 1000:4.1f} of {self.plan.seconds:.0f} s   link {rate:6.0f} kbit/s   "
            f"node: {self.state:<9}   viewer has {self.pictures} pictures"
        )


async def run_call(plan: CallPlan, show: Show) -> CallResult:
    """Run the call that `plan` describes; `show` gets a line of progress twice a second.

    Raises:
        UsageError: a process failed; its reason and the end of its log.
    """
    try:
        return await _run(plan, show)
    except RuntimeError as error:
        raise UsageError(f"the {plan.name} call broke: {error}") from error


async def _run(plan: CallPlan, show: Show) -> CallResult:
    room, token = "demo", secrets.token_urlsafe(16)
    progress = _Progress(plan, show)

    def order(role: str, **more: Any) -> Order:
        return Order(role, plan.filtered, str(_out(plan, role)), room, token, seconds=plan.seconds, **more)

    async with AsyncExitStack() as stack:

        async def start(wanted: Order) -> Peer:
            peer = await Peer.start(wanted, plan.logs / f"{_slug(plan)}-{wanted.role}.log", progress.on_event)
            stack.push_async_callback(peer.close)
            return peer

        show(f"  {plan.name:<14} starting node, caller and viewer")
        node = await start(order("node", model=plan.model, provider=plan.provider))
        url = str((await node.event("listening", READY_S))["url"])
        uplink = {"clip": str(plan.clip), "trace": plan.trace.to_json(), "seed": plan.seed}
        caller = await start(order("caller", url=url, **uplink))
        viewer = await start(order("viewer", url=url))
        for peer in (caller, viewer):
            await peer.event("connected", READY_S)
        progress.zero_ms = time.monotonic() * 1000.0 + LEAD_MS
        for peer in (node, viewer, caller):
            await peer.tell(go=progress.zero_ms)
        await _watch(progress, (node, caller, viewer))
        for peer in (viewer, caller, node):
            await peer.tell(stop=True)
            await peer.event("done", FINISH_S)
        show(f"  {plan.name:<14} over: the viewer received {progress.pictures} pictures\n")
    seen = Seen.load(_out(plan, "viewer"))
    _out(plan, "viewer").unlink()  # hundreds of megabytes
    return CallResult(seen, _read(plan, "caller"), _read(plan, "node"))


async def _watch(progress: _Progress, peers: tuple[Peer, ...]) -> None:
    """Show progress until the call is over; raise when a process ends before."""
    end_ms = progress.zero_ms + progress.plan.seconds * 1000.0 + 200.0
    while (now_ms := time.monotonic() * 1000.0) < end_ms:
        for peer in peers:
            if peer.ended:
                await peer.event("done", 1.0)
        progress.update(now_ms)
        await asyncio.sleep(min(0.5, max(0.0, (end_ms - now_ms) / 1000.0)))


def _out(plan: CallPlan, role: str) -> Path:
    return plan.work / f"{_slug(plan)}-{role}.{'npz' if role == 'viewer' else 'json'}"


def _read(plan: CallPlan, role: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_out(plan, role).read_text())
    return found


def _slug(plan: CallPlan) -> str:
    return plan.name.replace(" ", "-")
