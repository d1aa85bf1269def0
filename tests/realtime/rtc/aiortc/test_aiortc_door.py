import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from fractions import Fraction
from types import MethodType
from typing import Any

import aiortc.clock
import aiortc.codecs.vpx
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, pack_remb_fci
from peers import MakePc, Negotiate, Until

from realtime.clock import Clock, MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock
from realtime.rtc import aiortc as compat
from realtime.rtc.aiortc import EncoderRate, MediaPacket, SenderFeedback, SenderReport
from realtime.rtc.aiortc import guard as aiortc_guard
from realtime.rtc.aiortc import sender as aiortc_send
from realtime.rtc.send.tracks import BlockAudioTrack, EngineVideoTrack

CLOCK = MonotonicClock()
OPUS, VP8 = 96, 97  # payload types: aiortc's first two dynamic ones


def payload_type(datagram: bytes) -> int | None:
    """Return the payload type of a datagram of media, None for any other (RFC 7983, RFC 5761)."""
    kind = datagram[1] & 0x7F
    return kind if datagram[0] >> 6 == 2 and not 64 <= kind <= 95 else None


class Rate:
    """A controller that does as it is told, and notes what it hears."""

    def __init__(self, bitrate: int) -> None:
        self.bitrate = bitrate
        self.interval_ms = 0.0
        self.heard: list[tuple[str, float]] = []

    def remb(self, bitrate: float) -> None:
        self.heard.append(("remb", bitrate))

    def loss(self, fraction: float, now_ms: float) -> None:
        self.heard.append(("loss", fraction))

    def rtt(self, rtt_ms: float, now_ms: float) -> None:
        self.heard.append(("rtt", rtt_ms))

    def encoder_rate(self, now_ms: float) -> int:
        return self.bitrate

    def frame_interval_ms(self, bitrate: int) -> float:
        return self.interval_ms


class PictureClock(Clock):
    """Tell 40 ms for every picture that was put: how often pictures are sent is judged by their number."""

    def __init__(self, track: EngineVideoTrack) -> None:
        self._track = track

    def now_ms(self) -> float:
        return 40.0 * self._track.frames_put

    async def sleep_until(self, when_ms: float) -> None:
        raise NotImplementedError


