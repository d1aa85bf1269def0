import asyncio
import json
import logging
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from signaling.client import SignalingClient, SignalingError
from signaling.errors import ErrorCode
from signaling.messages import (
    MAX_MESSAGE_BYTES,
    Answer,
    Candidate,
    Error,
    Joined,
    Offer,
    PeerJoined,
    PeerLeft,
    Role,
    decode,
)
from signaling.rooms import Rooms
from signaling.server import ServerLimits, SignalingServer

JOIN = '{"v":1,"type":"join","room":"r","token":"t"}'


def serving(rooms: Rooms | None = None, limits: ServerLimits | None = None) -> SignalingServer:
    return SignalingServer(rooms or Rooms(), port=0, limits=limits)


async def test_offer_answer_and_candidates_reach_the_other_peer() -> None:
    async with (
        serving() as server,
        SignalingClient(server.url, "r", "t", role=Role.CALLER, name="Ann") as ann,
        SignalingClient(server.url, "r", "t", role=Role.VIEWER) as bob,
    ):
        assert bob.peers[ann.peer_id].name == "Ann"
        assert isinstance(await ann.receive(), PeerJoined)
        await ann.send(Offer("offer", to=bob.peer_id))
        assert await bob.receive() == Offer("offer", sender=ann.peer_id)
        await bob.send(Answer("answer", to=ann.peer_id))
        await bob.send(Candidate("", "0", to=ann.peer_id))
        assert await ann.receive() == Answer("answer", sender=bob.peer_id)
        assert await ann.receive() == Candidate("", "0", sender=bob.peer_id)
        await bob.close()
        assert await ann.receive() == PeerLeft(bob.peer_id)
        assert ann.peers == {}


async def test_a_wrong_token_is_refused_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server, SignalingClient(server.url, "r", "right-token"):
        with pytest.raises(SignalingError) as caught:
            async with SignalingClient(server.url, "r", "wrong-token"):
                pass
    assert caught.value.code is ErrorCode.BAD_TOKEN
    assert "right-token" not in caplog.text
    assert "wrong-token" not in caplog.text


async def ask(url: str, *frames: str | bytes) -> list[ErrorCode]:
    codes = []
    async with connect(url) as socket:
        for frame in frames:
            await socket.send(frame)
            answer = decode(await socket.recv())
            assert isinstance(answer, Error)
            codes.append(answer.code)
    return codes


async def test_every_bad_message_is_answered_and_the_connection_lives() -> None:
    async with serving() as server:
        codes = await ask(
            server.url,
            "nonsense",
            b"\x00\xff",
            "x" * (MAX_MESSAGE_BYTES + 1),
            '{"v":1,"type":"offer","sdp":"v=0","to":"b"}',
            '{"v":1,"type":"joined","peer":"b"}',
        )
    assert codes == [
        ErrorCode.BAD_JSON,
        ErrorCode.BAD_JSON,
        ErrorCode.TOO_LARGE,
        ErrorCode.NOT_JOINED,
        ErrorCode.BAD_MESSAGE,
    ]


async def test_a_second_join_is_refused() -> None:
    async with serving() as server, connect(server.url) as socket:
        await socket.send(JOIN)
        assert isinstance(decode(await socket.recv()), Joined)
        await socket.send(JOIN)
        answer = decode(await socket.recv())
    assert isinstance(answer, Error) and answer.code is ErrorCode.ALREADY_JOINED


async def test_a_huge_frame_closes_its_connection_only() -> None:
    async with serving() as server:
        async with connect(server.url) as socket:
            await socket.send("x" * (5 * MAX_MESSAGE_BYTES))
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009
        async with SignalingClient(server.url, "r", "t") as client:
            assert client.peer_id


async def test_silence_floods_and_garbage_are_cut_off() -> None:
    async with serving(limits=ServerLimits(join_timeout_s=0.05)) as server, connect(server.url) as socket:
        answer = decode(await socket.recv())
        assert isinstance(answer, Error) and answer.code is ErrorCode.TIMEOUT
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    async with serving(limits=ServerLimits(messages_per_s=0.001, burst=5)) as server:
        async with connect(server.url) as socket:
            await socket.send(JOIN)
            codes = []
            with pytest.raises(ConnectionClosed):
                for _ in range(10):
                    await socket.send('{"v":1,"type":"nonsense"}')
                    answer = decode(await socket.recv())
                    codes += [answer.code] if isinstance(answer, Error) else []
        assert codes[-1] is ErrorCode.RATE_LIMITED


async def test_a_peer_killed_mid_join_leaves_no_trace() -> None:
    rooms = Rooms()
    async with serving(rooms) as server, SignalingClient(server.url, "r", "t") as ann:
        async with connect(server.url) as socket:
            await socket.send(JOIN)
            socket.transport.abort()
        async with asyncio.timeout(90.0):
            came = await ann.receive()
            gone = await ann.receive()
        assert isinstance(came, PeerJoined)
        assert gone == PeerLeft(came.peer.peer_id)
        assert rooms.peer_count == 1


async def test_a_closing_server_says_goodbye() -> None:
    async with serving() as server, SignalingClient(server.url, "r", "t") as client:
        closing = asyncio.create_task(server.close())
        messages = [message async for message in client]
        await closing
    assert [m.code for m in messages if isinstance(m, Error)] == [ErrorCode.SHUTTING_DOWN]


async def test_health_and_unknown_paths() -> None:
    async with serving() as server, SignalingClient(server.url, "r", "t"):
        base = server.url.replace("ws://", "http://")
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(base + "health", timeout=90).read())
        health = json.loads(body)
        assert (health["status"], health["rooms"], health["peers"]) == ("ok", 1, 1)
        with pytest.raises(SignalingError, match="lipline serve"):
            async with SignalingClient(server.url + "elsewhere", "r", "t"):
                pass


async def test_no_server_is_said_clearly() -> None:
    with pytest.raises(SignalingError, match="cannot reach"):
        async with SignalingClient("ws://127.0.0.1:9/", "r", "t"):
            pass


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.text(max_size=200) | st.binary(max_size=200), min_size=1, max_size=8))
def test_no_garbage_brings_the_server_down(frames: list[str | bytes]) -> None:
    async def run() -> None:
        async with serving() as server:
            assert len(await ask(server.url, *frames)) == len(frames)
            async with SignalingClient(server.url, "r", "t") as client:
                assert client.peer_id

    asyncio.run(run())
