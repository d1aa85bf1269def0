"""A connection to the node that is made again whenever it is lost, while its sources and sinks go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiortc import RTCPeerConnection

from client.call.meeting import GIVE_UP_S, Meeting, Say
from client.errors import UsageError
from signaling.client import backoff_s

CONNECT_S = 15.0


async def until_connected(pc: RTCPeerConnection) -> None:
    """Wait until `pc` is connected, for at most `CONNECT_S`.

    Raises:
        UsageError: it failed or took too long.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            await _until_state(pc, "connected", "failed", "closed")
    except TimeoutError:
        pass
    if pc.connectionState != "connected":
        raise UsageError(f"the media connection is {pc.connectionState}: let UDP between the two machines through")


async def until_lost(pc: RTCPeerConnection) -> str:
    """Wait until `pc` has failed or is closed; return which."""
    return await _until_state(pc, "failed", "closed")


async def _until_state(pc: RTCPeerConnection, *wanted: str) -> str:
    changed = asyncio.Event()
    pc.on("connectionstatechange", changed.set)
    while pc.connectionState not in wanted:
        changed.clear()
        await changed.wait()
    return str(pc.connectionState)


class Media(Protocol):
    """One peer connection and what depends on it."""

    @property
    def pc(self) -> RTCPeerConnection:
        """Connection, whose tracks or transceivers are in place."""

    def begin(self) -> None:
        """Start what needs a connection; called once it is connected."""

    async def close(self) -> None:
        """End the connection and what depends on it. Idempotent."""


class KeptMedia:
    """One connection to the node that is made again whenever it is lost.

    `make` returns the media of a new connection; `of` waits for whom it is to show and returns their peer id, "" for
    nobody in particular. One event loop; `await close()` in a `finally`.
    """

    def __init__(self, meeting: Meeting, make: Callable[[], Media], of: Callable[[], Awaitable[str]], say: Say) -> None:
        self._meeting, self._make, self._of, self._say = meeting, make, of, say
        self._media: Media | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            UsageError: the node refused or did not answer, or no media gets through.
        """
        media = self._make()
        try:
            await self._meeting.offer(media.pc, await self._of())
            await until_connected(media.pc)
        except BaseException:
            await media.close()
            raise
        # The old one goes when the new one is there: the node closes it too, and must not take that for a goodbye.
        before, self._media = self._media, media
        media.begin()
        if before is not None:
            await before.close()

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            UsageError: it did not come back within `GIVE_UP_S` of trying.
        """
        if self._media is None:
            await self._again()
        while True:
            assert self._media is not None
            state = await until_lost(self._media.pc)
            self._say(f"a media connection is {state}: connecting again")
            await self._again()
            self._say("connected again")

    async def close(self) -> None:
        """End the connection. Idempotent."""
        if self._media is not None:
            await self._media.close()

    async def _again(self) -> None:
        loop = asyncio.get_running_loop()
        spent_s, attempt = 0.0, 0
        while True:
            await self._of()  # waiting for somebody to see is no failure to connect
            began_s = loop.time()
            try:
                await self.open()
                return
            except UsageError:
                spent_s += loop.time() - began_s
                if spent_s >= GIVE_UP_S:
                    raise
            await asyncio.sleep(backoff_s(attempt))
            spent_s += backoff_s(attempt)
            attempt += 1
