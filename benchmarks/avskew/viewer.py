"""The viewer: notes of every picture and packet its RTP timestamp and its arrival, and every sender report.

Packets are taken as they come: no playout buffer and no clock of lipline's lies between the wire and these notes.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from benchmarks.avskew.film import brightness
from realtime.clock import Clock
from realtime.rtc.aiortc import MediaPacket, OnPacket, SenderReport, VideoFeedback, take_packets, tap_sender_reports
from realtime.rtc.receive.assemble import FrameAssembler
from realtime.rtc.receive.videodecode import VideoDecoder
from realtime.rtc.send.opus import OpusDecoder
from realtime.threads import in_thread


@dataclass
class Notes:
    """What was received.

    Attributes:
        pictures: (arrival in ms once decoded, RTP timestamp, brightness of the three patches).
        sounds: (arrival in ms, RTP timestamp, (960,) int16).
        reports: for "audio" and "video" (arrival in ms, NTP ms, RTP timestamp).
    """

    pictures: list[tuple[float, int, tuple[float, float, float]]] = field(default_factory=list)
    sounds: list[tuple[float, int, NDArray[np.int16]]] = field(default_factory=list)
    reports: dict[str, list[tuple[float, float, int]]] = field(default_factory=lambda: {"audio": [], "video": []})


class SkewViewer:
    """Receive one audio and one video stream of `pc`; make it before the offer. One event loop; `await close()`."""

    def __init__(self, pc: RTCPeerConnection, clock: Clock) -> None:
        self._pc = pc
        self._clock = clock
        self._assembler = FrameAssembler()
        self._opus = OpusDecoder()
        self._decoder = VideoDecoder(on_image=self._see, on_error=lambda: None)
        self._feedback: VideoFeedback | None = None
        self._taps = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.notes = Notes()
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
        pc.on("track", self._on_track)

    async def close(self) -> None:
        """Stop receiving; the connection stays open. Idempotent."""
        self._taps.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await in_thread(self._decoder.close)

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self._pc.getTransceivers() if t.receiver.track is track)
        if track.kind == "video":
            self._feedback = VideoFeedback(receiver)
            self._taps.callback(self._feedback.close)
        self._attach(receiver, track.kind, self._hear if track.kind == "audio" else self._assemble)
        self._tasks.append(asyncio.create_task(_drain(track)))

    def _attach(self, receiver: RTCRtpReceiver, kind: str, on_packet: OnPacket) -> None:
        def reported(report: SenderReport) -> None:
            self.notes.reports[kind].append((report.arrival_ms, report.ntp_ms, report.rtp_timestamp))

        self._taps.callback(tap_sender_reports(receiver, reported, self._clock))
        self._taps.callback(take_packets(receiver, on_packet, self._clock))

    def _hear(self, packet: MediaPacket, arrival_ms: float) -> None:
        samples = self._opus(packet.payload)
        if samples is not None:
            self.notes.sounds.append((arrival_ms, packet.timestamp, samples))

    def _assemble(self, packet: MediaPacket, arrival_ms: float) -> None:
        for frame in self._assembler.add_packet(packet, arrival_ms):
            self._decoder.put_frame(frame)
        if self._feedback is not None and self._assembler.pli_due(arrival_ms):
            self._tasks.append(asyncio.create_task(self._feedback.request_keyframe(packet.ssrc)))

    def _see(self, image: NDArray[np.uint8], timestamp: int) -> None:
        # On the decoder's thread; appending is atomic.
        seen = (brightness(image, 0), brightness(image, 1), brightness(image, 2))
        self.notes.pictures.append((self._clock.now_ms(), timestamp, seen))


async def _drain(track: MediaStreamTrack) -> None:
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return
