import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from peers import MakePc, Negotiate, Until


@pytest.fixture
async def negotiate() -> AsyncIterator[Negotiate]:
    """Give a function that connects two peers over loopback; afterwards close both and see that no thread is left."""
    threads = {t for t in threading.enumerate() if "decoder" in t.name}
    peers: list[RTCPeerConnection] = []

    async def run(offerer: RTCPeerConnection, answerer: RTCPeerConnection) -> None:
        peers.extend((offerer, answerer))
        await offerer.setLocalDescription(await offerer.createOffer())
        await answerer.setRemoteDescription(offerer.localDescription)
        await answerer.setLocalDescription(await answerer.createAnswer())
        await offerer.setRemoteDescription(answerer.localDescription)
        async with asyncio.timeout(90.0):
            while not all(pc.connectionState == "connected" for pc in (offerer, answerer)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    yield run
    await asyncio.gather(*(pc.close() for pc in peers))
    left = {t for t in threading.enumerate() if "decoder" in t.name and t.is_alive()} - threads
    assert not left


@pytest.fixture
def make_pc() -> MakePc:
    return lambda: RTCPeerConnection(RTCConfiguration(iceServers=[]))


@pytest.fixture
def until() -> Until:
    async def wait(condition: Callable[[], bool], seconds: float = 90.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    return wait
