import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RtpPacket
from peers import Negotiate, Until
from virtual_time import PatientClock

from realtime.clock import Clock, MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend, datagram_kind
from realtime.rtc.control import ControlChannel
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import LOW_SPEECH, CallerPeer
from realtime.rtc.send.opus import OpusDecoder
from realtime.rtc.send.packer import SpeechMode
from realtime.rtc.send.uplink import UplinkConfig, UplinkState, UplinkWatch

# The fewest steps that show the whole cycle in a test's time; what they decide is tested on a made clock.
QUICK = UplinkConfig(settle_ms=300.0, trial_ms=300.0, probe_backoff_ms=200.0, probe_backoff_max_ms=200.0)


class Wire:
    """A caller and a receiving end: frames carry their number in their brightness, audio is a tone."""

    def __init__(self, clock: Clock) -> None:
        configuration = RTCConfiguration(iceServers=[])
        self.clock, self.watch = clock, UplinkWatch(QUICK)
        self.zero_ms = clock.now_ms()
        self.node = RTCPeerConnection(configuration)
        self.audio: list[tuple[int, int, bytes, float]] = []
        self.frames: list[VideoFrame] = []
        self.video_packets: list[tuple[float, int]] = []
        """How many video packets had come, seen every 20 ms."""
        self.signals: list[bool] = []
        self.streams = ReceivedStreams(
            self.node,
            clock,
            on_audio_packet=lambda *packet: self.audio.append(packet),
            on_video_frame=lambda frame, at: self.frames.append(frame),
        )
        ControlChannel(self.node, self.signals.append)
        self.pauses: list[bool] = []
        self.caller = CallerPeer(
            clock,
            zero_ms=self.zero_ms,
            configuration=configuration,
            watch=self.watch,
            on_video=lambda flows, reason: self.pauses.append(not flows),
        )
        self.impaired: ImpairedSend | None = None
        self.first_pts: dict[str, int] = {}
        self.first_timestamp: dict[str, int] = {}
        self.remember_first_pts(self.caller.audio)
        self.remember_first_pts(self.caller.video)
        self.feeder = asyncio.create_task(self.feed())

    def path_ms(self, kind: str, media_ms: Callable[[int], float]) -> float:
        """Return media time minus capture time of the first frame or block of the stream."""
        rate = 90.0 if kind == "video" else 48.0
        return media_ms(self.first_timestamp[kind]) - (self.zero_ms + self.first_pts[kind] / rate)

    def remember_first_pts(self, track: Any) -> None:
        receive = track.recv

        async def recv() -> Any:
            media = await receive()
            self.first_pts.setdefault(track.kind, media.pts)
            return media

        track.recv = recv

    def remember_first_timestamps(self) -> None:
        """Note the timestamp of the first packet of each stream before aiortc forgets it."""
        for sender in self.caller.pc.getSenders():
            history: dict[int, RtpPacket] = vars(sender)["_RTCRtpSender__rtp_history"]
            for packet in history.values():  # in the order in which they were sent
                self.first_timestamp.setdefault(sender.kind, packet.timestamp)

    async def feed(self) -> None:
        """Push media in real time: 50 blocks and 25 frames a second, all stamped on one clock."""
        texture = np.random.default_rng(1).integers(0, 60, (120, 160, 3), dtype=np.uint8)
        start = self.clock.now_ms()
        for i in range(10_000):
            await self.clock.sleep_until(start + 20.0 * i)
            self.remember_first_timestamps()
            self.video_packets.append((self.clock.now_ms(), self.streams.counters.videoPackets))
            media_ms = start + 20.0 * i
            t = (i * BLOCK_SAMPLES + np.arange(BLOCK_SAMPLES)) / 48_000
            tone = np.asarray(8000 * np.sin(2 * np.pi * 440 * t), np.int16)
            self.caller.put_audio(AudioBlock(tone, media_ms))
            if i % 2 == 0:
                self.caller.put_frame(VideoFrame(texture + np.uint8(i // 2 % 16 * 12), media_ms))

    async def close(self) -> None:
        self.feeder.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.feeder
        if self.impaired is not None:
            await self.impaired.close()
        await self.caller.close()
        await self.streams.close()
        await self.node.close()


@pytest.fixture(params=[MonotonicClock])
async def wire(negotiate: Negotiate, request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    wire = Wire(request.param())
    await negotiate(wire.caller.pc, wire.node)
    wire.caller.start()
    yield wire
    await wire.close()


async def test_speech_and_pictures_arrive_on_one_clock(wire: Wire, until: Until) -> None:
    await until(lambda: len(wire.frames) >= 30 and len(wire.audio) >= 60 and wire.streams.pair.synchronized)
    counters = wire.streams.counters
    assert counters.decodeErrors == 0
    assert counters.framesDecoded >= 30 and counters.videoPackets >= counters.framesAssembled >= 30
    decoder = OpusDecoder()
    samples = [decoder(payload) for _, _, payload, _ in wire.audio]
    assert all(block is not None and block.shape == (BLOCK_SAMPLES,) for block in samples)
    # Speech was captured at start + 20 i, pictures at start + 40 j: on our media clock they keep that grid, together.
    # A machine that others hold up may leave some out.
    audio_ms = [wire.streams.pair.audio_ms(timestamp) for _, timestamp, _, _ in wire.audio[-20:]]
    video_ms = [frame.media_ms for frame in wire.frames[-10:]]
    for steps_ms, grid_ms in ((np.diff(video_ms), 40.0), (np.diff(audio_ms), 20.0)):
        steps = np.round(steps_ms / grid_ms)
        assert steps.min() >= 1 and np.allclose(steps_ms, steps * grid_ms, atol=1.0)
    # What was captured together has one media time, though the streams' RTP timestamps have nothing in common.
    skew_ms = wire.path_ms("video", wire.streams.pair.video_ms) - wire.path_ms("audio", wire.streams.pair.audio_ms)
    assert abs(skew_ms) < 40.0
    assert {(frame.image.shape, frame.image.dtype) for frame in wire.frames} == {((120, 160, 3), np.dtype(np.uint8))}


async def test_a_caller_that_is_gone_ends_the_tracks(wire: Wire, until: Until) -> None:
    await until(lambda: len(wire.frames) > 3)
    await wire.caller.close()
    tracks = [receiver.track for receiver in wire.node.getReceivers()]
    await until(lambda: len(tracks) == 2 and all(track.readyState == "ended" for track in tracks))
    await wire.caller.close()


async def test_a_closed_caller_leaves_its_senders_as_aiortc_made_them() -> None:
    caller = CallerPeer(MonotonicClock(), zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]))
    senders = caller.pc.getSenders()
    await caller.close()
    assert len(senders) == 2
    for sender in senders:
        for name in ("_handle_rtcp_packet", "_next_encoded_frame", "_retransmit", "_send_rtcp"):
            assert getattr(getattr(sender, name), "__func__", None) is getattr(RTCRtpSender, name), name


@pytest.mark.parametrize("wire", [PatientClock], indirect=True)
async def test_a_collapse_pauses_video_keeps_speech_and_recovers(wire: Wire, until: Until) -> None:
    await until(lambda: wire.watch.floor_ms is not None and wire.watch.state is UplinkState.SENDING)
    await until(lambda: len(wire.frames) > 10 and wire.watch.state is UplinkState.SENDING)
    zero_ms, before = wire.clock.now_ms(), len(wire.signals)

    def since_ms() -> float:
        return wire.clock.now_ms() - zero_ms

    link = ImpairedLink(LinkTrace((LinkStep(0, 60, 15),)), seed=5)
    wire.impaired = ImpairedSend(wire.caller.pc, link, wire.clock, zero_ms=zero_ms)
    await until(lambda: wire.pauses[-1:] == [True])
    assert wire.caller.audio.mode == LOW_SPEECH
    await until(lambda: wire.signals[before:] == [False])
    # What was sent before that message has passed the link or was dropped; in 300 ms so has what was sent before now.
    drained_ms = since_ms() + 300.0
    await until(lambda: since_ms() > drained_ms + 1500.0)
    enough_ms = since_ms()
    # Speech flows in full, and no video packet has come for a while.
    recent = [number for number, *_, at in wire.audio if drained_ms < at - zero_ms < enough_ms]
    assert len(recent) >= 5 and set(np.diff(recent) % 65536) == {1}
    counts = [count for at, count in wire.video_packets if drained_ms < at - zero_ms < enough_ms]
    assert len(counts) > 10 and counts[0] == counts[-1]
    await wire.impaired.close()
    await until(lambda: wire.signals[before:] == [False, True])
    assert wire.caller.audio.mode == SpeechMode(24_000)
    frames = len(wire.frames)
    await until(lambda: len(wire.frames) > frames + 10)
    # While video rests all of it, pings and reports too, stays within what a narrow link bears.
    quiet = range(int(drained_ms // 100) + 1, int(enough_ms // 100))
    offered_bytes = sum(n for (number, _), n in wire.impaired.counters.offered.items() if number in quiet)
    assert offered_bytes * 8 / (100.0 * len(quiet)) <= 55.0  # a short while, and it may hold a probe
    kinds = {kind for _, kind in wire.impaired.counters.dropped}
    assert any(kind.startswith("rtp-") for kind in kinds)
    offered, delivered = wire.impaired.counters.offered, wire.impaired.counters.delivered
    assert sum(delivered.values()) < sum(offered.values())
    narrow = [
        sum(size for (number, _), size in delivered.items() if number == each) * 8 / 100
        for each in range(1, int(enough_ms // 100))
    ]
    # A bin of 100 ms may hold one datagram more than its share, counted where its last bit arrives.
    assert max(narrow) <= 60 + 1_300 * 8 / 100 and np.mean(narrow) <= 62


def test_datagrams_are_named_by_their_first_bytes() -> None:
    assert datagram_kind(bytes([0x80, 0xE0]) + bytes(10)) == "rtp-96"
    assert datagram_kind(bytes([0x80, 0x60]) + bytes(10)) == "rtp-96"
    assert datagram_kind(bytes([0x80, 200]) + bytes(10)) == "rtcp"
    assert datagram_kind(bytes([22, 0xFE])) == "dtls"
    assert datagram_kind(b"") == "other" == datagram_kind(bytes([1, 1]))
