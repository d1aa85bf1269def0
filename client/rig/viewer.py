"""The viewer's process: watch the call as stock aiortc does, keep what came."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from aiortc import RTCPeerConnection

from client.call.joining import offer_to_node, until_connected
from client.rig.order import Order, Wire
from client.rig.seen import Viewer
from realtime.clock import MonotonicClock
from signaling.client import SignalingClient
from signaling.messages import Role


async def view(order: Order, wire: Wire) -> None:
    """Watch; write what came as npz."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            SignalingClient(order.url, order.room, order.token, role=Role.VIEWER, name="viewer")
        )
        pc = RTCPeerConnection()
        stack.push_async_callback(pc.close)
        viewer = Viewer(pc, MonotonicClock())
        await offer_to_node(client, pc)
        await until_connected(pc)
        wire.say("connected")
        zero_ms = float(await wire.until("go"))
        stopping = asyncio.create_task(wire.until("stop"))
        while not stopping.done():
            wire.say("pictures", count=viewer.pictures)
            await asyncio.wait({stopping}, timeout=0.5)
        seen = await viewer.result(zero_ms, zero_ms + order.seconds * 1000.0)
        await asyncio.to_thread(seen.save, Path(order.out))
        wire.say("done", pictures=len(seen.frame_ms))
