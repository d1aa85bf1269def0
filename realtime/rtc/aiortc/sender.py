"""Private access to aiortc's senders. Import it through `realtime.rtc.aiortc` only."""

import math
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

from realtime.clock import Clock
from realtime.rtc.aiortc.guard import Undo, private, set_private, wrap

# Aim a keyframe at no more than this much of a mean frame: an unlimited one fills a narrow link's queue at once.
MAX_INTRA_PERCENT = 400
# A higher rate per pixel is not seen: 0.46 Mbit/s at 320x240, 1.8 at 640x480.
MAX_BPS_PER_PIXEL = 6
MAX_RTT_MS = 10_000.0
EARLY_MS = 60.0

# --- What the far end reports ----------------------------------------------------------------------------------------
# Cause: REMB and receiver reports end in the sender; an application gets them by polling statistics only.
# Evidence: `_handle_rtcp_data` of RTCDtlsTransport calls `_handle_rtcp_packet` of the recipient by attribute; the
#   sender keeps `__lsr` and `__lsr_time` of its last report, the time by which it was sent.
# Removal: aiortc hands feedback to an application.


@dataclass(frozen=True, slots=True)
class SenderFeedback:
    """What the far end reports about one stream that we send.

    Either `remb_bps` is set, its rate limit, or `fraction_lost`, the loss (0..1) of the last interval, and with that
    `rtt_ms` where the report answers one of ours (RFC 3550, 6.4.1).
    """

    fraction_lost: float | None = None
    remb_bps: int | None = None
    rtt_ms: float | None = None


def tap_sender_feedback(sender: RTCRtpSender, callback: Callable[[SenderFeedback], None]) -> Undo:
    """Call `callback(feedback)` on the event loop for every receiver report and REMB about this sender's stream."""

    async def wrapper(original: Callable[..., Awaitable[None]], packet: Any) -> None:
        ssrc = sender._ssrc
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == ssrc:
                    callback(SenderFeedback(report.fraction_lost / 256.0, rtt_ms=_rtt_ms(sender, report)))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                ssrcs = []
            if ssrc in ssrcs:
                callback(SenderFeedback(remb_bps=bitrate))
        await original(packet)

    return wrap(sender, "_handle_rtcp_packet", wrapper)


def _rtt_ms(sender: RTCRtpSender, report: Any) -> float | None:
    if not report.dlsr or private(sender, RTCRtpSender, "__lsr") != report.lsr:
        return None
    # aiortc notes the wall clock: where that was set meanwhile, the result means nothing.
    rtt_ms = (time.time() - private(sender, RTCRtpSender, "__lsr_time") - report.dlsr / 65_536.0) * 1000.0
    return rtt_ms if 0.0 <= rtt_ms <= MAX_RTT_MS else None


# --- Video sender: bit rate and pause --------------------------------------------------------------------------------
# Cause: bit rate limits are module constants (VP8 250..1500 kbit/s) that a 100 kbit/s link cannot carry; a change of
#   10 % rebuilds the encoder and costs a keyframe; there is no way to pause a sender and keep its stream. VP8's
#   denoiser is on, which takes 0.3 of an encoder's time for pictures that a sender's camera has denoised already.
# Evidence: Vp8Encoder and H264Encoder read `self.target_bitrate` in encode(); RTCRtpSender._next_encoded_frame makes
#   the encoder lazily into `__encoder` and drops frames while `_enabled` is false; `_retransmit` serves NACKs.
# Removal: aiortc has RTCRtpSender.setParameters with maxBitrate and active (PR discussions #402, #1159).


class RateController(Protocol):
    """What decides a video stream's bit rate; `realtime.rtc.send.bitrate.BitrateController` is one.

    Rates are in bit/s, times are monotonic ms.
    """

    def remb(self, bitrate: float) -> None:
        """Note the far end's estimate of what it can receive."""

    def loss(self, fraction: float, now_ms: float) -> None:
        """Note the loss (0..1) since the report before this one."""

    def rtt(self, rtt_ms: float, now_ms: float) -> None:
        """Note a round trip."""

    def encoder_rate(self, now_ms: float) -> int:
        """Return the rate that the encoder is to aim at."""

    def frame_interval_ms(self, bitrate: int) -> float:
        """Return the least time between pictures at `bitrate`; 0 where all can be sent."""