class Call:
    """Two connected peers: `a` sends noise pictures and silence, `b` receives."""

    def __init__(self, a: RTCPeerConnection, b: RTCPeerConnection) -> None:
        self.a, self.b = a, b
        self.zero_ms = CLOCK.now_ms()
        self.video = EngineVideoTrack(zero_ms=self.zero_ms)
        self.audio = BlockAudioTrack(CLOCK, zero_ms=self.zero_ms)
        self.video_sender = a.addTrack(self.video)
        self.audio_sender = a.addTrack(self.audio)
        self.rate = Rate(200_000)
        self.encoder = EncoderRate(self.video_sender, self.rate, PictureClock(self.video))

    def receiver(self, kind: str) -> RTCRtpReceiver:
        return next(t.receiver for t in self.b.getTransceivers() if t.kind == kind)

    async def feed(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (16, 120, 160, 3), dtype=np.uint8)
        for count in itertools.count():
            media_ms = self.zero_ms + 20.0 * count  # of the media, however late this loop is
            self.audio.put_block(AudioBlock(np.zeros(BLOCK_SAMPLES, np.int16), media_ms))
            if count % 2 == 0:
                self.video.put_frame(noise[count // 2 % 16], media_ms)
            await asyncio.sleep(0.02)


def take(call: Call, kind: str) -> tuple[list[MediaPacket], compat.Undo]:
    """Take the packets of one kind that `b` receives; return where they go, and what gives them back to aiortc."""
    packets: list[MediaPacket] = []
    return packets, compat.take_packets(call.receiver(kind), lambda packet, at: packets.append(packet), CLOCK)


@pytest.fixture
async def call(make_pc: MakePc, negotiate: Negotiate) -> AsyncIterator[Call]:
    call = Call(make_pc(), make_pc())
    feeder = asyncio.create_task(call.feed())
    await negotiate(call.a, call.b)
    yield call
    feeder.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeder


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiortc_guard, "version", lambda name: "1.17.0")
    compat.require_tested_aiortc.cache_clear()
    with pytest.raises(compat.AiortcVersionError, match=r"aiortc==1\.16\.0"):
        compat.require_tested_aiortc()
    monkeypatch.undo()
    compat.require_tested_aiortc.cache_clear()
    compat.require_tested_aiortc()


def ntp_ms() -> float:
    """Return the time in ms since 1900 on the clock that aiortc puts into its reports."""
    return aiortc.clock.current_ntp_time() / 2.0**32 * 1000.0


async def test_packets_with_their_arrival_and_sender_reports_are_given_and_given_back(call: Call, until: Until) -> None:
    packets: list[tuple[MediaPacket, float]] = []
    reports: list[SenderReport] = []
    sent: dict[int, float] = {}
    held: list[asyncio.Future[None]] = []

    def note(datagram: bytes, forward: compat.Forward) -> None:
        if payload_type(datagram) == OPUS:
            sent[int.from_bytes(datagram[4:8], "big")] = ntp_ms()
        held.append(asyncio.ensure_future(forward(datagram)))

    undo_send = compat.intercept_send(call.a, note)
    await until(lambda: bool(sent))
    audio, began_ms = call.receiver("audio"), CLOCK.now_ms()
    undo = compat.take_packets(audio, lambda *arrived: packets.append(arrived), CLOCK)
    undo_reports = compat.tap_sender_reports(audio, reports.append, CLOCK)
    await until(lambda: len(packets) > 20 and sum(report.rtp_timestamp in sent for report in reports) >= 2)
    steps = np.diff([packet.timestamp for packet, _ in packets]) % 2**32
    assert (steps > 0).all() and (steps % BLOCK_SAMPLES == 0).all() and steps.min() == BLOCK_SAMPLES
    arrivals = [at_ms for _, at_ms in packets]
    assert arrivals == sorted(arrivals) and began_ms <= arrivals[0] and arrivals[-1] <= CLOCK.now_ms()
    assert {packet.codec for packet, _ in packets} == {"opus"}
    # A report pairs the stream's own timestamp with the sender's wall clock: when that packet left, and no later one.
    told = [report for report in reports if report.rtp_timestamp in sent]
    await until(lambda: list(sent)[-1] != told[-1].rtp_timestamp)
    later = dict(itertools.pairwise(sent))
    for report in told:
        assert sent[report.rtp_timestamp] <= report.ntp_ms <= sent[later[report.rtp_timestamp]]
    undo()
    undo_reports()
    undo_send()
    await asyncio.gather(*held)
    count, count_reports, passed = len(packets), len(reports), list[int]()

    async def watch(datagram: bytes, forward: compat.Forward) -> None:
        passed.append(datagram[1])
        await forward(datagram)

    compat.intercept_receive(call.b, watch)
    await until(lambda: sum(kind & 0x7F == OPUS for kind in passed) > 5 and 200 in passed)  # 200: a sender report
    assert len(packets) == count and len(reports) == count_reports


async def test_packets_go_to_us_instead_of_the_decoder(call: Call, until: Until) -> None:
    video = call.receiver("video")
    feedback: list[SenderFeedback] = []
    compat.tap_sender_feedback(call.video_sender, feedback.append)
    taken, undo = take(call, "video")
    await until(lambda: len(taken) > 10 and any(f.fraction_lost == 0.0 for f in feedback))
    assert {p.codec for p in taken} == {"VP8"}
    assert all(p.payload.endswith(p.data) and len(p.payload) > len(p.data) for p in taken)
    undo()
    assert isinstance(video.track, RemoteStreamTrack)
    while not video.track._queue.empty():
        await video.track.recv()  # decoded before the packets were taken
    call.encoder.request_keyframe()
    frame = await asyncio.wait_for(video.track.recv(), 90)
    assert isinstance(frame, av.VideoFrame) and frame.width == 160


async def test_holes_and_keyframes_are_asked_for_by_us_and_answered(
    call: Call, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets, _ = take(call, "video")
    feedback = compat.VideoFeedback(call.receiver("video"))
    asked: list[int] = []
    retransmit = call.video_sender._retransmit

    async def count(sequence: int) -> None:
        asked.append(sequence)
        await retransmit(sequence)

    monkeypatch.setattr(call.video_sender, "_retransmit", count)
    drop = [False]
    lost: list[int] = []
    held: list[asyncio.Future[None]] = []

    def hook(datagram: bytes, forward: compat.Forward) -> None:
        if drop[0] and payload_type(datagram) == VP8:  # RTX, with a payload type of its own, passes
            lost.append(int.from_bytes(datagram[2:4], "big"))
        else:
            held.append(asyncio.ensure_future(forward(datagram)))

    async def lose(count: int) -> None:
        """Lose that many packets at least, and wait for some that come after them."""
        drop[0], so_far = True, len(lost)
        await until(lambda: len(lost) >= so_far + count)
        drop[0], end = False, lost[-1]
        await until(lambda: sum(1 <= (packet.sequence - end) % 65536 < 32768 for packet in packets) >= 3)

    undo = compat.intercept_send(call.a, hook)
    await until(lambda: len(packets) > 5)
    ssrc = packets[0].ssrc
    await lose(2)
    wanted = lost[:2]
    assert not any(packet.sequence in lost for packet in packets)
    await feedback.request_packets(ssrc, wanted)
    await feedback.request_packets(ssrc, wanted)  # as often as we say
    await until(lambda: sum(packet.sequence in wanted for packet in packets) >= 4)
    assert asked == sorted(wanted) * 2, "aiortc itself is quiet"
    keyframes = [p for p in packets if p.payload[0] & 0x10 and p.data[0] & 1 == 0]
    await feedback.request_keyframe(ssrc)
    await until(lambda: len([p for p in packets if p.payload[0] & 0x10 and p.data[0] & 1 == 0]) > len(keyframes))
    feedback.close()
    count_now = len(packets)
    await until(lambda: len(packets) > count_now + 2)
    await lose(1)
    await until(lambda: len(asked) > 4)  # aiortc asks again
    undo()
    await asyncio.gather(*held)


async def test_requests_across_the_wrap_can_be_packed(
    call: Call, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    feedback = compat.VideoFeedback(call.receiver("video"))
    asked: list[int] = []

    async def count(sequence: int) -> None:
        asked.append(sequence)

    monkeypatch.setattr(call.video_sender, "_retransmit", count)
    await feedback.request_packets(call.video_sender._ssrc, [65_534, 65_535, 0, 1])
    await until(lambda: sorted(asked) == [0, 1, 65_534, 65_535])


async def test_incoming_media_passes_the_hook_and_data_does_not(call: Call, until: Until) -> None:
    seen: list[bytes] = []
    arrived, _ = take(call, "audio")

    async def swallow(datagram: bytes, forward: compat.Forward) -> None:
        seen.append(datagram)
        if datagram[1] == 200:  # a sender report
            await forward(datagram)

    reports: list[SenderReport] = []
    compat.tap_sender_reports(call.receiver("audio"), reports.append, CLOCK)
    await until(lambda: len(arrived) > 2)
    undo = compat.intercept_receive(call.b, swallow)
    count = len(arrived)
    await until(lambda: len(seen) > 10 and bool(reports))
    assert len(arrived) == count
    undo()
    await until(lambda: len(arrived) > count + 3)


async def test_outgoing_datagrams_pass_the_hook(call: Call, until: Until) -> None:
    seen: list[bytes] = []

    def swallow(datagram: bytes, forward: compat.Forward) -> None:
        seen.append(datagram)

    arrived, _ = take(call, "audio")
    await until(lambda: len(arrived) > 2)
    undo = compat.intercept_send(call.a, swallow)
    await until(lambda: len(seen) > 3)  # what had left before has arrived
    count = len(arrived)
    await until(lambda: len(seen) > 13)
    assert len(arrived) == count
    undo()
    await until(lambda: len(arrived) > count + 3)


async def test_interception_needs_a_transport(make_pc: MakePc) -> None:
    pc = make_pc()
    with pytest.raises(RuntimeError, match="both descriptions"):
        compat.intercept_send(pc, lambda datagram, forward: None)

    async def take(datagram: bytes, forward: compat.Forward) -> None: ...

    with pytest.raises(RuntimeError, match="both descriptions"):
        compat.intercept_receive(pc, take)
    await pc.close()


async def test_pause_stops_video_only_and_resume_begins_with_a_keyframe(call: Call, until: Until) -> None:
    video, _ = take(call, "video")
    audio, _ = take(call, "audio")
    await until(lambda: len(video) > 5)
    call.encoder.pause()
    assert call.encoder.paused

    async def sound_goes_on(packets: int) -> None:
        """Wait for sound that was sent after all that was sent so far: both go over one path, in order."""
        count = len(audio)
        await until(lambda: len(audio) >= count + packets)

    await sound_goes_on(5)
    count = len(video)
    await sound_goes_on(15)
    assert len(video) == count
    await call.video_sender._retransmit(video[-1].sequence)
    await sound_goes_on(5)
    assert len(video) == count
    call.encoder.resume()
    await until(lambda: len(video) > count)
    # The stream goes on: the next sequence number, and VP8's inverse key frame bit is 0.
    assert video[count].sequence == (video[count - 1].sequence + 1) % 65536
    assert video[count].data[0] & 1 == 0


async def test_the_encoder_keeps_our_rate_and_not_aiortcs(call: Call, until: Until) -> None:
    packets, _ = take(call, "video")
    call.rate.bitrate = 60_000
    await until(lambda: len(packets) > 3 and call.encoder.bitrate == 60_000)
    encoder: Any = aiortc_guard.private(call.video_sender, RTCRtpSender, "__encoder")
    await until(lambda: encoder.codec is not None and encoder.codec.bit_rate == 60_000)
    assert encoder.target_bitrate == 60_000 < aiortc.codecs.vpx.MIN_BITRATE
    encoder.target_bitrate = 5_000_000  # what aiortc does with REMB
    assert encoder.target_bitrate == 60_000
    codec = encoder.codec
    call.rate.bitrate = 50_000
    await until(lambda: encoder.codec is not codec and encoder.codec.bit_rate == 50_000)


@pytest.mark.parametrize("base", [Vp8Encoder, H264Encoder])
async def test_both_encoders_take_our_rate_and_vp8s_keyframes_are_bounded(call: Call, base: type[Any]) -> None:
    encoder = aiortc_send._steered(base, call.encoder)
    for pts, rate in enumerate((60_000, 60_000, 180_000)):
        call.encoder.bitrate = rate
        frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 90, np.uint8), format="bgr24")
        frame.pts, frame.time_base = 3600 * pts, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(frame)
        assert payloads and timestamp == 3600 * pts and encoder.codec.bit_rate == rate
        # What is left after opening is what the codec did not know.
        assert not {"max-intra-rate", "bufsize", "minrate", "maxrate"} & set(encoder.codec.options)
    if base is Vp8Encoder:
        encoder.codec = codec = av.CodecContext.create("libvpx", "w")
        codec.options = {"deadline": "realtime"}
        assert encoder.codec.options == {"deadline": "realtime", "max-intra-rate": "400", "noise-sensitivity": "0"}
        call.encoder.bitrate = 1_000_000
        assert encoder.target_bitrate == 6 * 320 * 240, "a small picture is not sent at the rate of a large one"


async def test_the_controller_hears_of_reports_and_remb_but_not_while_the_video_rests(call: Call, until: Until) -> None:
    heard = call.rate.heard
    await until(lambda: any(what == "rtt" and 0.0 <= value < 2_000.0 for what, value in heard))
    remb = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(70_000, [call.video_sender._ssrc]))
    await call.video_sender._handle_rtcp_packet(remb)
    assert heard[-1][0] == "remb" and 69_000 <= heard[-1][1] <= 70_000
    report = RtcpRrPacket(ssrc=1, reports=[RtcpReceiverInfo(call.video_sender._ssrc, 128, 9, 9, 0, 0, 0)])
    await call.video_sender._handle_rtcp_packet(report)
    assert heard[-1] == ("loss", 0.5)
    call.encoder.pause()
    count = len(heard)
    await call.video_sender._handle_rtcp_packet(remb)
    assert len(heard) == count


