"""Our caller: sends video and speech, and pauses the video while the uplink cannot carry both."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.rtcconfiguration import RTCConfiguration

from realtime.clock import Clock
from realtime.media import AudioBlock, VideoFrame
from realtime.rtc.aiortc import (
    EncoderRate,
    SenderFeedback,
    quiet_reports,
    report_media_time,
    tap_sender_feedback,
)
from realtime.rtc.control import Control, ControlType, decode, open_channel, send
from realtime.rtc.send.bitrate import BitrateController
from realtime.rtc.send.mediantp import MediaNtp
from realtime.rtc.send.packer import SpeechMode
from realtime.rtc.send.tracks import BlockAudioTrack, EngineVideoTrack
from realtime.rtc.send.uplink import Action, LiftLimit, PauseVideo, ResumeVideo, SendPing, UplinkWatch

log = logging.getLogger(__name__)

TICK_S = 0.02
REPEAT_MS = 100.0
REPEAT_PAUSED_MS = 300.0
VIDEO_BPS = 30_000, 600_000, 900_000
"""Least, first and greatest bit rate of the video, in bit/s."""
SPEECH = SpeechMode(24_000)
# While video is paused: 20 kbit/s in packets of 40 ms, with in-band FEC, are 31 on the wire; 24 in 20 ms are 47.
LOW_SPEECH = SpeechMode(20_000, expected_loss=25, frames=2)


class CallerPeer:
    """Send one caller's media over a peer connection that this object owns.

    Push media with `put_frame` and `put_audio` in real time, negotiate with `pc` (offer side), then `start`. While the
    uplink is bad the video is paused and speech goes on. Belongs to one event loop; `await close()` in a `finally`.

    Attributes:
        pc: the peer connection.
        video: track of the pictures.
        audio: track of the speech.
        channel: the caller's end of the data channel.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        zero_ms: float,
        configuration: RTCConfiguration | None = None,
        watch: UplinkWatch | None = None,
        on_video: Callable[[bool, str], None] | None = None,
    ) -> None:
        """Make the connection and its tracks.

        `zero_ms` is the media time that both tracks count from; `on_video(flows, reason)` is called when the video
        pauses and returns.
        """
        self._clock = clock
        self._watch = watch or UplinkWatch()
        self._on_video = on_video
        self._task: asyncio.Task[None] | None = None
        self._change = 0
        self._acked = 0
        self._repeat_ms = 0.0
        self.pc = RTCPeerConnection(configuration)
        self.video = EngineVideoTrack(zero_ms=zero_ms)
        self.audio = BlockAudioTrack(clock, zero_ms=zero_ms, bitrate=SPEECH.bitrate)
        self.channel = open_channel(self.pc)
        self.channel.on("message", self._on_message)
        audio_sender = self.pc.addTrack(self.audio)
        video_sender = self.pc.addTrack(self.video)
        self._prefer("audio", "audio/opus")
        self._rate = BitrateController(*VIDEO_BPS)
        self._encoder = EncoderRate(video_sender, self._rate, clock)
        self._ntp = MediaNtp()
        self._taps = ExitStack()
        self._taps.callback(self._encoder.close)
        self._taps.callback(tap_sender_feedback(audio_sender, self._on_feedback))
        self._taps.callback(tap_sender_feedback(video_sender, self._on_feedback))
        self._taps.callback(quiet_reports(video_sender, lambda: self._encoder.paused))
        self._taps.callback(report_media_time(audio_sender, lambda pts: self._unix_ms(self.audio.media_ms(pts))))
        self._taps.callback(report_media_time(video_sender, lambda pts: self._unix_ms(self.video.media_ms(pts))))

    def put_frame(self, frame: VideoFrame) -> None:
        """Offer a captured frame; it is dropped while video is paused."""
        self._ntp.note(frame.media_ms, self._clock.now_ms())
        if not self._encoder.paused:
            self.video.put_frame(frame.image, frame.media_ms)

    def put_audio(self, block: AudioBlock) -> None:
        """Queue 20 ms of captured speech."""
        self._ntp.note(block.leaves_ms, self._clock.now_ms())
        self.audio.put_block(block)

    def start(self) -> None:
        """Begin to watch the uplink; the watch waits until the data channel opens."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop the watch and close the connection. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._taps.close()
        await self.pc.close()

    def _unix_ms(self, media_ms: float) -> float | None:
        return self._ntp.unix_ms(media_ms, self._clock.now_ms(), time.time() * 1000.0)

    def _prefer(self, kind: str, mime: str) -> None:
        codecs = [c for c in RTCRtpSender.getCapabilities(kind).codecs if c.mimeType.lower() == mime]
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == kind:
                transceiver.setCodecPreferences(codecs)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self.channel.readyState != "open":
                continue
            now_ms = self._clock.now_ms()
            self._carry_out(self._watch.tick(now_ms), now_ms)
            if self._acked < self._change and now_ms >= self._repeat_ms:
                self._tell(now_ms)

    def _carry_out(self, actions: list[Action], now_ms: float) -> None:
        for action in actions:
            match action:
                case SendPing():
                    send(self.channel, Control(ControlType.PING, action.number, action.pad))
                case PauseVideo():
                    self._encoder.pause()
                    self.audio.set_mode(LOW_SPEECH)
                    self._changed(now_ms, action.reason)
                case ResumeVideo():
                    # REMB is still about the time before the pause: it must neither raise nor lower the trial's rate.
                    self._rate.begin_trial(action.bitrate, now_ms)
                    self._encoder.resume()
                    self.audio.set_mode(SPEECH)
                    self._changed(now_ms, "the uplink has room again")
                case LiftLimit():
                    self._rate.end_trial()

    def _changed(self, now_ms: float, reason: str) -> None:
        log.info("video %s: %s", "paused" if self._encoder.paused else "resumed", reason)
        self._change += 1
        self._tell(now_ms)
        if self._on_video is not None:
            self._on_video(not self._encoder.paused, reason)

    def _tell(self, now_ms: float) -> None:
        kind = ControlType.VIDEO_PAUSED if self._encoder.paused else ControlType.VIDEO_RESUMED
        send(self.channel, Control(kind, self._change))
        # On a narrow link repetitions compete with speech.
        self._repeat_ms = now_ms + (REPEAT_PAUSED_MS if self._encoder.paused else REPEAT_MS)

    def _on_message(self, message: object) -> None:
        control = decode(message)
        if control is None:
            return
        now_ms = self._clock.now_ms()
        if control.type is ControlType.PONG:
            self._carry_out(self._watch.pong(control.number, now_ms), now_ms)
        elif control.type is ControlType.ACK and control.number <= self._change:
            self._acked = max(self._acked, control.number)

    def _on_feedback(self, feedback: SenderFeedback) -> None:
        if feedback.fraction_lost is not None:
            now_ms = self._clock.now_ms()
            self._carry_out(self._watch.loss(feedback.fraction_lost, now_ms), now_ms)
