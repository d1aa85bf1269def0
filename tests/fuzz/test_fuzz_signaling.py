"""Broken messages and raw frames into signaling: an error code or nothing, bounded rooms, the next peer is served."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fuzz_material import broken, fuzz, largest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from signaling.client import SignalingClient
from signaling.errors import Refused
from signaling.messages import (
    MAX_MESSAGE_BYTES,
    Answer,
    CameraFace,
    CameraMode,
    CameraState,
    Candidate,
    Error,
    Join,
    Leave,
    Message,
    Offer,
    Role,
    decode,
    encode,
)
from signaling.rooms import MAX_KEPT, Rooms
from signaling.server import ServerLimits, SignalingServer

GOOD = [
    encode(message)
    for message in (
        Join("r", "t", Role.PARTICIPANT, "Ann", "s" * 16), Join("r", "t", Role.CALLER), Offer("v=0", to="b", of="c"),
        Answer("v=0", to="b"), Candidate("candidate:1", "0", to="b"), Leave(), Join("r", "t", Role.CAMERA),
        CameraState("through", ("through", "away"), "real", 12.5, 25.0, 2, 1, "why"), CameraMode("photo", to="b"),
        CameraFace(to="b"),
    )
]  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "v",
    "type",
    "room",
    "token",
    "role",
    "name",
    "session",
    "sdp",
    "to",
    "from",
    "of",
    "candidate",
    "mid",
    "peer",
    "mode",
    "modes",
    "state",
    "since_ms",
    "fps",
    "faces",
    "followed",
    "detail",
)
WILD = ("r", "b", "caller", "\ud800", "\x00", "camera", float("inf"), 10**400, ["photo"] * 5)


@st.composite
def messages(draw: st.DrawFn) -> str:
    """Draw a message with any of its fields missing or of any other kind."""
    payload: dict[str, Any] = json.loads(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(FIELDS))
        if draw(st.booleans()):
            payload.pop(name, None)
        else:
            payload[name] = draw(ANY_JSON | st.just("x" * 70_000) | st.sampled_from(WILD))
    return json.dumps(payload)


FRAMES = st.one_of(
    messages(),
    st.text(max_size=60),
    st.binary(max_size=60),
    broken(st.sampled_from([text.encode() for text in GOOD])).map(lambda data: data.decode(errors="replace")),
    st.sampled_from(("[" * 50_000, '{"v":1,' + '"a":' * 9_000, "1" * 6_000, '{"v":1e999}', "\ud800", '{"v":NaN}')),
)


@fuzz(4.0)
@given(FRAMES)
def test_any_frame_is_read_or_refused(frame: str | bytes) -> None:
    try:
        message = decode(frame)
    except Refused as error:
        assert error.code and len(error.detail) < 512
    else:
        assert len(encode(message)) <= MAX_MESSAGE_BYTES and decode(encode(message)) == message


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("join", "join", "leave", "lose", "expire", "relay", "relay", "tell", "wish")),
        st.sampled_from("rs"), st.sampled_from(("t", "u")), st.sampled_from(list(Role)),
        st.sampled_from(("", "a" * 16, "b" * 16, "c" * 16)), st.integers(0, 40), st.floats(0, 30),
    ),
    max_size=80,
)  # fmt: skip


@fuzz(3.0)
@given(STEPS)
def test_rooms_keep_their_limits_and_forget_everybody(steps: list[tuple[str, str, str, Role, str, int, float]]) -> None:
    rooms, ids, now_s = Rooms(max_rooms=2, max_peers=4), ["nobody"], 0.0
    for what, room, token, role, session, index, gap_s in steps:
        now_s += gap_s
        peer = ids[index % len(ids)]
        other = ids[(index * 7 + 1) % len(ids)]
        heard: list[tuple[str, Message]] = []
        with contextlib.suppress(Refused):
            if what == "join":
                info, heard = rooms.join(room, token, role, "x", session=session)
                ids.append(info.peer_id)
            elif what == "relay":
                heard = rooms.relay(peer, Offer("v=0", to=other))
            elif what == "wish":
                heard = rooms.relay(peer, CameraMode("away", to=other))
            elif what == "tell":
                heard = rooms.tell(peer, CameraState("through", (), "real"), now_s)
        if what == "leave":
            heard = rooms.leave(peer)
        elif what == "lose":
            heard = rooms.lose(peer, now_s)
        elif what == "expire":
            heard = rooms.expire(now_s)
        assert rooms.room_count <= 2 and rooms.peer_count <= 8
        assert all(to in ids for to, _ in heard)
        assert largest(rooms).size <= max(64, MAX_KEPT)  # 64: a token's digest in hex
    for peer in ids:
        rooms.leave(peer)
    rooms.expire(now_s + 1e6)
    assert (rooms.room_count, rooms.peer_count, rooms.next_expiry_s) == (0, 0, None)


RAW = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.just(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000),
    st.just(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"),
    broken(st.just(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\xfe\xff\xff"
    )),
)  # fmt: skip


async def serve_and(attack: Callable[[SignalingServer], Awaitable[None]]) -> None:
    """Run `attack(server)`, then see that the server serves and that nothing of the attack is left in it."""
    escaped: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(repr(context)))
    before = set(asyncio.all_tasks())
    rooms = Rooms(seat_s=0.05)
    async with asyncio.timeout(120.0):
        async with SignalingServer(rooms, port=0, limits=ServerLimits(messages_per_s=1e6, burst=10_000)) as server:
            await attack(server)
            async with (
                SignalingClient(server.url, "after", "t") as ann,
                SignalingClient(server.url, "after", "t") as bob,
            ):
                await ann.send(Offer("v=0", to=bob.peer_id))
                assert await bob.receive() == Offer("v=0", sender=ann.peer_id)
            for _ in range(2000):
                if rooms.peer_count == 0:
                    break
                await asyncio.sleep(0.02)
            assert rooms.peer_count == 0 and rooms.room_count == 0
            assert largest(server).size <= 64, largest(server)
        for _ in range(2000):
            left = [task for task in asyncio.all_tasks() - before if not task.done()]
            if not left:
                break
            await asyncio.sleep(0.02)
    assert not left and not escaped, (left, escaped)


@fuzz(0.4)
@given(st.booleans(), st.lists(FRAMES, min_size=1, max_size=25))
def test_a_server_survives_any_frames(joins: bool, frames: list[str | bytes]) -> None:
    async def attack(server: SignalingServer) -> None:
        with contextlib.suppress(ConnectionClosed):
            async with connect(server.url, max_size=None) as socket:
                if joins:
                    await socket.send(GOOD[0])
                for frame in frames:
                    # A text frame that is no UTF-8 cannot be sent by this client.
                    await socket.send(frame.encode(errors="replace").decode() if isinstance(frame, str) else frame)
                await socket.send('{"v":1,"type":"nonsense"}')
                async for answer in answers(socket):
                    assert isinstance(answer, str) and len(answer) <= MAX_MESSAGE_BYTES
                    if isinstance(decode(answer), Error) and "type" in answer:
                        break

    asyncio.run(serve_and(attack))


async def answers(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(1.0):
                yield await socket.recv()


@fuzz(0.4)
@given(st.lists(RAW, min_size=1, max_size=4))
def test_a_server_survives_any_bytes(pieces: list[bytes]) -> None:
    async def attack(server: SignalingServer) -> None:
        for piece in pieces:
            with contextlib.suppress(OSError, InvalidHandshake):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                try:
                    writer.write(piece)
                    await writer.drain()
                    writer.write_eof()
                    async with asyncio.timeout(5.0):
                        await reader.read(100_000)
                finally:
                    writer.close()

    asyncio.run(serve_and(attack))