async def test_low_rates_thin_the_pictures(call: Call, until: Until) -> None:
    call.rate.interval_ms = 160.0
    await until(lambda: call.encoder.frames_thinned >= 1)
    put, thinned = call.video.frames_put, call.encoder.frames_thinned
    await until(lambda: call.encoder.frames_thinned - thinned >= 10)
    assert call.encoder.frames_thinned - thinned <= 0.8 * (call.video.frames_put - put) + 1


async def test_a_close_takes_the_wrappers_off(call: Call) -> None:
    call.encoder.close()
    assert call.video_sender._retransmit == MethodType(RTCRtpSender._retransmit, call.video_sender)


async def test_a_goodbye_is_told_and_a_broken_path_is_not(call: Call, until: Until) -> None:
    said: list[str] = []
    compat.tap_bye(call.receiver("audio"), lambda: said.append("audio"))
    await call.audio_sender.stop()  # aiortc sends RTCP BYE
    await until(lambda: bool(said))
    compat.tap_bye(call.receiver("video"), lambda: said.append("video"))
    await call.receiver("video").transport.stop()
    async with asyncio.timeout(90.0):
        with pytest.raises(MediaStreamError):  # the end of the path has been noticed
            while True:
                await call.receiver("video").track.recv()
    assert said == ["audio"]


