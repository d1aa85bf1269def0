"""The node without the filter, to compare with: stock aiortc receives, relays and sends."""

import asyncio
from collections.abc import Callable

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaRelay

from realtime.rtc.node.negotiate import NegotiationError, add_candidate, answer

Key = tuple[str, str]


class PlainNode:
    """Forward every publisher to any number of viewers with aiortc's own buffers, decoders and encoders.

    It uses host candidates only, and takes the offers that `LiplineNode` takes. Stock aiortc sends only tracks that are
    there when it answers, so the publisher comes first: a viewer's offer waits `patience_s` for it. One event loop;
    `await close()` in a `finally`.
    """

    def __init__(self, *, patience_s: float = 30.0) -> None:
        self._patience_s = patience_s
        self._relay = MediaRelay()
        self._tracks: dict[str, list[MediaStreamTrack]] = {}
        self._main = ""
        self._changed = asyncio.Condition()
        self._waiting: dict[Key, object] = {}
        self._pcs: dict[Key, RTCPeerConnection] = {}

    async def accept_caller(
        self, offer_sdp: str, peer_id: str = "caller", name: str = "", *, main: bool = False
    ) -> str:
        """Answer a publisher's offer, whatever its name; raises NegotiationError when it is not usable."""
        await self._end_publishing(peer_id)
        tracks: list[MediaStreamTrack] = []
        sdp = await self._answer((peer_id, ""), offer_sdp, on_track=tracks.append)
        self._tracks[peer_id] = tracks
        self._main = peer_id if main else self._main
        async with self._changed:
            self._changed.notify_all()
        return sdp

    async def accept_viewer(self, offer_sdp: str, peer_id: str = "viewer", of: str = "") -> str:
        """Answer a viewer's offer; raises NegotiationError when it is not usable or nobody publishes in time."""
        key = peer_id, of
        mark = self._waiting[key] = object()
        try:
            async with asyncio.timeout(self._patience_s), self._changed:
                await self._changed.wait_for(lambda: self._seen(of) or self._waiting.get(key) is not mark)
        except TimeoutError as error:
            raise NegotiationError("there is no caller to forward: let the caller join first") from error
        finally:
            left = self._waiting.get(key) is not mark
            if not left:
                del self._waiting[key]
        if left:
            raise NegotiationError("the viewer left, or offered again, while its offer waited")
        await self._close(key)
        return await self._answer(key, offer_sdp, send=self._tracks[self._seen(of)])

    async def add_candidate(self, peer_id: str, candidate: str, mid: str = "", of: str = "") -> None:
        """Add a remote ICE candidate line; unknown connections and broken lines are ignored."""
        pc = self._pcs.get((peer_id, of))
        if pc is not None:
            await add_candidate(pc, candidate, mid)

    async def drop(self, peer_id: str) -> None:
        """End the connections of `peer_id`, and those of its viewers."""
        for key in [key for key in self._waiting if key[0] == peer_id]:
            del self._waiting[key]
        async with self._changed:
            self._changed.notify_all()
        await self._end_publishing(peer_id)
        for key in [key for key in self._pcs if peer_id in key]:
            await self._close(key)

    async def close(self) -> None:
        """End every connection. Idempotent."""
        self._waiting.clear()
        async with self._changed:
            self._changed.notify_all()
        for key in list(self._pcs):
            await self._close(key)

    def _seen(self, of: str) -> str:
        """Return the publisher that a viewer of `of` gets now; "" for none."""
        if of:
            return of if of in self._tracks else ""
        return self._main if self._main in self._tracks else next(iter(self._tracks), "")

    async def _end_publishing(self, peer_id: str) -> None:
        if self._tracks.pop(peer_id, None) is not None:
            await self._close((peer_id, ""))

    async def _close(self, key: Key) -> None:
        pc = self._pcs.pop(key, None)
        if pc is not None:
            await pc.close()

    async def _answer(
        self,
        key: Key,
        offer_sdp: str,
        *,
        on_track: Callable[[MediaStreamTrack], None] | None = None,
        send: list[MediaStreamTrack] | None = None,
    ) -> str:
        pc = self._pcs[key] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if on_track is not None:
            pc.on("track", on_track)

        def add_tracks() -> None:
            for track in send or []:
                pc.addTrack(self._relay.subscribe(track))

        try:
            return await answer(pc, offer_sdp, add_tracks)
        except BaseException:
            await self._close(key)
            raise
