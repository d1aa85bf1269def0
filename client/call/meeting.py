"""A seat in a room for as long as a call lasts: it outlives broken signaling connections, and offers to the node."""

import asyncio
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiortc import RTCPeerConnection, RTCSessionDescription

from client.errors import UsageError
from signaling.client import SignalingClient, SignalingError, backoff_s
from signaling.errors import Refused
from signaling.messages import PUBLISHING, Answer, Error, Message, Offer, PeerLeft, Role

ANSWER_S = 15.0
GIVE_UP_S = 60.0

Say = Callable[[str], None]


class Meeting:
    """A seat in a room for as long as the `async with` block lasts.

    A connection to the server that breaks is made again, with the same seat if the server still keeps it. `say` is
    called with a sentence when it broke and when it is back. One event loop.
    """

    def __init__(self, url: str, room: str, token: str, role: Role, name: str, say: Say) -> None:
        # Whoever knows the session may take our seat: it is made anew for every call and told to the server alone.
        self.client = SignalingClient(url, room, token, role=role, name=name, session=secrets.token_urlsafe(24))
        self._say = say
        self._changed = asyncio.Event()
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        self._listening = asyncio.create_task(self._listen(), name="meeting")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self.client.close()

    async def run(self) -> None:
        """Wait for the end of the room.

        Raises:
            UsageError: the node left, or the server is gone for good.
        """
        assert self._listening is not None
        await asyncio.shield(self._listening)

    async def offer(self, pc: RTCPeerConnection, of: str = "") -> None:
        """Offer `pc`, whose tracks or transceivers are in place, to the node and take its answer; `of` as in `Offer`.

        Raises:
            UsageError: there is no node, it refused or did not answer in time, or the room is not reached.
        """
        waiting = self._answers[of] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_S):
                node = await self._node()
                # aiortc has no trickle ICE: the local description is complete once this returns.
                await pc.setLocalDescription(await pc.createOffer())
                await self.client.send(Offer(sdp=pc.localDescription.sdp, to=node, of=of))
                await pc.setRemoteDescription(RTCSessionDescription(sdp=await waiting, type="answer"))
        except TimeoutError as error:
            raise UsageError(
                f"no lipline node answered within {ANSWER_S:g} s: start one with `lipline serve`"
            ) from error
        except (SignalingError, Refused) as error:
            raise UsageError(str(error)) from error
        finally:
            waiting.cancel()
            if self._answers.get(of) is waiting:
                del self._answers[of]

    async def somebody_else(self) -> str:
        """Wait until somebody else who may publish is in the room; return the peer id of who joined first."""
        while True:
            self._changed.clear()
            for peer in self.client.peers.values():
                if peer.role in PUBLISHING and peer.peer_id != self.client.peer_id:
                    return peer.peer_id
            await self._changed.wait()

    async def _node(self) -> str:
        while True:
            self._changed.clear()
            for peer in self.client.peers.values():
                if peer.role is Role.NODE:
                    return peer.peer_id
            await self._changed.wait()

    async def _listen(self) -> None:
        try:
            while True:
                try:
                    async for message in self.client:
                        self._take(message)
                    raise UsageError("the server is gone (it stopped): join again when it is back")
                except SignalingError as error:
                    await self._return(error)
        except UsageError as error:
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(UsageError(str(error)))
            raise

    def _take(self, message: Message) -> None:
        match message:
            case Answer() if message.of in self._answers and not self._answers[message.of].done():
                waiting = self._answers[message.of]
                if message.sdp:
                    waiting.set_result(message.sdp)
                else:
                    waiting.set_exception(UsageError(f"the lipline node refused: {message.detail}"))
            case PeerLeft() if not any(peer.role is Role.NODE for peer in self.client.peers.values()):
                raise UsageError("the lipline node left the call: join again when it is back")
            case Error():
                self._say(f"the room: {message.detail}")
        self._changed.set()

    async def _return(self, broke: SignalingError) -> None:
        """Join again, with growing waits, for at most `GIVE_UP_S`."""
        if broke.lasting:
            raise UsageError(broke.detail) from broke
        self._say("the signaling connection broke: joining again (the call goes on)")
        waited_s = 0.0
        for attempt in range(1000):
            await asyncio.sleep(backoff_s(attempt))
            waited_s += backoff_s(attempt)
            try:
                same = await self.client.reconnect()
                break
            except SignalingError as error:
                if error.lasting or waited_s >= GIVE_UP_S:
                    raise UsageError(f"the server is gone ({error}): join again when it is back") from error
        self._say("joined again" if same else "joined again, on another seat")
        self._changed.set()
