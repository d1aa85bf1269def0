"""What aiortc's senders report, and when they do not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket

from realtime.clock import MonotonicClock
from realtime.rtc import aiortc as compat
from realtime.rtc.aiortc import SenderReport
from realtime.rtc.send.tracks import BlockAudioTrack, EngineVideoTrack

Until = Callable[..., Awaitable[None]]
CLOCK = MonotonicClock()


def report(ssrc: int) -> RtcpSrPacket:
    return RtcpSrPacket(ssrc, RtcpSenderInfo(ntp_timestamp=1 << 32, rtp_timestamp=7, packet_count=0, octet_count=0))


async def test_a_stream_that_rests_is_not_reported_but_says_goodbye(
    make_pc: Callable[[], RTCPeerConnection], negotiate: Any, until: Until
) -> None:
    a, b = make_pc(), make_pc()
    sender = a.addTrack(EngineVideoTrack(zero_ms=0.0))
    await negotiate(a, b)
    receiver = b.getReceivers()[0]
    reports: list[SenderReport] = []
    byes: list[str] = []
    compat.tap_sender_reports(receiver, reports.append, CLOCK)
    compat.tap_bye(receiver, lambda: byes.append("bye"))
    rests = True
    undo = compat.quiet_reports(sender, lambda: rests)
    # aiortc's own reports have no time before the first picture: those with one are ours.
    await sender._send_rtcp([report(sender._ssrc)])
    await asyncio.sleep(0.1)
    assert reports == []
    rests = False
    await sender._send_rtcp([report(sender._ssrc)])
    await until(lambda: len(reports) == 1)
    rests = True
    await sender._send_rtcp([RtcpByePacket(sources=[sender._ssrc])])
    await until(lambda: byes == ["bye"])
    undo()
    await sender._send_rtcp([report(sender._ssrc)])
    await until(lambda: len(reports) == 2)


async def test_aiortc_sends_its_reports_where_we_listen(
    make_pc: Callable[[], RTCPeerConnection], negotiate: Any, until: Until
) -> None:
    a, b = make_pc(), make_pc()
    sender: RTCRtpSender = a.addTrack(BlockAudioTrack(CLOCK, zero_ms=0.0))
    asked: list[int] = []

    def resting() -> bool:
        asked.append(1)
        return True

    compat.quiet_reports(sender, resting)
    await negotiate(a, b)
    await until(lambda: bool(asked))
