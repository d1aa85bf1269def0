"""The lipline node: receives the media of everybody who publishes in a room, and sends every viewer the filtered call.

Negotiation is SDP in, SDP out; how the SDP travels is left to others (`signaling/agent.py`).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, fields
from math import ceil
from types import MappingProxyType

from aiortc import RTCConfiguration, RTCPeerConnection

from models.hearing import Hearing
from realtime.clock import MonotonicClock
from realtime.face.worker import SynthWorker
from realtime.media import BLOCK_MS, AudioBlock, OutputFrame
from realtime.picture.stats import OutputStatus
from realtime.picture.synth_api import FaceRenderer
from realtime.rtc.node.call import Call, CallSetup
from realtime.rtc.node.negotiate import NegotiationError, add_candidate
from realtime.rtc.node.path import TimelineEntry
from realtime.rtc.node.view import SendCounters, View
from realtime.threads import in_thread, opened_in_thread

__all__ = ["LiplineNode", "NegotiationError", "NodeConfig"]

RendererFactory = Callable[[], FaceRenderer]
PersonalRenderer = Callable[[str], tuple[FaceRenderer, Hearing] | None]


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Settings of the node.

    Attributes:
        rtc: ICE servers of every connection; none for host candidates only.
        max_callers: greatest number of publishers filtered at once; each costs a renderer and its thread.
        max_views: greatest number of connections to viewers at once; each costs an encoder.
        grace_s: how long a publisher's call goes on without a connection, in s.
        report_ms: time between two reports of what is shown, in ms.
    """

    rtc: RTCConfiguration = field(default_factory=lambda: RTCConfiguration(iceServers=[]))
    max_callers: int = 4
    max_views: int = 64
    grace_s: float = 30.0
    report_ms: float = 250.0


