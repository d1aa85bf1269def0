"""Sender reports pair timestamps with the time that media is of, whenever its packets were sent."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection

from realtime.clock import MonotonicClock
from realtime.rtc import aiortc as compat
from realtime.rtc.aiortc import SenderFeedback, SenderReport
from realtime.rtc.send.tracks import EngineVideoTrack

Until = Callable[..., Awaitable[None]]
CLOCK = MonotonicClock()
UNIX_MS = 1_000_000_000_000.0
NTP_1970_MS = 2_208_988_800_000.0


async def test_reports_are_of_the_picture_and_not_of_its_sending(
    make_pc: Callable[[], RTCPeerConnection], negotiate: Any, until: Until
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
