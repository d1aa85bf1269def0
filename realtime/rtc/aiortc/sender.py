"""Private access to aiortc's senders. Import it through `realtime.rtc.aiortc` only."""

import math
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

from realtime.clock import Clock, MonotonicClock
from realtime.rtc.aiortc.guard import Undo, private, set_private, wrap
from realtime.rtc.send.bitrate import BitrateController, frame_interval_ms

# Aim a keyframe at no more than this much of a mean frame: an unlimited one fills a narrow link's queue at once.
MAX_INTRA_PERCENT = 400
# More than this a second for each pixel shows nobody anything: 0.46 Mbit/s at 320x240, 1.8 at 640x480.
MAX_BPS_PER_PIXEL = 6
MAX_RTT_MS = 10_000.0
EARLY_MS = 60.0

# --- What the far end reports ----------------------------------------------------------------------------------------
# Cause: REMB and receiver reports end in the sender; an application cannot hear of them but by polling statistics.
# Evidence: `_handle_rtcp_data` of RTCDtlsTransport calls `_handle_rtcp_packet` of the recipient by attribute; the
#   sender keeps `__lsr` and `__lsr_time` of its last report, the time by which it was sent.
# Removal: aiortc tells an application of feedback.


@dataclass(frozen=True, slots=True)
class SenderFeedback:
    """Hold what the far end reports about one stream that we send.

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


@dataclass(frozen=True, slots=True)
class BitrateBounds:
    """Bound a video encoder's rate in bit/s, and say where it begins."""

    minimum: int
    initial: int
    maximum: int

    def __post_init__(self) -> None:
        if not 10_000 <= self.minimum <= self.initial <= self.maximum:
            raise ValueError("bit rates must be 10000 <= minimum <= initial <= maximum bit/s")


def _steered(base: type[Any], control: "EncoderRate") -> Any:
    def encode(encoder: Any, frame: Any, force_keyframe: bool = False) -> Any:
        encoder.most = MAX_BPS_PER_PIXEL * frame.width * frame.height
        return base.encode(encoder, frame, force_keyframe)

    def get(encoder: Any) -> int:
        bitrate: int = min(control.bitrate, encoder.__dict__.get("most", control.bitrate))
        # The base class sizes its rate control buffer from the private field: keep that in step.
        setattr(encoder, f"_{base.__name__}__target_bitrate", bitrate)
        return bitrate

    def put(encoder: Any, bitrate: int) -> None:
        """Leave REMB to the control, which hears of it too."""

    def get_codec(encoder: Any) -> Any:
        codec = encoder.__dict__.get("steered_codec")
        if codec is not None and not codec.is_open and codec.options and base is Vp8Encoder:
            codec.options = {**codec.options, "max-intra-rate": str(MAX_INTRA_PERCENT), "noise-sensitivity": "0"}
        return codec

    def put_codec(encoder: Any, codec: Any) -> None:
        encoder.steered_codec = codec

    members = {"target_bitrate": property(get, put), "codec": property(get_codec, put_codec), "encode": encode}
    return type(f"Steered{base.__name__}", (base,), members)()


class EncoderRate:
    """Steer one video sender: its bit rate and how often it sends, pause and resume without ending its stream.

    The rate follows `BitrateController`, fed by the far end's reports; at low rates pictures are left out
    (`frame_interval_ms`). Make it before the connection starts to send. Use it from the event loop only.
    """

    def __init__(self, sender: RTCRtpSender, bounds: BitrateBounds, clock: Clock | None = None) -> None:
        self._sender = sender
        self._clock = clock or MonotonicClock()
        self._controller = BitrateController(bounds.minimum, bounds.initial, bounds.maximum)
        self._paused = False
        self._sent_ms = -math.inf
        self.bitrate = bounds.initial
        self.frames_thinned = 0
        self._taps = ExitStack()
        self._taps.callback(tap_sender_feedback(sender, self._feedback))
        self._taps.callback(wrap(sender, "_next_encoded_frame", self._next_encoded_frame))
        self._taps.callback(wrap(sender, "_retransmit", self._retransmit))

    @property
    def paused(self) -> bool:
        """Return whether frames are dropped instead of sent."""
        return self._paused

    @property
    def target(self) -> int:
        """Return the bit rate that the path should bear, in bit/s; `bitrate`, the encoder's, follows it in steps."""
        return self._controller.target

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

    def begin_trial(self, bitrate: int) -> None:
        """Aim at `bitrate` bit/s at once, and let no report change that until `end_trial`."""
        self._controller.begin_trial(bitrate, self._clock.now_ms())

    def end_trial(self) -> None:
        """Climb to the initial rate again, as far as the far end allows."""
        self._controller.end_trial()

    def set_bitrate(self, bitrate: int) -> None:
        """Go on from `bitrate` bit/s within the bounds, at once and whatever the size of the step."""
        self._controller.set_rate(bitrate, self._clock.now_ms())

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self._sender._send_keyframe()

    def close(self) -> None:
        """Give the sender back to aiortc as it was. Idempotent."""
        self._taps.close()

    def _feedback(self, feedback: SenderFeedback) -> None:
        if self._paused:
            return  # it speaks of what is over
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
        if not self._paused and now_ms - self._sent_ms < frame_interval_ms(self.bitrate) - EARLY_MS:
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
