"""A lost connection is taken up again through a real server."""

import asyncio
import logging
from asyncio import TimerHandle
from collections.abc import Callable
from contextvars import Context

import pytest
from relay import Relay
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from signaling.client import SignalingClient, SignalingError, backoff_s
from signaling.errors import ErrorCode
from signaling.messages import CLOSE_RESUMED, Answer, Joined, Offer, PeerJoined, PeerLeft, Role, decode
from signaling.rooms import Rooms
from signaling.server import ServerLimits, SignalingServer

SESSION = "secret-session-of-ann"
JOIN = f'{{"v":1,"type":"join","room":"r","token":"t","role":"participant","session":"{SESSION}"}}'


async def lose(client: SignalingClient, link: Relay) -> None:
    """Break the connection as a dead network does."""
    link.cut()
    with pytest.raises(SignalingError, match="broke"):
        await client.receive()


async def away(rooms: Rooms) -> None:
    async with asyncio.timeout(90.0):
        while rooms.next_expiry_s is None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_client_comes_back_as_the_same_peer_and_gets_what_waited() -> None:
    rooms = Rooms()
    async with (
        SignalingServer(rooms, port=0) as server,
        Relay(server.url) as link,
        SignalingClient(server.url, "r", "t", role=Role.NODE) as node,
        SignalingClient(link.url, "r", "t", session=SESSION) as ann,
    ):
        assert isinstance(await node.receive(), PeerJoined)
        await lose(ann, link)
        with pytest.raises(SignalingError):
            await ann.send(Offer("into the void", to=node.peer_id))
        await away(rooms)
        before = ann.peer_id
        await node.send(Answer("while away", to=before))
        async with SignalingClient(server.url, "r", "t", role=Role.VIEWER) as bob:
            assert before in bob.peers
            assert await ann.reconnect()
            assert ann.peer_id == before and set(ann.peers) == {node.peer_id, bob.peer_id}
            assert await ann.receive() == Answer("while away", sender=node.peer_id)
            await ann.send(Offer("again", to=node.peer_id))
            assert await node.receive() == PeerJoined(ann.peers[bob.peer_id])
            assert await node.receive() == Offer("again", sender=before)
        assert await node.receive() == PeerLeft(bob.peer_id)
        assert rooms.next_expiry_s is None


async def test_a_seat_that_nobody_takes_up_ends_by_itself() -> None:
    rooms = Rooms(seat_s=0.05)
    async with (
        SignalingServer(rooms, port=0) as server,
        Relay(server.url) as link,
        SignalingClient(server.url, "r", "t", role=Role.NODE) as node,
        SignalingClient(link.url, "r", "t", session=SESSION) as ann,
    ):
        assert isinstance(await node.receive(), PeerJoined)
        before = ann.peer_id
        await lose(ann, link)
        async with asyncio.timeout(90.0):
            assert await node.receive() == PeerLeft(before)
        assert not await ann.reconnect(), "the old seat is gone: this is a new one"
        assert ann.peer_id != before


async def test_leaving_and_being_thrown_out_keep_no_seat() -> None:
    rooms = Rooms()
    async with SignalingServer(rooms, port=0, limits=ServerLimits(messages_per_s=0.001, burst=4)) as server:
        async with SignalingClient(server.url, "r", "t", session=SESSION):
            assert rooms.peer_count == 1
        async with asyncio.timeout(90.0):
            while rooms.peer_count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        async with connect(server.url) as socket:
            await socket.send(JOIN)
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.send("nonsense")
                    await socket.recv()
        async with asyncio.timeout(90.0):
            while rooms.peer_count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert rooms.next_expiry_s is None


async def test_the_newest_connection_of_a_session_has_the_seat_and_the_old_one_is_closed() -> None:
    rooms = Rooms()
    async with (
        SignalingServer(rooms, port=0) as server,
        SignalingClient(server.url, "r", "t", role=Role.NODE) as node,
        SignalingClient(server.url, "r", "t", session=SESSION) as old,
        SignalingClient(server.url, "r", "t", session=SESSION) as new,
    ):
        assert new.peer_id == old.peer_id
        with pytest.raises(SignalingError, match="another connection") as caught:
            await old.receive()
        assert caught.value.lasting
        assert isinstance(await node.receive(), PeerJoined)
        await new.send(Offer("mine", to=node.peer_id))
        assert await node.receive() == Offer("mine", sender=new.peer_id), "nobody heard of the change"
        async with connect(server.url) as third:
            await third.send(JOIN)
            joined = decode(await third.recv())
            assert isinstance(joined, Joined) and joined.peer_id == old.peer_id
            with pytest.raises(SignalingError):
                await new.receive()
            await node.send(Answer("for the newest", to=joined.peer_id))
            assert decode(await third.recv()) == Answer("for the newest", sender=node.peer_id)
        assert rooms.peer_count == 2
    assert CLOSE_RESUMED == 4001


async def test_a_wrong_token_gets_no_seat_and_harms_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        SignalingServer(Rooms(), port=0) as server,
        SignalingClient(server.url, "r", "t", role=Role.NODE) as node,
        SignalingClient(server.url, "r", "t", session=SESSION) as ann,
    ):
        with pytest.raises(SignalingError) as caught:
            async with SignalingClient(server.url, "r", "guessed", session=SESSION):
                pass
        assert caught.value.code is ErrorCode.BAD_TOKEN and caught.value.lasting
        await node.send(Answer("still here", to=ann.peer_id))
        assert await ann.receive() == Answer("still here", sender=node.peer_id)
    assert SESSION not in caplog.text


async def test_a_closed_server_leaves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms, loop = Rooms(), asyncio.get_running_loop()
    server = SignalingServer(rooms, port=0)
    call_later, timers = loop.call_later, list[TimerHandle]()

    def noted(
        delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> TimerHandle:
        timer = call_later(delay, callback, *args, context=context)
        if getattr(callback, "__self__", None) is server:
            timers.append(timer)
        return timer

    monkeypatch.setattr(loop, "call_later", noted)
    async with server, Relay(server.url) as link, SignalingClient(link.url, "r", "t", session=SESSION) as ann:
        await lose(ann, link)
        await away(rooms)
        assert [timer.cancelled() for timer in timers] == [False]
        await server.close()
        assert [timer.cancelled() for timer in timers] == [True]


async def test_reconnecting_to_nobody_says_that_it_may_be_tried_again() -> None:
    server = SignalingServer(Rooms(), port=0)
    async with server, SignalingClient(server.url, "r", "t", session=SESSION) as ann:
        await server.close()
        with pytest.raises(SignalingError, match="cannot reach") as caught:
            await ann.reconnect()
        assert not caught.value.lasting


def test_waits_grow_to_eight_seconds() -> None:
    assert [backoff_s(n) for n in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert backoff_s(100_000) == 8.0
