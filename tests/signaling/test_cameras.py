"""Cameras in a room: who may tell and who may wish, what newcomers hear, and what bad fields get."""

import asyncio
import json
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from signaling.client import SignalingClient, SignalingError
from signaling.errors import ErrorCode, Refused
from signaling.messages import CameraFace, CameraMode, CameraState, Error, Joined, Offer, Role, decode, encode
from signaling.rooms import STATE_GAP_S, Rooms
from signaling.server import ServerLimits, SignalingServer

STATE = CameraState("through", ("through", "away"), "real", 1200.0, 25.0, 1)
SESSION = "s" * 24


def code_of(work: Callable[[], object]) -> ErrorCode:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def cam(rooms: Rooms) -> str:
    return rooms.join("r", "t", Role.CAMERA, "desk", session=SESSION)[0].peer_id


@pytest.fixture
def ann(rooms: Rooms, cam: str) -> str:
    return rooms.join("r", "t", Role.PARTICIPANT, "Ann")[0].peer_id


@pytest.mark.parametrize(
    "message", [STATE, CameraMode("dub", to="x"), CameraFace(to="x"), CameraState("away", (), "still")]
)
def test_every_message_is_read_as_it_was_written(message: CameraState | CameraMode | CameraFace) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("field", "value"),
    [("mode", "party"), ("mode", None), ("mode", ["photo"]), ("modes", "photo"), ("modes", ["photo"] * 5),
     ("modes", ["photo", 1]), ("modes", ["x"]), ("modes", None), ("state", "<b>"), ("since_ms", -1), ("since_ms", True),
     ("since_ms", "1"), ("since_ms", float("nan")), ("since_ms", float("inf")), ("since_ms", 10**400), ("fps", 1e9),
     ("faces", 17), ("followed", -1), ("detail", "x" * 257), ("detail", "\ud800"), ("from", "no id")],
)  # fmt: skip
def test_a_field_out_of_its_limits_is_refused(field: str, value: object) -> None:
    payload = json.loads(encode(STATE)) | {field: value}
    assert code_of(lambda: decode(json.dumps(payload))) is ErrorCode.BAD_MESSAGE


def test_what_breaks_a_limit_is_not_sent() -> None:
    assert code_of(lambda: encode(CameraMode("party"))) is ErrorCode.BAD_MESSAGE
    assert code_of(lambda: encode(CameraState("away", ("away",) * 5, "real"))) is ErrorCode.BAD_MESSAGE
    assert code_of(lambda: encode(CameraState("away", (), "real", since_ms=float("nan")))) is ErrorCode.BAD_MESSAGE


def test_the_others_hear_what_a_camera_shows_and_who_comes_later_too(rooms: Rooms, cam: str, ann: str) -> None:
    told = replace(STATE, sender=cam)
    assert rooms.tell(cam, STATE, 0.0) == [(ann, told)]
    bob, deliveries = rooms.join("r", "t", Role.VIEWER)
    assert [message for to, message in deliveries if to == bob.peer_id][1] == told
    elsewhere, deliveries = rooms.join("q", "t", Role.VIEWER)
    assert deliveries == [(elsewhere.peer_id, Joined(elsewhere.peer_id))]


def test_a_forged_sender_is_overwritten(rooms: Rooms, cam: str, ann: str) -> None:
    [(_, told)] = rooms.tell(cam, CameraState("away", (), "real", sender=ann), 0.0)
    assert isinstance(told, CameraState) and told.sender == cam
    assert rooms.relay(ann, CameraMode("away", to=cam, sender=cam)) == [(cam, CameraMode("away", sender=ann))]


def test_states_in_a_flood_are_kept_but_not_passed_on(rooms: Rooms, cam: str, ann: str) -> None:
    assert rooms.tell(cam, STATE, 5.0)
    newer = CameraState("away", (), "still")
    assert rooms.tell(cam, newer, 5.0 + 0.5 * STATE_GAP_S) == []
    bob, deliveries = rooms.join("r", "t", Role.VIEWER)
    assert [m.mode for to, m in deliveries if to == bob.peer_id and isinstance(m, CameraState)] == ["away"]
    assert len(rooms.tell(cam, newer, 5.0 + 2 * STATE_GAP_S)) == 2


