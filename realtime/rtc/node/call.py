"""One publisher's call: its media, received over one connection after another, filtered by one path.

The path outlives the connections: when one breaks, history, synthesis and media time go on, and the next connection of
the same peer is received into them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiortc import RTCConfiguration, RTCPeerConnection

from models.hearing import Hearing
from realtime.clock import Clock
from realtime.face.worker import SynthWorker
from realtime.media import AudioBlock, OutputFrame
from realtime.picture.stats import OutputStatus
from realtime.rtc.node.connection import Connection
from realtime.rtc.node.negotiate import NegotiationError, answer
from realtime.rtc.node.path import CallPath, TimelineEntry
from realtime.rtc.receive.sourceclock import SourceClock
from realtime.threads import in_thread

_LOG = logging.getLogger(__name__)
YOU_MS = 1_000.0
"""Longest time between two reports to the publisher, in ms."""


class Audience(Protocol):
    """Where a call's output goes. All methods are called on the event loop, and none may block."""

    def send_block(self, call: "Call", block: AudioBlock) -> None:
        """Send 20 ms of sound to the viewers."""

    def send_frame(self, call: "Call", frame: OutputFrame) -> None:
        """Send a picture to the viewers."""

    def send_status(self, call: "Call", status: OutputStatus) -> None:
        """Send the viewers what they are shown; the call itself sends it to the publisher."""

    def end_call(self, call: "Call") -> None:
        """End the call with `close`: its publisher said goodbye or stayed away for too long, or the call broke down."""


@dataclass(frozen=True, slots=True)
class CallSetup:
    """Settings of one call.

    Attributes:
        rtc: ICE servers of its connections.
        grace_s: how long it goes on without a connection, in s.
        report_ms: time between two reports of what is shown, in ms.
    """

    rtc: RTCConfiguration
    grace_s: float = 30.0
    report_ms: float = 250.0