class LiplineNode:
    """Filter one room: a call for each publisher, and any number of viewers of each.

    `renderer` makes the synthesizer of a publisher, off the event loop; None repeats the last frame through an outage.
    `hearing` is that of its generator. `personal` makes both for a publisher by name, or returns None for a
    name that has none of its own. One event loop; `await close()` in a `finally`.
    """

    def __init__(
        self,
        renderer: RendererFactory | None,
        hearing: Hearing,
        *,
        personal: PersonalRenderer | None = None,
        config: NodeConfig | None = None,
    ) -> None:
        self.config = config or NodeConfig()
        self._personal = personal
        self._clock = MonotonicClock()
        self._renderer = renderer
        self._hearing = hearing
        self._zero_ms = self._clock.now_ms()
        self._calls: dict[str, Call] = {}
        self._views: dict[tuple[str, str], View] = {}
        self._main: Call | None = None
        self._viewers: dict[Call, list[View]] = {}
        self._last_timeline: list[TimelineEntry] = []
        self._last_snapshot: dict[str, object] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls that run, by the publisher's peer id."""
        return MappingProxyType(self._calls)

    @property
    def views(self) -> Mapping[tuple[str, str], View]:
        """Connections to viewers, by the viewer's peer id and the publisher's ("" for the main speaker)."""
        return MappingProxyType(self._views)

    # --- offers ------------------------------------------------------------------------------------------------------

    async def accept_caller(
        self, offer_sdp: str, peer_id: str = "caller", name: str = "", *, main: bool = False
    ) -> str:
        """Answer the offer of a publisher called `name` (it sends audio and video) and begin its call.

        The call of a publisher that already has one, under the same name, goes on: only the connection is replaced.
        `main` makes it the main speaker, seen by viewers of nobody in particular; without one that is the first
        publisher.

        Raises:
            NegotiationError: the offer is not usable, or there are too many publishers already.
        """
        call = self._calls.get(peer_id)
        if call is not None and call.name != name:
            await self._end(call)
            call = None
        if call is None:
            call = self._reserve(peer_id, name, main)
        try:
            return await call.connect(offer_sdp)
        except BaseException:
            if call.pc is None:
                await self._end(call)
            raise

    def _reserve(self, peer_id: str, name: str, main: bool) -> Call:
        if self._closed:
            raise NegotiationError("the node is closed: it answers no offer")
        if len(self._calls) >= self.config.max_callers:
            raise NegotiationError(f"this node filters at most {self.config.max_callers} people at once: only watch")
        setup = CallSetup(self.config.rtc, self.config.grace_s, self.config.report_ms)
        call = Call(
            peer_id, setup, self._clock, self, name=name, main=main,
            synth=lambda: self._synth_for(name), start_ms=self._now_ms,
        )  # fmt: skip
        self._calls[peer_id] = call
        self._route()
        return call

    def _now_ms(self) -> float:
        # One zero for all calls: media time never goes back for viewers of the main speaker, whoever that is.
        return ceil((self._clock.now_ms() - self._zero_ms) / BLOCK_MS + 3) * BLOCK_MS

    async def _synth_for(self, name: str) -> tuple[SynthWorker | None, Hearing]:
        """Return the renderer of the publisher called `name`, in its thread, and how it hears."""
        own = await in_thread(self._personal, name) if self._personal else None
        if own is not None:
            return SynthWorker(own[0]), own[1]
        if self._renderer is None:
            return None, self._hearing
        return SynthWorker(await opened_in_thread(self._renderer, lambda renderer: renderer.close())), self._hearing

    async def accept_viewer(self, offer_sdp: str, peer_id: str = "viewer", of: str = "") -> str:
        """Answer the offer of a viewer of `of` ("": the main speaker); frames flow as soon as there are any.

        A viewer sees each publisher over a connection of its own; a new offer for the same one replaces it.

        Raises:
            NegotiationError: the offer is not usable, there are too many views already, or the viewer left meanwhile.
        """
        key = peer_id, of
        await self._drop_view(key)
        if len(self._views) >= self.config.max_views:
            raise NegotiationError(f"this node sends to at most {self.config.max_views} views at once: try again later")
        if self._closed:
            raise NegotiationError("the node is closed: it answers no offer")
        view = View(self._clock, of=of, rtc=self.config.rtc, gone=lambda: self._spawn(self._drop_view(key, view)))
        self._views[key] = view
        self._route()
        try:
            sdp = await view.connect(offer_sdp)
        except BaseException:
            await self._drop_view(key, view)
            raise
        if self._views.get(key) is not view:
            raise NegotiationError("the viewer left while its offer was being answered")
        return sdp

    async def add_candidate(self, peer_id: str, candidate: str, mid: str = "", of: str = "") -> None:
        """Add a remote ICE candidate line ("candidate:..."); unknown peers and broken lines are ignored.

        It belongs to the connection that shows `of` to `peer_id`; without `of`, to the one `peer_id` publishes on.
        """
        pc: RTCPeerConnection | None = None
        if not of and peer_id in self._calls:
            pc = self._calls[peer_id].pc
        elif (peer_id, of) in self._views:
            pc = self._views[peer_id, of].pc
        if pc is not None:
            await add_candidate(pc, candidate, mid)

    # --- ends --------------------------------------------------------------------------------------------------------

    async def drop(self, peer_id: str) -> None:
        """End what `peer_id` has here: its call, with its viewers' connections, and its own views."""
        for key in [key for key in self._views if key[0] == peer_id]:
            await self._drop_view(key)
        if peer_id in self._calls:
            await self._end(self._calls[peer_id])

    async def close(self) -> None:
        """End every connection, task and thread. Idempotent."""
        self._closed = True
        for call in list(self._calls.values()):
            await self._end(call)
        for key in list(self._views):
            await self._drop_view(key)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, call: Call) -> None:
        if self._calls.get(call.peer_id) is call:
            if call is self._main:
                self._last_timeline, self._last_snapshot = call.timeline(), self._counted(call)
            del self._calls[call.peer_id]
            self._route()
            for key in [key for key, view in self._views.items() if view.of == call.peer_id]:
                self._spawn(self._drop_view(key))
        await call.close()

    async def _drop_view(self, key: tuple[str, str], only: View | None = None) -> None:
        view = self._views.get(key)
        if view is None or (only is not None and view is not only):
            return
        del self._views[key]
        self._route()
        await view.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what calls send (`Audience`) --------------------------------------------------------------------------------

    def send_block(self, call: Call, block: AudioBlock) -> None:
        """Send 20 ms of sound to the call's viewers."""
        for view in self._viewers.get(call, ()):
            view.put_block(block)

    def send_frame(self, call: Call, frame: OutputFrame) -> None:
        """Send a picture to the call's viewers."""
        for view in self._viewers.get(call, ()):
            view.put_frame(frame)

    def send_status(self, call: Call, status: OutputStatus) -> None:
        """Send the call's viewers what they are shown."""
        for view in self._viewers.get(call, ()):
            view.send_status(status)

    def end_call(self, call: Call) -> None:
        """End a call that is over."""
        self._spawn(self._end(call))

    def _route(self) -> None:
        """Work out the main speaker and the viewers of each call; to be called when a call or a view comes or goes."""
        calls = list(self._calls.values())
        self._main = next((call for call in calls if call.main), calls[0] if calls else None)
        self._viewers = {call: [] for call in calls}
        for view in self._views.values():
            call = self._calls.get(view.of) if view.of else self._main
            if call is not None:
                self._viewers[call].append(view)

    # --- figures -----------------------------------------------------------------------------------------------------

    def timeline(self) -> list[TimelineEntry]:
        """Return what the last ticks of the main speaker's present or last call did (20 minutes at 25 a second)."""
        return self._main.timeline() if self._main else self._last_timeline

    def snapshot(self, peer_id: str | None = None) -> dict[str, object]:
        """Return counters, ready for JSON: those of the publisher `peer_id`, empty where there is none of that id.

        Without `peer_id` they are those of the main speaker's present or last call; empty before the first. Those that
        begin with "viewer." are sums over the call's present viewers.
        """
        call = self._main if peer_id is None else self._calls.get(peer_id)
        if call is None:
            return self._last_snapshot if peer_id is None else {}
        return self._counted(call)

    def _counted(self, call: Call) -> dict[str, object]:
        sent = [view.counters for view in self._viewers.get(call, ())]
        names = [field.name for field in fields(SendCounters)]
        totals = {f"viewer.{name}": sum(getattr(each, name) for each in sent) for name in names}
        return {**call.snapshot(), "viewers": len(sent), **totals}
