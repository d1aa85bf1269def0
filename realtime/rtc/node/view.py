"""One viewer of one publisher: the filtered sound and picture, sent over a peer connection of their own."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender

from realtime.clock import Clock
from realtime.media import AudioBlock, OutputFrame
from realtime.picture.stats import OutputStatus
from realtime.rtc.aiortc import EncoderRate, report_media_time
from realtime.rtc.control import ControlChannel
from realtime.rtc.node.negotiate import answer
from realtime.rtc.send.bitrate import BitrateController
from realtime.rtc.send.mediantp import MediaNtp
from realtime.rtc.send.tracks import BlockAudioTrack, EngineVideoTrack

AUDIO_BPS = 32_000
"""Bit rate of Opus to viewers, in bit/s."""
VIDEO_BPS = 30_000, 1_200_000, 3_000_000
"""Least, first and greatest bit rate of video to viewers, in bit/s."""


@dataclass(frozen=True, slots=True)
class SendCounters:
    """Counts of what was not sent as it came.

    Attributes:
        blocksDropped: blocks of 20 ms dropped because the queue was full.
        blocksLate: blocks that came after silence had gone out in their place.
        blocksSilent: blocks of silence sent because none came in time.
        framesSkipped: pictures replaced by a newer one before the encoder took them.
        framesThinned: pictures left out because the bit rate was too low for all of them.
    """

    blocksDropped: int = 0
    blocksLate: int = 0
    blocksSilent: int = 0
    framesSkipped: int = 0
    framesThinned: int = 0


class View:
    """Send what one publisher shows to one viewer. One event loop; `await close()` in a `finally`.

    `of` is the publisher's peer id, "" for the room's main speaker. `gone()` is called when the connection
    failed or the viewer closed it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        of: str,
        rtc: RTCConfiguration,
        gone: Callable[[], None],
    ) -> None:
        self.of = of
        self.pc = RTCPeerConnection(rtc)
        self._clock = clock
        self._ntp = MediaNtp()
        self._audio = BlockAudioTrack(clock, zero_ms=0.0, bitrate=AUDIO_BPS)
        self._video = EngineVideoTrack(zero_ms=0.0)
        self._channel = ControlChannel(self.pc)
        self._encoder: EncoderRate | None = None
        self._taps = ExitStack()

        def changed() -> None:
            if self.pc.connectionState in ("failed", "closed"):
                gone()

        self.pc.on("connectionstatechange", changed)

    async def connect(self, offer_sdp: str) -> str:
        """Answer the viewer's offer (it receives audio and video).

        Raises:
            NegotiationError: the offer is not usable.
        """

        def add_tracks() -> None:
            self._report(self.pc.addTrack(self._audio), self._audio.media_ms)
            video = self.pc.addTrack(self._video)
            self._encoder = EncoderRate(video, BitrateController(*VIDEO_BPS), self._clock)
            self._taps.callback(self._encoder.close)
            self._report(video, self._video.media_ms)

        return await answer(self.pc, offer_sdp, add_tracks)

    def _report(self, sender: RTCRtpSender, media_ms: Callable[[int], float]) -> None:
        def unix_ms(pts: int) -> float | None:
            return self._ntp.unix_ms(media_ms(pts), self._clock.now_ms(), time.time() * 1000.0)

        self._taps.callback(report_media_time(sender, unix_ms))

    def put_block(self, block: AudioBlock) -> None:
        """Send 20 ms of sound."""
        self._ntp.note(block.leaves_ms, self._clock.now_ms())
        self._audio.put_block(block)

    def put_frame(self, frame: OutputFrame) -> None:
        """Send a picture."""
        self._video.put_frame(frame.image, frame.leaves_ms)

    def send_status(self, status: OutputStatus) -> None:
        """Send what is shown over the data channel, if the viewer opened one."""
        self._channel.tell(status)

    @property
    def counters(self) -> SendCounters:
        """Counts of what was not sent as it came."""
        return SendCounters(
            blocksDropped=self._audio.blocks_dropped,
            blocksLate=self._audio.blocks_late,
            blocksSilent=self._audio.blocks_silent,
            framesSkipped=self._video.frames_skipped,
            framesThinned=self._encoder.frames_thinned if self._encoder else 0,
        )

    async def close(self) -> None:
        """End the connection. Idempotent."""
        self._audio.stop()
        self._video.stop()
        self._taps.close()
        await self.pc.close()
