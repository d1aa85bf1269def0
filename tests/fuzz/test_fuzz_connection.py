"""Broken RTP and RTCP on a connection that stands: what DTLS lets through may be anything, and the call goes on."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import (
    RTCP_BYE,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)
from fuzz_material import U16, U32, broken, fuzz, largest, opus_payloads, picture, some, video_payloads
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.avskew.call import connected
from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.rtc.control import ControlChannel
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.caller import CallerPeer
from realtime.rtc.send.opus import OpusDecoder

CLOCK = MonotonicClock()
KEPT = 1100


class Call:
    """Keep one caller and one receiver connected on a loop of their own; every example is thrown at them."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.escaped: list[str] = []
        self.loop.set_exception_handler(lambda loop, context: self.escaped.append(repr(context)))
        self.frames = self.blocks = 0
        self.run(self._open())

    def run(self, work: Coroutine[object, None, None]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(work, 120.0))

    async def _open(self) -> None:
        self.caller = CallerPeer(CLOCK, zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]))
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        decoder = OpusDecoder()

        def heard(sequence: int, timestamp: int, payload: bytes, at_ms: float) -> None:
            self.blocks += decoder(payload) is not None

        def seen(frame: VideoFrame, at_ms: float) -> None:
            self.frames += frame.image.shape == picture(0).shape

        self.streams = ReceivedStreams(self.pc, CLOCK, on_audio_packet=heard, on_video_frame=seen)
        ControlChannel(self.pc)  # without pongs the caller takes its uplink for dead and rests its video
        offerer = self.caller.pc
        await offerer.setLocalDescription(await offerer.createOffer())
        await self.pc.setRemoteDescription(offerer.localDescription)
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        await offerer.setRemoteDescription(RTCSessionDescription(self.pc.localDescription.sdp, "answer"))
        await connected(offerer, self.pc)
        self.caller.start()
        self._number = 0
        await self.talk(25)

    async def talk(self, blocks: int) -> None:
        """Send good media."""
        for _ in range(blocks):
            self.caller.put_audio(AudioBlock(TONE, self._number * 20.0))
            if self._number % 2 == 0:
                self.caller.put_frame(VideoFrame(picture(self._number // 2), self._number * 20.0))
            self._number += 1
            await asyncio.sleep(0.02)

    @property
    def stands(self) -> bool:
        """Return whether both ends are connected, the node reads both tracks, and no task or callback has failed."""
        ends = (self.caller.pc, self.pc)
        tracks = [receiver.track for receiver in self.pc.getReceivers()]
        alive = len(tracks) == 2 and all(track.readyState == "live" for track in tracks)
        return alive and all(pc.connectionState == "connected" for pc in ends) and not self.escaped

    @property
    def ssrcs(self) -> list[int]:
        return [t.sender._ssrc for t in self.caller.pc.getTransceivers()]

    @property
    def payload_types(self) -> list[int]:
        types = {c.payloadType for t in self.pc.getTransceivers() for c in t._codecs}
        return sorted(each for each in types if each is not None)

    async def throw_rtp(self, packets: list[bytes]) -> None:
        transport = self.pc.getTransceivers()[0].receiver.transport
        for data in packets:
            await transport._handle_rtp_data(data, arrival_time_ms=round(CLOCK.now_ms()))

    async def throw_rtcp(self, packets: list[bytes], *, at_caller: bool) -> None:
        pc = self.caller.pc if at_caller else self.pc
        transport = pc.getTransceivers()[0].receiver.transport
        for data in packets:
            await transport._handle_rtcp_data(data)

    async def recover(self) -> None:
        """Send good media until both kinds arrive again."""
        frames, blocks = self.frames, self.blocks
        for _ in range(600):
            if self.frames >= frames + 3 and self.blocks >= blocks + 3:
                return
            await self.talk(5)
        received = f"{self.frames - frames} frames and {self.blocks - blocks} blocks"
        raise AssertionError(f"{received} in 10 s; {self.streams.counters}")

    async def _close(self) -> None:
        await self.caller.close()
        await self.streams.close()
        await self.pc.close()

    def close(self) -> None:
        self.run(self._close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=60.0))
        self.loop.close()
        assert not [task for task in left if not task.done()]


def _tone() -> NDArray[np.int16]:
    samples = OpusDecoder()(opus_payloads()[30])
    assert samples is not None and samples.shape == (BLOCK_SAMPLES,)
    return samples


TONE = _tone()


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    before = set(threading.enumerate())
    made = Call()
    yield made
    made.close()
    assert not [t.name for t in threading.enumerate() if t not in before and t.is_alive()]
    assert not made.escaped


Rtp = tuple[int, int, int, int, bool, bytes, str, bytes]
"""SSRC and payload type by index, sequence, timestamp, marker, payload, how it is spoiled, and with what."""


@st.composite
def rtp(draw: st.DrawFn) -> Rtp:
    """Draw what a packet is made of; SSRC and payload type by index, for they are known only to the running call."""
    payload = draw(
        st.one_of(
            some(opus_payloads()[:5]),
            broken(some(p for c in ("VP8", "H264") for frame in video_payloads(c) for p in frame)),
            st.binary(max_size=30),
        )
    )
    spoil = draw(st.sampled_from(("no", "no", "cut", "flip", "csrc", "extension", "padding")))
    return (
        draw(st.integers(0, 3)), draw(st.integers(0, 12)), draw(U16), draw(U32), draw(st.booleans()), payload, spoil,
        draw(st.binary(min_size=1, max_size=20)),
    )  # fmt: skip


def assembled(call: Call, made: Rtp) -> bytes:
    ssrc, kind, sequence, stamp, marker, payload, spoil, junk = made
    types, ssrcs = call.payload_types, call.ssrcs
    packet = RtpPacket(
        payload_type=types[kind] if kind < len(types) else kind, sequence_number=sequence, timestamp=stamp,
        marker=int(marker), ssrc=ssrcs[ssrc] if ssrc < len(ssrcs) else ssrc, payload=payload,
    )  # fmt: skip
    data = bytearray(packet.serialize())
    if spoil == "cut":
        del data[junk[0] % len(data) :]
    elif spoil == "flip":
        data[junk[0] % len(data)] ^= junk[-1] or 1
    elif spoil == "csrc":
        data[0] |= 0x0F
    elif spoil == "extension":
        data[0] |= 0x10
        data[12:12] = b"\xbe\xde" + junk
    elif spoil == "padding":
        data[0] |= 0x20
        data[-1:] = junk[:1]
    return bytes(data)


@fuzz(0.5)
@given(st.lists(st.one_of(rtp(), st.binary(max_size=60)), min_size=1, max_size=25))
def test_after_any_rtp_the_connection_stands_and_little_is_kept(call: Call, packets: list[Rtp | bytes]) -> None:
    call.run(call.throw_rtp([p if isinstance(p, bytes) else assembled(call, p) for p in packets]))
    assert largest(call.streams).size <= KEPT, largest(call.streams)
    assert call.stands


def reports(ssrcs: list[int]) -> st.SearchStrategy[list[RtcpReceiverInfo]]:
    info = st.builds(
        RtcpReceiverInfo, ssrc=st.sampled_from(ssrcs), fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-(1 << 23), (1 << 23) - 1), highest_sequence=U32, jitter=U32, lsr=U32, dlsr=U32,
    )  # fmt: skip
    return st.lists(info, max_size=3)


def rtcp(ssrcs: list[int]) -> st.SearchStrategy[bytes]:
    """Draw well-formed RTCP with absurd content, broken RTCP, and bytes."""
    ssrc = st.sampled_from(ssrcs)
    sender = st.builds(
        RtcpSenderInfo, ntp_timestamp=st.one_of(st.integers(0, (1 << 64) - 1), st.sampled_from((1, (1 << 64) - 1))),
        rtp_timestamp=U32, packet_count=U32, octet_count=U32,
    )  # fmt: skip
    remb = st.builds(pack_remb_fci, st.integers(0, (1 << 63) - 1), st.lists(ssrc, max_size=3))
    whole = st.one_of(
        st.builds(RtcpSrPacket, ssrc=ssrc, sender_info=sender, reports=reports(ssrcs)),
        st.builds(RtcpRrPacket, ssrc=ssrc, reports=reports(ssrcs)),
        st.builds(RtcpRtpfbPacket, fmt=st.sampled_from((1, 15)), ssrc=ssrc, media_ssrc=ssrc,
                  lost=st.sets(U16, max_size=40).map(sorted)),
        st.builds(RtcpPsfbPacket, fmt=st.sampled_from((1, 2, 4, 15)), ssrc=ssrc, media_ssrc=ssrc,
                  fci=st.one_of(remb, st.binary(max_size=40).map(lambda b: b[: len(b) // 4 * 4]))),
    ).map(bytes)  # fmt: skip
    return st.one_of(whole, broken(whole), st.binary(max_size=60))


@fuzz(0.5)
@given(st.data())
def test_after_any_rtcp_the_connection_stands_and_little_is_kept(call: Call, data: st.DataObject) -> None:
    known = [*call.ssrcs, 0, 0xFFFFFFFF]
    packets = data.draw(st.lists(rtcp(known).filter(lambda p: not goodbye(p)), min_size=1, max_size=15))
    at_caller = data.draw(st.booleans())
    call.run(call.throw_rtcp(packets, at_caller=at_caller))
    assert largest(call.streams).size <= KEPT and largest(call.caller).size <= KEPT
    assert call.stands


def goodbye(data: bytes) -> bool:
    """Tell a BYE, which ends the stream as it should, wherever it stands in a compound packet."""
    at = 0
    while at + 4 <= len(data):
        if data[at + 1] == RTCP_BYE:
            return True
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def test_media_flows_after_all_that(call: Call) -> None:
    call.run(call.recover())
    assert call.streams.pair.audio.ready and call.streams.pair.video.ready
