"""The caller's process: lipline's own caller in a filtered call, a stock aiortc one in a plain call."""

import asyncio
import json
import logging
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiortc import RTCPeerConnection

from client.call.connections import until_connected
from client.call.meeting import Meeting
from client.rig.clip import load
from client.rig.order import Order, Wire
from client.rig.player import ClipAudio, ClipVideo, Start, push
from realtime.clock import MonotonicClock
from realtime.rtc.badlink.link import ImpairedLink, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend, LinkCounters
from realtime.rtc.send.caller import CallerPeer
from realtime.threads import in_thread
from signaling.messages import Role

KINDS = ("audio", "video", "rtcp", "data", "other")

_log = logging.getLogger(__name__)


async def call(order: Order, wire: Wire) -> None:
    """Join, wait for the start, play the clip over the impaired uplink until told to stop, write the counters."""
    clock = MonotonicClock()
    images, samples = await in_thread(load, Path(order.clip))
    changes: list[tuple[float, bool, str]] = []
    start = Start()
    async with AsyncExitStack() as stack:
        meeting = await stack.enter_async_context(
            Meeting(order.url, order.room, order.token, Role.CALLER, "caller", _log.info)
        )
        peer = None
        if order.filtered:
            peer = CallerPeer(
                clock, zero_ms=0.0, on_video=lambda flows, why: changes.append((clock.now_ms(), flows, why))
            )
            stack.push_async_callback(peer.close)
            pc = peer.pc
        else:
            pc = RTCPeerConnection()
            stack.push_async_callback(pc.close)
            pc.addTrack(ClipAudio(samples, start, clock))
            pc.addTrack(ClipVideo(images, start, clock))
        await meeting.offer(pc)
        await until_connected(pc)
        wire.say("connected")
        zero_ms = float(await wire.until("go"))
        link = ImpairedLink(LinkTrace.from_json(order.trace), seed=order.seed)
        uplink = ImpairedSend(pc, link, clock, zero_ms=zero_ms)
        stack.push_async_callback(uplink.close)
        start.at(zero_ms)
        playing = None
        if peer is not None:
            peer.start()
            playing = asyncio.create_task(push(images, samples, peer, zero_ms, clock))
        await wire.until("stop")
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        found = summary(uplink.counters, pc.localDescription.sdp)
        found["video_changes"] = [(time - zero_ms, flows, why) for time, flows, why in changes]
        await in_thread(Path(order.out).write_text, json.dumps(found))
        # Before the connections close: what was found is safe, and processes that take their time are ended.
        wire.say("done")


def summary(counters: LinkCounters, sdp: str) -> dict[str, Any]:
    """Return bytes per 100 ms bin: `{"offered": {"video": [[bin, bytes], ...], "audio": ..., ...}, ...}`.

    Kinds are "audio", "video", "rtcp", "data" (the data channel, with all that DTLS carries) and "other".
    """
    kinds = {**payload_types(sdp), "rtcp": "rtcp", "dtls": "data"}
    result: dict[str, Any] = {}
    for name, counter in (
        ("offered", counters.offered),
        ("delivered", counters.delivered),
        ("dropped", counters.dropped),
    ):
        sums: dict[str, dict[int, int]] = {kind: {} for kind in KINDS}
        for (number, kind), count in counter.items():
            row = sums[kinds.get(kind, "other")]
            row[number] = row.get(number, 0) + count
        result[name] = {kind: sorted(row.items()) for kind, row in sums.items()}
    return result


def payload_types(sdp: str) -> dict[str, str]:
    """Map "rtp-<payload type>" to "audio" or "video" by the media lines of `sdp`; RTX counts as video."""
    found: dict[str, str] = {}
    for kind, numbers in re.findall(r"^m=(audio|video) \d+ \S+ ([\d ]+)", sdp, flags=re.MULTILINE):
        found |= {f"rtp-{number}": kind for number in numbers.split()}
    return found
