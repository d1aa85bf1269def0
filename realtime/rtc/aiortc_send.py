"""Private access to aiortc's senders. Import it through `realtime.rtc.aiortc_compat` only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

from realtime.rtc.aiortc_guard import Undo, private, set_private, wrap

# Aim a keyframe at no more than this much of a mean frame: an unlimited one fills a narrow link's queue at once.
MAX_INTRA_PERCENT = 400

# --- What the far end reports ----------------------------------------------------------------------------------------
# Cause: REMB and receiver reports end in the sender; an application cannot hear of them but by polling statistics.
# Evidence: `_handle_rtcp_data` of RTCDtlsTransport calls `_handle_rtcp_packet` of the recipient by attribute; the
#   sender keeps `__lsr` and `__lsr_time` of its last report, the time by which it was sent.
# Removal: aiortc tells an application of feedback.


@dataclass(frozen=True, slots=True)
class SenderFeedback:
    """Hold what the far end reports about one stream that we send: loss 0..1 of the last interval, or its rate limit.

    Exactly one of `fraction_lost` and `remb_bps` is set.
    """

    fraction_lost: float | None = None
    remb_bps: int | None = None


def tap_sender_feedback(sender: RTCRtpSender, callback: Callable[[SenderFeedback], None]) -> Undo:
    """Call `callback(feedback)` on the event loop for every receiver report and REMB about this sender's stream."""

    async def wrapper(original: Callable[..., Awaitable[None]], packet: Any) -> None:
        ssrc = sender._ssrc
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == ssrc:
                    callback(SenderFeedback(fraction_lost=report.fraction_lost / 256.0))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                ssrcs = []
            if ssrc in ssrcs:
                callback(SenderFeedback(remb_bps=bitrate))
        await original(packet)

    return wrap(sender, "_handle_rtcp_packet", wrapper)


# --- Video sender: bit rate and pause --------------------------------------------------------------------------------
# Cause: bit rate limits are module constants (VP8 250..1500 kbit/s) that a 100 kbit/s link cannot carry; a change of
#   10 % rebuilds the encoder and costs a keyframe; there is no way to pause a sender and keep its stream.
# Evidence: Vp8Encoder and H264Encoder read `self.target_bitrate` in encode(); RTCRtpSender._next_encoded_frame makes
#   the encoder lazily into `__encoder` and drops frames while `_enabled` is false; `_retransmit` serves NACKs.
# Removal: aiortc has RTCRtpSender.setParameters with maxBitrate and active (PR discussions #402, #1159).


@dataclass
class BitrateBounds:
    """Bound a video encoder's target in bit/s; `target` is what it aims at now."""

    minimum: int
    initial: int
    maximum: int
    target: int = 0

    def __post_init__(self) -> None:
        if not 10_000 <= self.minimum <= self.initial <= self.maximum:
            raise ValueError("bit rates must be 10000 <= minimum <= initial <= maximum bit/s")
        self.target = self.target or self.initial

    def request(self, bitrate: int) -> None:
        """Move the target to `bitrate` within the bounds.

        Small moves wait until they add up to +25 % or -15 %, because each one costs a keyframe; one move up is at most
        +60 %, because that keyframe's size follows the rate and must not fill the link.
        """
        wanted = max(self.minimum, min(bitrate, self.maximum, int(1.6 * self.target)))
        if wanted > 1.25 * self.target or wanted < 0.85 * self.target or wanted in (self.minimum, self.maximum):
            self.target = wanted


def _bounded(base: type[Any], bounds: BitrateBounds) -> Any:
    def get(encoder: Any) -> int:
        # The base class sizes its rate control buffer from the private field: keep that in step.
        setattr(encoder, f"_{base.__name__}__target_bitrate", bounds.target)
        return bounds.target

    def put(encoder: Any, bitrate: int) -> None:
        bounds.request(bitrate)

    def get_codec(encoder: Any) -> Any:
        codec = encoder.__dict__.get("bounded_codec")
        if codec is not None and not codec.is_open and codec.options and base is Vp8Encoder:
            codec.options = {**codec.options, "max-intra-rate": str(MAX_INTRA_PERCENT)}
        return codec

    def put_codec(encoder: Any, codec: Any) -> None:
        encoder.bounded_codec = codec

    members = {"target_bitrate": property(get, put), "codec": property(get_codec, put_codec)}
    return type(f"Bounded{base.__name__}", (base,), members)()


class VideoSendControl:
    """Steer one video sender: its bit rate, and pause and resume without ending its stream.

    Make it before the connection starts to send. Use it from the event loop only.
    """

    def __init__(self, sender: RTCRtpSender, bounds: BitrateBounds) -> None:
        self._sender = sender
        self.bounds = bounds
        self._paused = False
        self._undo = [
            wrap(sender, "_next_encoded_frame", self._next_encoded_frame),
            wrap(sender, "_retransmit", self._retransmit),
        ]

    @property
    def paused(self) -> bool:
        """Return whether frames are dropped instead of sent."""
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
        self._sender._enabled = True
        self.request_keyframe()

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self._sender._send_keyframe()

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at `bitrate` bit/s within the bounds, at once and whatever the size of the step."""
        self.bounds.target = max(self.bounds.minimum, min(bitrate, self.bounds.maximum))

    def close(self) -> None:
        """Take the wrappers off."""
        for undo in reversed(self._undo):
            undo()

    async def _next_encoded_frame(self, original: Callable[..., Awaitable[Any]], codec: Any) -> Any:
        if private(self._sender, RTCRtpSender, "__encoder") is None:
            bases: dict[str, type[Any]] = {"video/vp8": Vp8Encoder, "video/h264": H264Encoder}
            base = bases.get(codec.mimeType.lower())
            if base is not None:
                set_private(self._sender, RTCRtpSender, "__encoder", _bounded(base, self.bounds))
        frame = await original(codec)
        # A frame that was in the encoder when the pause began must not follow it onto the wire.
        return None if self._paused else frame

    async def _retransmit(self, original: Callable[..., Awaitable[None]], sequence: int) -> None:
        if not self._paused:
            await original(sequence)