class Call:
    """Filter what one publisher sends. One event loop; `await close()` in a `finally`.

    `synth` makes the renderer, in a thread of its own, and how it hears; it is called once, at the
    first connection. `start_ms()` returns the media time at which the call begins.

    Attributes:
        peer_id: the publisher.
        name: the publisher's name.
        main: whether viewers of nobody in particular see this one.
        worker: the renderer's thread; None before the first connection, and without synthesis.
    """

    def __init__(
        self,
        peer_id: str,
        setup: CallSetup,
        clock: Clock,
        audience: Audience,
        *,
        name: str = "",
        main: bool = False,
        synth: Callable[[], Awaitable[tuple[SynthWorker | None, Hearing]]],
        start_ms: Callable[[], float],
    ) -> None:
        self.peer_id, self.name, self.main = peer_id, name, main
        self.worker: SynthWorker | None = None
        self._setup = setup
        self._clock = clock
        self._audience = audience
        self._synth = synth
        self._start_ms = start_ms
        self._path: CallPath | None = None
        self._source = SourceClock()
        self._connection: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._grace: asyncio.TimerHandle | None = None
        self._received: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self._over = False

    @property
    def pc(self) -> RTCPeerConnection | None:
        """Present connection; None before the first."""
        return self._connection.pc if self._connection else None

    @property
    def waiting(self) -> bool:
        """Whether the call waits for a connection and ends if none comes in time."""
        return self._grace is not None

    async def connect(self, offer_sdp: str) -> str:
        """Answer an offer of the publisher; the new connection takes the place of the one before.

        Raises:
            NegotiationError: the offer is not usable (what was before goes on), or the call ended meanwhile.
        """
        async with self._lock:
            self._require_open()
            path = await self._begin()
            connection = self._make_connection(path)
            try:
                sdp = await answer(connection.pc, offer_sdp)
                self._require_open()
                connection.begin()
            except BaseException:
                await connection.close()
                raise
            before, self._connection = self._connection, connection
            self._run(path)
            self._stop_waiting()
            self._wait_for_connection()
            self._follow(connection)
            if before is not None:
                await self._retire(before)
            return sdp

    def timeline(self) -> list[TimelineEntry]:
        """Return what the last ticks did, oldest first."""
        return list(self._path.timeline) if self._path else []

    def snapshot(self) -> dict[str, object]:
        """Return the counters of path, renderer and reception, ready for JSON; reception is summed over connections."""
        if self._path is None:
            return {}
        seen: dict[str, object] = {}
        if self.worker is not None:
            seen = {
                "synthErrors": self.worker.errors,
                "synthLastError": self.worker.last_error,
                "framesObserved": self.worker.frames_observed,
                "facesFound": self.worker.faces_found,
                "synthJobsSkipped": self.worker.jobs_skipped,
                "caller.learned_s": round(self.worker.learned.seconds, 1),
                "caller.used": self.worker.learned.used,
            }
        received = {f"caller.{name}": value for name, value in self._received_now().items()}
        return {**self._path.snapshot(), **seen, **received}

    async def close(self) -> None:
        """End the call: connection, tasks and thread. Waits for a `connect` that runs. Idempotent."""
        self._over = True
        self._stop_waiting()
        async with self._lock:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            if self._connection is not None:
                await self._connection.close()
            if self.worker is not None:
                await in_thread(self.worker.close)

    # --- the parts that last -----------------------------------------------------------------------------------------

    async def _begin(self) -> CallPath:
        if self._path is None:
            self.worker, hearing = await self._synth()
            self._require_open()
            self._path = CallPath(
                self._clock,
                hearing,
                self.worker,
                on_block=lambda block: self._audience.send_block(self, block),
                on_frame=lambda frame: self._audience.send_frame(self, frame),
                source_ms=self._source.ms,
                start_ms=self._start_ms(),
            )
        return self._path

    def _run(self, path: CallPath) -> None:
        if self._tasks:
            return
        self._tasks = [
            asyncio.create_task(path.run(), name="call"),
            asyncio.create_task(self._report(path), name="call status"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def _report(self, path: CallPath) -> None:
        due_ms = self._clock.now_ms()
        sent_state, sent_ms = "", 0.0
        while True:
            due_ms = max(due_ms + self._setup.report_ms, self._clock.now_ms())
            await self._clock.sleep_until(due_ms)
            status = path.status()
            self._audience.send_status(self, status)
            # Every message costs the publisher an acknowledgement (SCTP) on an uplink that may carry speech alone.
            if self._connection is not None and (status.state != sent_state or due_ms - sent_ms >= YOU_MS):
                self._connection.control.tell(status, you=True)
                sent_state, sent_ms = status.state, due_ms

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a call broke down", exc_info=task.exception())
            self._announce_end()

    # --- the parts that change ---------------------------------------------------------------------------------------

    def _make_connection(self, path: CallPath) -> Connection:
        def on_goodbye() -> None:
            # A goodbye (RTCP BYE) is an end and no outage: whoever has left must not be shown talking.
            if connection is self._connection:
                self._announce_end()

        connection = Connection(self._setup.rtc, self._clock, path, self._source, on_goodbye)
        connection.pc.on("connectionstatechange", lambda: self._follow(connection))
        return connection

    def _follow(self, connection: Connection) -> None:
        if connection is not self._connection:
            return
        state = connection.pc.connectionState
        if state == "connected":
            self._stop_waiting()
        elif state in ("failed", "closed"):
            _LOG.info("a publisher's connection is %s", state)
            self._wait_for_connection()

    def _wait_for_connection(self) -> None:
        if self._grace is None and not self._over:
            self._grace = asyncio.get_running_loop().call_later(self._setup.grace_s, self._announce_end)

    def _stop_waiting(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _announce_end(self) -> None:
        if not self._over:
            self._over = True
            self._audience.end_call(self)

    def _require_open(self) -> None:
        if self._over:
            raise NegotiationError("the call ended while the offer was being answered: offer again")

    async def _retire(self, connection: Connection) -> None:
        await connection.close()
        for name, value in vars(connection.streams.counters).items():
            self._received[name] = self._received.get(name, 0) + value

    def _received_now(self) -> dict[str, int]:
        present = vars(self._connection.streams.counters) if self._connection else {}
        return {name: self._received.get(name, 0) + value for name, value in present.items()}
