"""People for tests of whole calls: who publishes, who watches, and renderers that draw at once."""

import asyncio
import contextlib
import json
from typing import Any, Protocol

import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray
from synth_fakes import FakeRenderer, drawn

from models.alignment import MelWindow
from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.picture.synth_api import Drawn
from realtime.rtc.control import open_channel
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import CallerPeer

CLOCK = MonotonicClock()
WINDOW = MelWindow.for_lookahead(80.0)
SHAPE = (120, 160, 3)
LOCAL = RTCConfiguration(iceServers=[])


class ShadeRenderer(FakeRenderer):
    """Render frames of one brightness, of the size that people send."""

    def __init__(self, shade: int = 30) -> None:
        super().__init__()
        self.shade = shade

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        super().render(mel_window, media_ms, speech=speech)
        return drawn(np.full(SHAPE, self.shade + len(self.calls) % 4, np.uint8))

    def hand_back(self, real_image: NDArray[np.uint8], media_ms: float, progress: float) -> Drawn:
        super().hand_back(real_image, media_ms, progress)
        return drawn(np.full(SHAPE, round(self.shade + (float(real_image.mean()) - self.shade) * progress), np.uint8))


class _Mute(asyncio.DatagramTransport):
    """A socket that sends nothing."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        super().__init__()
        self._transport = transport

    def sendto(self, data: object, addr: object = None) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class Answering(Protocol):
    """A node that answers offers, as `LiplineNode` does."""

    async def accept_caller(self, offer_sdp: str, peer_id: str, name: str, *, main: bool) -> str: ...

    async def accept_viewer(self, offer_sdp: str, peer_id: str, of: str) -> str: ...


class Publisher:
    """Speak a tone and show frames of one brightness while `showing`; the same media go on over every connection."""

    def __init__(self, peer_id: str, shade: int) -> None:
        self.peer_id, self.shade = peer_id, shade
        self.showing = True
        self.spoken = 0  # blocks of sound given to connections
        self.peer: CallerPeer | None = None
        self._made: list[CallerPeer] = []
        self._task = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        start = CLOCK.now_ms()
        for i in range(20_000):
            await CLOCK.sleep_until(start + 20.0 * i)
            if self.peer is None:
                continue
            t = (i * BLOCK_SAMPLES + np.arange(BLOCK_SAMPLES)) / 48_000
            tone = np.asarray(8000 * np.sin(2 * np.pi * 440 * t), np.int16)
            self.peer.put_audio(AudioBlock(tone, start + 20.0 * i))
            self.spoken += 1
            if i % 4 == 0 and self.showing:  # 12.5 a second: what is tested here is not speed
                self.peer.put_frame(VideoFrame(np.full(SHAPE, self.shade + i // 2 % 4, np.uint8), start + 20.0 * i))

    async def publish(self, node: Answering, *, main: bool = False) -> None:
        """Offer a new connection, as at first and after a failure."""
        peer = CallerPeer(CLOCK, zero_ms=0.0, configuration=LOCAL)
        self._made.append(peer)
        await peer.pc.setLocalDescription(await peer.pc.createOffer())
        sdp = await node.accept_caller(peer.pc.localDescription.sdp, self.peer_id, self.peer_id, main=main)
        await peer.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        # Not started: on a machine that stalls its watch would take our own loop for a bad uplink and pause the video.
        self.peer = peer

    async def vanish(self) -> None:
        """Die like a process without power: nothing is sent any more, not even a goodbye."""
        assert self.peer is not None
        for transport in {t.receiver.transport.transport for t in self.peer.pc.getTransceivers()}:
            for protocol in list(transport._connection._protocols):
                protocol.transport = _Mute(protocol.transport)

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        for peer in self._made:
            await peer.close()


class Watcher:
    """Watch one person and note the brightness and time of every picture, every packet of sound, every word told."""

    def __init__(self, peer_id: str, of: str = "") -> None:
        self.peer_id, self.of = peer_id, of
        self.pc = RTCPeerConnection(LOCAL)
        self.shown: list[tuple[float, float]] = []
        self.packets: list[int] = []
        self.told: list[dict[str, Any]] = []
        self.channel: RTCDataChannel = open_channel(self.pc)
        self.channel.on("message", lambda text: self.told.append(json.loads(text)))
        self.streams = ReceivedStreams(
            self.pc,
            CLOCK,
            on_audio_packet=lambda sequence, timestamp, payload, at: self.packets.append(timestamp),
            on_video_frame=lambda frame, at: self.shown.append((at, float(frame.image.mean()))),
        )

    @property
    def shade(self) -> float:
        """Return how bright the newest picture is; -1 before the first."""
        return self.shown[-1][1] if self.shown else -1.0

    async def watch(self, node: Answering) -> None:
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = await node.accept_viewer(self.pc.localDescription.sdp, self.peer_id, self.of)
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def close(self) -> None:
        await self.streams.close()
        await self.pc.close()
