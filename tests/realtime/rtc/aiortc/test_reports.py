"""Sender reports: they pair timestamps with the time that media is of, and are not sent about a stream that rests."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket
from peers import MakePc, Until

from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock
from realtime.rtc import aiortc as compat
from realtime.rtc.aiortc import SenderFeedback, SenderReport
from realtime.rtc.send.tracks import BlockAudioTrack, EngineVideoTrack

Connect = Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[None]]
CLOCK = MonotonicClock()
UNIX_MS = 1_000_000_000_000.0
NTP_1970_MS = 2_208_988_800_000.0


async def test_reports_are_of_the_picture_and_not_of_its_sending(
    make_pc: MakePc, negotiate: Connect, until: Until
) -> None:
    a, b = make_pc(), make_pc()
    track, put = EngineVideoTrack(zero_ms=0.0), set[int]()
    sender = a.addTrack(track)
    known = False
    undo = compat.report_media_time(sender, lambda pts: UNIX_MS + track.media_ms(pts) if known else None)

    async def feed() -> None:
        rng = np.random.default_rng(0)
        while True:
            media_ms = 40.0 * len(put)
            put.add(round(media_ms * 90))
            track.put_frame(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), media_ms)
            # Pictures leave at any time, and reports are of their own all the same.
            await asyncio.sleep(0.04 * float(rng.uniform(0.2, 1.8)))

    feeder = asyncio.create_task(feed())
    await negotiate(a, b)
    reports: list[SenderReport] = []
    stamps: list[int] = []
    answered: list[SenderFeedback] = []
    receiver = b.getReceivers()[0]

    compat.tap_sender_reports(receiver, reports.append, CLOCK)
    compat.take_packets(receiver, lambda packet, at_ms: stamps.append(packet.timestamp), CLOCK)
    compat.tap_sender_feedback(sender, answered.append)
    await until(lambda: len(reports) >= 1)
    assert reports[0].ntp_ms > NTP_1970_MS + UNIX_MS + 1e10, "without a time of ours it is left as it was"
    known = True
    await until(lambda: len(reports) >= 4 and any(answer.rtt_ms is not None for answer in answered))
    media_ms = [report.ntp_ms - NTP_1970_MS - UNIX_MS for report in reports[1:]]
    starts = [(report.rtp_timestamp - ms * 90.0) % 2**32 for report, ms in zip(reports[1:], media_ms, strict=True)]
    assert starts == pytest.approx([starts[0]] * len(starts), abs=1.0)
    assert {(stamp - round(starts[0])) % 2**32 for stamp in stamps} <= put
    undo()
    feeder.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeder


def report(ssrc: int, timestamp: int) -> RtcpSrPacket:
    info = RtcpSenderInfo(ntp_timestamp=1 << 32, rtp_timestamp=timestamp, packet_count=0, octet_count=0)
    return RtcpSrPacket(ssrc, info)


async def test_a_stream_that_rests_is_not_reported_but_says_goodbye(
    make_pc: MakePc, negotiate: Connect, until: Until
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
    await sender._send_rtcp([report(sender._ssrc, 1)])
    rests = False
    await sender._send_rtcp([report(sender._ssrc, 2)])
    await until(lambda: bool(reports))
    assert [each.rtp_timestamp for each in reports] == [2], "the one before it would have come before it"
    rests = True
    await sender._send_rtcp([RtcpByePacket(sources=[sender._ssrc])])
    await until(lambda: byes == ["bye"])
    undo()
    await sender._send_rtcp([report(sender._ssrc, 3)])
    await until(lambda: [each.rtp_timestamp for each in reports] == [2, 3])


async def test_aiortcs_own_reports_can_be_held_back(make_pc: MakePc, negotiate: Connect, until: Until) -> None:
    a, b = make_pc(), make_pc()
    track = BlockAudioTrack(CLOCK, zero_ms=0.0)
    sender = a.addTrack(track)
    asked: list[int] = []

    def resting() -> bool:
        asked.append(1)
        return True

    undo = compat.quiet_reports(sender, resting)
    await negotiate(a, b)
    reports: list[SenderReport] = []
    compat.tap_sender_reports(b.getReceivers()[0], reports.append, CLOCK)
    track.put_block(AudioBlock(np.zeros(BLOCK_SAMPLES, np.int16), 0.0))
    await until(lambda: len(asked) >= 2)
    assert reports == []
    undo()
    await until(lambda: bool(reports))
