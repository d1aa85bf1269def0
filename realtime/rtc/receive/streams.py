"""Receive over a peer connection: audio packets for the playout buffer, decoded video frames on the media clock.

aiortc's own jitter buffers and decoders are left out (see `realtime.rtc.aiortc`): audio payloads are passed on as they
are, video is assembled and decoded here. The remote tracks are read only to keep their queues empty.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from realtime.clock import Clock
from realtime.media import VideoFrame
from realtime.rtc.aiortc import (
    MediaPacket,
    OnPacket,
    SenderReport,
    VideoFeedback,
    lift_remb,
    take_packets,
    tap_sender_reports,
)
from realtime.rtc.receive.assemble import EncodedFrame
from realtime.rtc.receive.repair import VideoRepair
from realtime.rtc.receive.rtpclock import RtpClock, StreamPair
from realtime.rtc.receive.videodecode import VideoDecoder
from realtime.threads import in_thread

AudioPacketCallback = Callable[[int, int, bytes, float], None]
VideoFrameCallback = Callable[[VideoFrame, float], None]

REPAIR_S = 0.01


@dataclass
class ReceiveCounters:
    """Counts of what was received, over one connection; bytes are RTP payload."""

    audioPackets: int = 0
    audioBytes: int = 0
    videoPackets: int = 0
    videoBytes: int = 0
    framesAssembled: int = 0
    framesDecoded: int = 0
    decodeErrors: int = 0
    keyframesAsked: int = 0
    packetsAskedAgain: int = 0
    packetsRecovered: int = 0
    framesSkipped: int = 0


class ReceivedStreams:
    """Receive one audio and one video stream of `pc`. Make it before the remote description is set.

    `on_audio_packet(sequence, timestamp, payload, arrival_ms)` and `on_video_frame(frame, arrival_ms)` are called on
    the event loop and must not block; times are monotonic ms. Event loop only.

    Attributes:
        pair: media clock of both streams.
        counters: counts of what was received.
        least_remb: returns the least bit rate in bit/s that the sender of the video is allowed by REMB; 0 for no least.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        clock: Clock,
        *,
        on_audio_packet: AudioPacketCallback,
        on_video_frame: VideoFrameCallback | None = None,
    ) -> None:
        self._pc = pc
        self._clock = clock
        self._on_audio_packet = on_audio_packet
        self._on_video_frame = on_video_frame
        self._loop = asyncio.get_running_loop()
        self._repair = VideoRepair()
        self._incomplete = asyncio.Event()
        self._feedback: VideoFeedback | None = None
        self._decoder: VideoDecoder | None = None
        self._ssrc: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._taps = ExitStack()
        self._closed = False
        self.pair = StreamPair()
        self.counters = ReceiveCounters()
        self.least_remb: Callable[[], int] = lambda: 0
        pc.on("track", self._on_track)

    async def close(self) -> None:
        """Stop receiving: taps off, decoder ended, pumps awaited. Does not close the connection. Idempotent."""
        self._closed = True
        self._taps.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._decoder is not None:
            await in_thread(self._decoder.close)

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next((t.receiver for t in self._pc.getTransceivers() if t.receiver.track is track), None)
        if receiver is None or self._closed or track.kind in self._ssrc:
            return
        self._ssrc[track.kind] = -1
        if track.kind == "audio":
            self._attach(receiver, self.pair.audio, self._audio_packet)
        else:
            self._decoder = VideoDecoder(on_image=self._image_from_thread, on_error=self._error_from_thread)
            self._feedback = VideoFeedback(receiver)
            self._taps.callback(self._feedback.close)
            self._taps.callback(lift_remb(receiver, lambda: self.least_remb()))
            self._attach(receiver, self.pair.video, self._video_packet)
            self._hold(self._repair_by_time())
        self._hold(_drain(track))

    def _hold(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _attach(self, receiver: RTCRtpReceiver, clock: RtpClock, on_packet: OnPacket) -> None:
        def reported(report: SenderReport) -> None:
            if clock.ready:
                clock.sender_report(report.ntp_ms, report.rtp_timestamp)

        self._taps.callback(tap_sender_reports(receiver, reported, self._clock))
        self._taps.callback(take_packets(receiver, on_packet, self._clock))

    def _audio_packet(self, packet: MediaPacket, arrival_ms: float) -> None:
        self._follow_ssrc("audio", packet.ssrc, self.pair.audio)
        self.pair.audio.observe(packet.timestamp, arrival_ms)
        self.counters.audioPackets += 1
        self.counters.audioBytes += len(packet.payload)
        if packet.codec.lower() == "opus":
            self._on_audio_packet(packet.sequence, packet.timestamp, packet.payload, arrival_ms)

    def _video_packet(self, packet: MediaPacket, arrival_ms: float) -> None:
        self._follow_ssrc("video", packet.ssrc, self.pair.video)
        self.pair.video.observe(packet.timestamp, arrival_ms)
        self.counters.videoPackets += 1
        self.counters.videoBytes += len(packet.payload)
        self._decode(self._repair.add_packet(packet, arrival_ms))
        if self._repair.pending(arrival_ms):
            self._incomplete.set()

    def _decode(self, frames: list[EncodedFrame]) -> None:
        assert self._decoder is not None
        for frame in frames:
            self.counters.framesAssembled += 1
            if not self._decoder.put_frame(frame):
                self._repair.lost_reference()

    async def _repair_by_time(self) -> None:
        """Ask for missing packets, and end the waiting for them, whether or not other packets arrive."""
        while await self._incomplete.wait():
            self._incomplete.clear()
            while self._repair.pending(now_ms := self._clock.now_ms()):
                self._decode(self._repair.poll(now_ms))
                await self._ask(now_ms)
                await asyncio.sleep(REPAIR_S)

    async def _ask(self, now_ms: float) -> None:
        ssrc, feedback = self._repair.ssrc, self._feedback
        if ssrc is None or feedback is None:
            return
        if numbers := self._repair.requests(now_ms):
            await feedback.request_packets(ssrc, numbers)
        if self._repair.keyframe_due(now_ms):
            self.counters.keyframesAsked += 1
            await feedback.request_keyframe(ssrc)
        self.counters.packetsAskedAgain = self._repair.tracker.requested
        self.counters.packetsRecovered = self._repair.tracker.recovered

    def _follow_ssrc(self, kind: str, ssrc: int, clock: RtpClock) -> None:
        if self._ssrc[kind] != ssrc:
            self._ssrc[kind] = ssrc
            clock.reset()

    def _image_from_thread(self, image: NDArray[np.uint8], timestamp: int) -> None:
        self._call_soon(lambda: self._image(image, timestamp))

    def _error_from_thread(self) -> None:
        self._call_soon(self._decode_error)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        # The decoder thread may still hold a frame when the loop is already closed.
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _image(self, image: NDArray[np.uint8], timestamp: int) -> None:
        if self._closed or not self.pair.video.ready:
            return
        self.counters.framesDecoded += 1
        self.counters.framesSkipped = self._decoder.frames_skipped if self._decoder else 0
        if self._on_video_frame is not None:
            self._on_video_frame(VideoFrame(image, self.pair.video_ms(timestamp)), self._clock.now_ms())

    def _decode_error(self) -> None:
        self.counters.decodeErrors += 1
        self._repair.lost_reference()
        self._incomplete.set()


async def _drain(track: MediaStreamTrack) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()
