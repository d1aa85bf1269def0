"""A camera in a room over a real server: it tells its state, does what is asked, and comes back with the server."""

import asyncio
from collections.abc import Callable

import pytest
from cam_desk import Desk, until

from client.cam.room import CamRoom
from client.errors import UsageError
from client.main import build_parser
from realtime.cam.modes import Mode
from signaling.client import SignalingClient
from signaling.messages import CameraFace, CameraMode, CameraState, Role
from signaling.rooms import Rooms
from signaling.server import SignalingServer


async def told(page: SignalingClient, fits: Callable[[CameraState], bool]) -> CameraState:
    while True:
        message = await page.receive()
        if isinstance(message, CameraState) and fits(message):
            return message


def camera_of(page: SignalingClient) -> str:
    return next(peer.peer_id for peer in page.peers.values() if peer.role is Role.CAMERA)


async def test_a_room_sees_the_state_and_switches_the_camera() -> None:
    desk, said = Desk(), list[str]()
    async with (
        asyncio.timeout(90.0),
        SignalingServer(Rooms(), port=0) as server,
        CamRoom(server.url, "r", "t", "desk", desk.switch, said.append),
        SignalingClient(server.url, "r", "t") as page,
    ):
        state = await told(page, lambda state: True)
        assert state.sender == camera_of(page) and state.modes == ("through", "dub", "away")
        await page.send(CameraMode("away", to=state.sender))
        assert (await told(page, lambda state: state.mode == "away")).faces == 0
        await page.send(CameraMode("photo", to=state.sender))
        assert "no photo" in (await told(page, lambda state: state.detail != "")).detail
        await page.send(CameraFace(to=state.sender))
        await until(lambda: desk.faces.asked)
    assert desk.call.chosen == [Mode.AWAY]
    assert "everybody with the link" in said[0] and "'r'" in said[0]


async def test_the_camera_comes_back_with_the_server() -> None:
    desk, said = Desk(), list[str]()
    async with asyncio.timeout(90.0):
        first = SignalingServer(Rooms(), port=0)
        await first.__aenter__()
        port = first.port
        async with CamRoom(first.url, "r", "t", "desk", desk.switch, said.append):
            await first.close()
            await until(lambda: any("the room is gone" in line for line in said))
            async with SignalingServer(Rooms(), port=port) as again, SignalingClient(again.url, "r", "t") as page:
                state = await told(page, lambda state: True)
                await page.send(CameraMode("dub", to=state.sender))
                await told(page, lambda state: state.mode == "dub")
    assert "back in the room" in said


async def test_a_room_that_is_opened_with_another_token_meanwhile_ends_the_tries_but_not_the_camera() -> None:
    desk, said = Desk(), list[str]()
    async with asyncio.timeout(90.0):
        first = SignalingServer(Rooms(), port=0)
        await first.__aenter__()
        port = first.port
        async with CamRoom(first.url, "r", "t", "desk", desk.switch, said.append):
            await first.close()
            async with SignalingServer(Rooms(), port=port) as again, SignalingClient(again.url, "r", "other"):
                await until(lambda: any("nobody in the room can switch" in line for line in said))
    assert desk.switch.state().mode == "through"


async def test_a_wrong_token_and_a_missing_server_are_told_at_once() -> None:
    desk = Desk()
    async with asyncio.timeout(90.0):
        async with SignalingServer(Rooms(), port=0) as server, SignalingClient(server.url, "r", "t"):
            with pytest.raises(UsageError, match="token"):
                async with CamRoom(server.url, "r", "wrong", "desk", desk.switch, print):
                    pass
            url = server.url
        with pytest.raises(UsageError, match="cannot reach"):
            async with CamRoom(url, "r", "t", "desk", desk.switch, print):
                pass


@pytest.mark.parametrize("given", [["--join", "ws://127.0.0.1:1"], ["--token", "t"]])
def test_a_room_is_asked_for_with_its_token(given: list[str]) -> None:
    parser = build_parser("cam")
    options = parser.parse_args(["cam", *given])
    with pytest.raises(UsageError, match="go together"):
        options.run(options)
