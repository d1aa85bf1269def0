"""The seat of a running `lipline cam` in a room: it reports what it shows and takes requests; no picture, no sound."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from client.cam.switch import CamSwitch
from client.errors import UsageError
from signaling.client import SignalingClient, SignalingError, backoff_s
from signaling.messages import CameraFace, CameraMode, CameraState, Error, Message, Role

_LOOK_S: Final = 0.2
_AGAIN_S: Final = 2.0


class CamRoom:
    """A camera's seat in a room for as long as the `async with` block lasts.

    When the server is gone it is tried again for as long as it takes, with waits of up to 8 s; the camera goes on
    meanwhile, and after a refusal that lasts, too. `say` receives it in plain words. One event loop.

    Raises (on entering):
        UsageError: the room is not reached or refuses.
    """

    def __init__(
        self, url: str, room: str, token: str, name: str, switch: CamSwitch, say: Callable[[str], None]
    ) -> None:
        # Whoever knows the session may take our seat: it is made anew for every run and told to the server alone.
        self.client = SignalingClient(url, room, token, role=Role.CAMERA, name=name, session=secrets.token_urlsafe(24))
        self._room, self._switch, self._say = room, switch, say
        self._told: CameraState | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Join."""
        try:
            await self.client.__aenter__()
        except SignalingError as error:
            raise UsageError(str(error)) from error
        self._say(f"everybody with the link of the room {self._room!r} can switch this camera; it shows them nothing")
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()

    async def _listen(self) -> None:
        broke = SignalingError("the server stopped")
        while not broke.lasting:
            try:
                async for message in self.client:
                    self._take(message)
                broke = SignalingError("the server stopped")
            except SignalingError as error:
                broke = error
            if not broke.lasting:
                self._say("the room is gone: joining it again (the camera goes on)")
                broke = await self._return()
        self._say(f"nobody in the room can switch this camera any more: {broke.detail} (the camera goes on)")

    async def _return(self) -> SignalingError:
        """Join again; return what lasts, or the last failure that passed."""
        attempt, failed = 0, SignalingError("the server stopped")
        while True:
            await asyncio.sleep(backoff_s(attempt))
            attempt += 1
            try:
                await self.client.reconnect()
            except SignalingError as error:
                failed = error
                if error.lasting:
                    return failed
                continue
            self._told = None
            self._say("back in the room")
            return failed

    def _take(self, message: Message) -> None:
        match message:
            case CameraMode() | CameraFace():
                self._switch.wish(message, asyncio.get_running_loop().time())
            case Error():
                self._say(f"the room: {message.detail}")

    async def _tell(self) -> None:
        """Report to the room what is shown when it changes, and every 2 s."""
        loop = asyncio.get_running_loop()
        told_s = loop.time()
        while True:
            now, now_s = self._switch.state(), loop.time()
            same = self._told is not None and replace(now, since_ms=0.0, fps=0.0) == self._told
            if not same or now_s - told_s >= _AGAIN_S:
                self._told, told_s = replace(now, since_ms=0.0, fps=0.0), now_s
                # While the room is gone nobody can be told; it is told when it is back.
                with contextlib.suppress(SignalingError):
                    await self.client.send(now)
            await asyncio.sleep(_LOOK_S)
