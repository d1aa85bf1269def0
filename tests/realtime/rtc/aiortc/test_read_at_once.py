"""What waits in the kernel is read in one turn of the loop."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCPeerConnection

from realtime.rtc.aiortc import read_at_once

Connect = Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[None]]
JUNK = b"\xff"


def sockets(pc: RTCPeerConnection) -> list[Any]:
    assert pc.sctp is not None
    return list(pc.sctp.transport.transport._connection._protocols)


async def connected(make_pc: Callable[[], RTCPeerConnection], negotiate: Connect) -> RTCPeerConnection:
    a, b = make_pc(), make_pc()
    a.createDataChannel("x")
    await negotiate(a, b)
    return b


async def test_all_that_waits_is_read_in_one_turn(make_pc: Callable[[], RTCPeerConnection], negotiate: Connect) -> None:
    pc = await connected(make_pc, negotiate)
    protocol = next(each for each in sockets(pc) if "." in each.transport.get_extra_info("sockname")[0])
    received = 0
    take = protocol.receiver.data_received

    def note(data: bytes, component: int) -> None:
        nonlocal received
        received += data == JUNK
        take(data, component)

    async def turns_for(count: int) -> int:
        nonlocal received
        received = turns = 0
        for _ in range(count):
            stranger.sendto(JUNK, protocol.transport.get_extra_info("sockname"))
        while received < count:
            await asyncio.sleep(0)
            turns += 1
        return turns

    protocol.receiver.data_received = note
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        undo = read_at_once(pc)
        assert await turns_for(20) <= 3
        undo()
        assert await turns_for(20) >= 20, "asyncio reads one datagram a turn: this piece of ours may go"


async def test_reading_at_once_ends_with_the_connection(
    make_pc: Callable[[], RTCPeerConnection], negotiate: Connect
) -> None:
    pc = await connected(make_pc, negotiate)
    protocols, files = sockets(pc), len(os.listdir("/proc/self/fd"))
    read_at_once(pc)
    assert len(os.listdir("/proc/self/fd")) == files + len(protocols)
    await pc.close()
    assert len(os.listdir("/proc/self/fd")) <= files - len(protocols)
    assert not any("datagram_received" in vars(each) for each in protocols)