async def test_what_waits_on_a_dead_path_is_lost_in_silence(
    make_pc: MakePc, negotiate: Negotiate, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make_pc(), make_pc()
    channel = a.createDataChannel("x")
    await negotiate(a, b)
    await until(lambda: channel.readyState == "open")

    async def dead(data: bytes) -> None:
        raise ConnectionError("the path is gone")

    monkeypatch.setattr(channel.transport.transport, "_send_data", dead)
    with pytest.raises(ConnectionError):
        channel.send("fails aloud")
        await channel.transport._data_channel_flush()
    undo = compat.survive_dead_path(channel)
    channel.send("fails in silence")
    await channel.transport._data_channel_flush()
    await channel.transport._transmit()
    undo()


async def test_a_browser_is_not_told_to_send_less_than_is_of_use(call: Call, until: Until) -> None:
    told: list[int] = []
    compat.tap_sender_feedback(call.video_sender, lambda feedback: told.append(feedback.remb_bps or 0))
    floor = 7_000_000
    undo = compat.lift_remb(call.receiver("video"), lambda: floor)
    await until(lambda: any(told))
    assert {bps for bps in told if bps} and min(bps for bps in told if bps) >= 0.99 * floor  # REMB rounds down
    undo()
    floor, told[:] = 0, []
    await until(lambda: any(0 < bps < 3_000_000 for bps in told))  # the first may have been on its way