def _steered(base: Any, rate: "EncoderRate") -> Any:
    """Return an encoder derived from `base` (Vp8Encoder or H264Encoder) that keeps to `rate.bitrate`.

    aiortc's encoders read and write their settings as attributes of themselves while they encode: properties of a
    derived class come in between, and aiortc's own classes stay as they are.
    """

    class Steered(base):  # type: ignore[misc]
        most_bps: float = math.inf
        opened: Any = None

        def encode(self, frame: Any, force_keyframe: bool = False) -> Any:
            self.most_bps = MAX_BPS_PER_PIXEL * frame.width * frame.height
            return super().encode(frame, force_keyframe)

        @property
        def target_bitrate(self) -> int:
            bitrate = int(min(rate.bitrate, self.most_bps))
            # A getter that writes: encode() reads this property and then sizes libvpx's buffer from the field of the
            # base class, whose name is mangled with that class's name. Both have to be of the same rate.
            setattr(self, f"_{base.__name__}__target_bitrate", bitrate)
            return bitrate

        @target_bitrate.setter
        def target_bitrate(self, bitrate: int) -> None:
            pass  # aiortc sets it to REMB, of which the controller hears by `tap_sender_feedback`

        @property
        def codec(self) -> Any:
            # encode() assigns the codec, sets its options and opens it by encoding: until then ours can be added.
            codec = self.opened
            if codec is not None and not codec.is_open and codec.options and base is Vp8Encoder:
                codec.options = {**codec.options, "max-intra-rate": str(MAX_INTRA_PERCENT), "noise-sensitivity": "0"}
            return codec

        @codec.setter
        def codec(self, codec: Any) -> None:
            self.opened = codec

    return Steered()


class EncoderRate:
    """Steer one video sender: its bit rate and how often it sends, pause and resume without ending its stream.

    The rate is the controller's, which is given the far end's reports; at low rates pictures are left out, as the
    controller says. Make it before the connection starts to send. Use it from the event loop only.

    Attributes:
        bitrate: rate in bit/s that the encoder aims at.
        frames_thinned: number of pictures left out because the rate was too low for all of them.
    """

    def __init__(self, sender: RTCRtpSender, controller: RateController, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        self._controller = controller
        self._paused = False
        self._sent_ms = -math.inf
        self.bitrate = controller.encoder_rate(clock.now_ms())
        self.frames_thinned = 0
        self._taps = ExitStack()
        self._taps.callback(tap_sender_feedback(sender, self._feedback))
        self._taps.callback(wrap(sender, "_next_encoded_frame", self._next_encoded_frame))
        self._taps.callback(wrap(sender, "_retransmit", self._retransmit))

    @property
    def paused(self) -> bool:
        """Whether frames are dropped instead of sent."""
        return self._paused

    def pause(self) -> None:
        """Send no video from now on: frames are read from the track and dropped, requests to retransmit ignored."""
        self._paused = True
        self._sender._enabled = False
        # What was sent before the pause is useless after it, and would only delay the keyframe.
        private(self._sender, RTCRtpSender, "__rtp_history").clear()

    def resume(self) -> None:
        """Send video again, beginning with a keyframe."""
        self._paused = False
        self._sent_ms = -math.inf
        self._sender._enabled = True
        self.request_keyframe()

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self._sender._send_keyframe()

    def close(self) -> None:
        """Give the sender back to aiortc as it was. Idempotent."""
        self._taps.close()

    def _feedback(self, feedback: SenderFeedback) -> None:
        if self._paused:
            return  # a report now is about what was sent before the pause
        now_ms = self._clock.now_ms()
        if feedback.remb_bps is not None:
            self._controller.remb(feedback.remb_bps)
        if feedback.rtt_ms is not None:
            self._controller.rtt(feedback.rtt_ms, now_ms)
        if feedback.fraction_lost is not None:
            self._controller.loss(feedback.fraction_lost, now_ms)

    async def _next_encoded_frame(self, original: Callable[..., Awaitable[Any]], codec: Any) -> Any:
        if private(self._sender, RTCRtpSender, "__encoder") is None:
            bases: dict[str, type[Any]] = {"video/vp8": Vp8Encoder, "video/h264": H264Encoder}
            base = bases.get(codec.mimeType.lower())
            if base is not None:
                set_private(self._sender, RTCRtpSender, "__encoder", _steered(base, self))
        now_ms = self._clock.now_ms()
        # The encoder reads it in a thread of its own: it changes between frames only.
        self.bitrate = self._controller.encoder_rate(now_ms)
        # The next frame may come up to half an interval of 25 a second early.
        if not self._paused and now_ms - self._sent_ms < self._controller.frame_interval_ms(self.bitrate) - EARLY_MS:
            await self._sender.track.recv()
            self.frames_thinned += 1
            return None
        frame = await original(codec)
        if frame is not None:
            self._sent_ms = self._clock.now_ms()
        # A frame that was in the encoder when the pause began must not follow it onto the wire.
        return None if self._paused else frame

    async def _retransmit(self, original: Callable[..., Awaitable[None]], sequence: int) -> None:
        if not self._paused:
            await original(sequence)
