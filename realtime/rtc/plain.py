"""The node without the filter: stock aiortc receives, relays and sends. What lipline is compared with."""

import asyncio

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaRelay

from realtime.rtc.node import NegotiationError, answer


class PlainNode:
    """Forward one caller to any number of viewers with aiortc's own buffers, decoders and encoders.

    Takes the offers that `LiplineNode` takes. The caller comes first: a viewer's offer waits `patience_s` for it.
    One event loop; `await close()` in a `finally`.
    """

    def __init__(self, *, rtc: RTCConfiguration | None = None, patience_s: float = 30.0) -> None:
        self._rtc = rtc or RTCConfiguration(iceServers=[])
        self._patience_s = patience_s
        self._relay = MediaRelay()
        self._tracks: dict[str, MediaStreamTrack] = {}
        self._ready = asyncio.Event()
        self._pcs: dict[str, RTCPeerConnection] = {}

    async def accept_caller(self, offer_sdp: str, peer_id: str = "caller", name: str = "") -> str:
        """Answer a caller's offer, whatever its name; raises NegotiationError when it is not usable."""
        await self.drop(peer_id)
        pc = RTCPeerConnection(self._rtc)
        self._pcs[peer_id] = pc
        self._tracks.clear()
        self._ready.clear()

        def on_track(track: MediaStreamTrack) -> None:
            self._tracks[track.kind] = track

        pc.on("track", on_track)
        sdp = await self._answer(pc, offer_sdp, peer_id, sending=False)
        self._ready.set()
        return sdp

    async def accept_viewer(self, offer_sdp: str, peer_id: str = "viewer") -> str:
        """Answer a viewer's offer; raises NegotiationError when it is not usable or no caller comes."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise NegotiationError("there is no caller to forward: let the caller join first") from error
        await self.drop(peer_id)
        self._pcs[peer_id] = RTCPeerConnection(self._rtc)
        return await self._answer(self._pcs[peer_id], offer_sdp, peer_id, sending=True)

    async def add_candidate(self, peer_id: str, candidate: str, mid: str = "") -> None:
        """Do nothing: the comparison runs on complete offers."""

    async def drop(self, peer_id: str) -> None:
        """End the connection of `peer_id`, if there is one."""
        pc = self._pcs.pop(peer_id, None)
        if pc is not None:
            await pc.close()

    async def close(self) -> None:
        """End every connection. Idempotent."""
        for peer_id in list(self._pcs):
            await self.drop(peer_id)

    async def _answer(self, pc: RTCPeerConnection, offer_sdp: str, peer_id: str, *, sending: bool) -> str:
        def add_tracks() -> None:
            for track in self._tracks.values():
                pc.addTrack(self._relay.subscribe(track))

        try:
            return await answer(pc, offer_sdp, add_tracks if sending else None)
        except BaseException:
            await self.drop(peer_id)
            raise