def test_only_cameras_tell_and_only_cameras_are_asked(rooms: Rooms, cam: str, ann: str) -> None:
    bob = rooms.join("r", "t", Role.VIEWER)[0].peer_id
    assert code_of(lambda: rooms.tell(ann, STATE, 0.0)) is ErrorCode.BAD_MESSAGE
    assert code_of(lambda: rooms.relay(ann, CameraMode("away", to=bob))) is ErrorCode.NO_SUCH_PEER
    assert code_of(lambda: rooms.tell("", STATE, 0.0)) is ErrorCode.NOT_JOINED
    assert rooms.relay(ann, CameraFace(to=cam)) == [(cam, CameraFace(sender=ann))]


def test_another_room_reaches_no_camera(rooms: Rooms, cam: str) -> None:
    stranger = rooms.join("q", "t", Role.PARTICIPANT)[0].peer_id
    assert code_of(lambda: rooms.relay(stranger, CameraMode("photo", to=cam))) is ErrorCode.NO_SUCH_PEER


def test_wishes_do_not_wait_for_a_camera_that_is_away(rooms: Rooms, cam: str, ann: str) -> None:
    rooms.tell(cam, STATE, 0.0)
    rooms.lose(cam, 1.0)
    assert code_of(lambda: rooms.relay(ann, CameraMode("photo", to=cam))) is ErrorCode.NO_SUCH_PEER
    bob, deliveries = rooms.join("r", "t", Role.VIEWER)
    assert not any(isinstance(message, CameraState) for _, message in deliveries), "an old state is none"
    back, deliveries = rooms.join("r", "t", Role.CAMERA, session=SESSION)
    assert back.peer_id == cam and len(deliveries) == 1


def test_who_comes_back_to_its_seat_hears_the_cameras(rooms: Rooms, cam: str) -> None:
    rooms.tell(cam, STATE, 0.0)
    seat = rooms.join("r", "t", Role.PARTICIPANT, session="p" * 24)[0].peer_id
    rooms.relay(cam, Offer("v=0", to=seat))
    rooms.lose(seat, 1.0)
    rooms.relay(cam, Offer("v=0", to=seat))
    _, deliveries = rooms.join("r", "t", Role.PARTICIPANT, session="p" * 24)
    assert [type(message) for _, message in deliveries] == [Joined, CameraState, Offer]


async def test_over_a_real_server_a_wish_reaches_the_camera_and_its_state_the_room() -> None:
    async with (
        asyncio.timeout(90.0),
        SignalingServer(Rooms(), port=0) as server,
        SignalingClient(server.url, "r", "t", role=Role.CAMERA, name="desk") as camera,
        SignalingClient(server.url, "r", "t", name="Ann") as page,
    ):
        await camera.receive()  # Ann came
        await page.send(CameraMode("away", to=camera.peer_id))
        assert await camera.receive() == CameraMode("away", sender=page.peer_id)
        await camera.send(STATE)
        heard = await page.receive()
        assert isinstance(heard, CameraState) and heard.sender == camera.peer_id and heard.modes == STATE.modes
        await page.send(STATE)
        refused = await page.receive()
        assert isinstance(refused, Error) and refused.code is ErrorCode.BAD_MESSAGE


async def test_a_flood_of_wishes_ends_the_connection_of_who_sends_it() -> None:
    limits = ServerLimits(messages_per_s=0.001, burst=5)
    async with (
        asyncio.timeout(90.0),
        SignalingServer(Rooms(), port=0, limits=limits) as server,
        SignalingClient(server.url, "r", "t", role=Role.CAMERA) as camera,
    ):
        async with SignalingClient(server.url, "r", "t") as page:
            with pytest.raises(SignalingError):
                for _ in range(50):
                    await page.send(CameraFace(to=camera.peer_id))
                while True:
                    message = await page.receive()
                    assert isinstance(message, Error) and message.code is ErrorCode.RATE_LIMITED
        await camera.receive()
        faces = 0
        while isinstance(await camera.receive(), CameraFace):
            faces += 1
        assert 1 <= faces <= 5
