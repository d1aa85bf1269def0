"""All private access to aiortc, in one place, against the one release that it was read and tested with.

Every piece says: cause (what is missing in public), evidence (where it was read in aiortc 1.16.0), removal (when this
piece can go). Everything acts on instances, never on aiortc's classes or modules.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol, cast

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc import clock as aiortc_clock
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, RtpPacket, unpack_remb_fci

from realtime.clock import Clock

TESTED = "1.16"
# Aim a keyframe at no more than this much of a mean frame: an unlimited one fills a narrow link's queue at once.
MAX_INTRA_PERCENT = 400
_NTP_FRACTION = 2.0**32

Undo = Callable[[], None]


class AiortcVersionError(RuntimeError):
    """Tell that the installed aiortc is not the release whose internals this file knows."""


@cache
def require_tested_aiortc() -> None:
    """Check the installed release.

    Raises:
        AiortcVersionError: aiortc is not 1.16.x; the text names the command that mends it.
    """
    installed = version("aiortc")
    if not re.match(rf"{re.escape(TESTED)}(\.|$)", installed):
        raise AiortcVersionError(
            f"aiortc {installed} is installed, but lipline works with {TESTED}.x only: pip install 'aiortc=={TESTED}.0'"
        )


def _private(owner: object, cls: type[object], name: str) -> Any:
    require_tested_aiortc()
    return getattr(owner, f"_{cls.__name__}{name}")


def _set_private(owner: object, cls: type[object], name: str, value: object) -> None:
    _private(owner, cls, name)  # raises AttributeError when aiortc has renamed it
    setattr(owner, f"_{cls.__name__}{name}", value)


def _wrap(owner: object, name: str, wrapper: Callable[..., Awaitable[Any]]) -> Undo:
    """Shadow coroutine method `name` of one instance by `wrapper(original, ...)`; return what takes it off again."""
    require_tested_aiortc()
    original = getattr(owner, name)

    async def shadow(*args: Any, **kwargs: Any) -> Any:
        return await wrapper(original, *args, **kwargs)

    setattr(owner, name, shadow)

    def undo() -> None:
        if owner.__dict__.get(name) is shadow:
            setattr(owner, name, original)

    return undo


# --- RTP and RTCP taps -----------------------------------------------------------------------------------------------
# Cause: tracks give pts re-based to 0 per track and drop the RTP half of sender reports, so sound and picture cannot be
#   put on one clock; there is no public access to packets.
# Evidence: RTCDtlsTransport._handle_rtp_data and _handle_rtcp_data call `receiver._handle_rtp_packet` and
#   `recipient._handle_rtcp_packet` by attribute; TimestampMapper; RTCRtpReceiver._handle_rtcp_packet keeps the NTP.
# Removal: aiortc exposes RTP timestamps and sender reports (or abs-capture-time) on frames.


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Hold what RTCP says about a stream's clock: NTP ms and RTP timestamp of one instant (RFC 3550, 6.4.1)."""

    ssrc: int
    ntp_ms: float
    rtp_timestamp: int
    arrival_ms: float


@dataclass(frozen=True, slots=True)
class SenderFeedback:
    """Hold what the far end reports about one stream that we send: loss 0..1 of the last interval, or its rate limit.

    Exactly one of `fraction_lost` and `remb_bps` is set.
    """

    fraction_lost: float | None = None
    remb_bps: int | None = None


def tap_rtp(receiver: RTCRtpReceiver, callback: Callable[[RtpPacket, float], None], clock: Clock) -> Undo:
    """Call `callback(packet, arrival_ms)` on the event loop for every RTP packet, RTX included, before aiortc sees it.

    `arrival_ms` is on `clock`. Returns a function that takes the tap off.
    """

    async def wrapper(original: Callable[..., Awaitable[None]], packet: RtpPacket, **kwargs: Any) -> None:
        callback(packet, clock.now_ms())
        await original(packet, **kwargs)

    return _wrap(receiver, "_handle_rtp_packet", wrapper)


def tap_sender_reports(receiver: RTCRtpReceiver, callback: Callable[[SenderReport], None], clock: Clock) -> Undo:
    """Call `callback(report)` on the event loop for every RTCP sender report that carries a timestamp."""

    async def wrapper(original: Callable[..., Awaitable[None]], packet: Any) -> None:
        # aiortc sends reports with NTP 0 before its first media packet.
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            info = packet.sender_info
            ntp_ms = info.ntp_timestamp / _NTP_FRACTION * 1000.0
            callback(SenderReport(packet.ssrc, ntp_ms, info.rtp_timestamp, clock.now_ms()))
        await original(packet)

    return _wrap(receiver, "_handle_rtcp_packet", wrapper)


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

    return _wrap(sender, "_handle_rtcp_packet", wrapper)


# --- Received packets instead of decoded frames ----------------------------------------------------------------------
# Cause: the audio jitter buffer turns one lost packet into 100 ms of missing sound and 200 ms of lasting delay; the
#   video jitter buffer waits for one lost packet until 512 more came, and gives a frame only when the next one begins.
# Evidence: jitterbuffer.py (JitterBuffer.add, _remove_frame); RTCRtpReceiver._handle_rtp_packet calls
#   `self.__jitter_buffer.add(packet)` last, after statistics, RTX unwrapping, NACK and depayloading.
# Removal: aiortc lets an application supply the jitter buffer, or bounds its waiting.


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """Hold one media packet, RTX unwrapped: `payload` as sent, `data` as the codec wants it, `codec` like "VP8"."""

    codec: str
    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    data: bytes


class _PacketSink:
    """Stand in for aiortc's JitterBuffer: hand every packet on and never give a frame to aiortc's own decoder."""

    capacity = 0

    def __init__(self, receiver: RTCRtpReceiver, on_packet: Callable[[MediaPacket], bool]) -> None:
        self._codecs = _private(receiver, RTCRtpReceiver, "__codecs")
        self._on_packet = on_packet

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        codec = self._codecs[packet.payload_type]
        media = MediaPacket(
            codec=str(codec.name),
            ssrc=packet.ssrc,
            sequence=packet.sequence_number,
            timestamp=packet.timestamp,
            marker=bool(packet.marker),
            payload=packet.payload,
            data=cast(Any, packet)._data,
        )
        return self._on_packet(media), None


def take_packets(receiver: RTCRtpReceiver, on_packet: Callable[[MediaPacket], bool]) -> Undo:
    """Give every media packet to `on_packet` instead of aiortc's jitter buffer and decoder.

    `on_packet` runs on the event loop; True asks the sender for a keyframe (PLI, RFC 4585). Statistics, NACK and REMB
    go on as before; the receiver's track stays silent and only tells its end. Returns a function that undoes it.
    """
    original = _private(receiver, RTCRtpReceiver, "__jitter_buffer")
    sink = _PacketSink(receiver, on_packet)
    _set_private(receiver, RTCRtpReceiver, "__jitter_buffer", sink)

    def undo() -> None:
        # The old one would wait for all the packets that it did not see.
        fresh = JitterBuffer(original.capacity, prefetch=original._prefetch, is_video=original._is_video)
        _set_private(receiver, RTCRtpReceiver, "__jitter_buffer", fresh)

    return undo


# --- Outgoing datagrams ----------------------------------------------------------------------------------------------
# Cause: tests and the demo need a bad link without root; aiortc has no hook between SRTP and the socket.
# Evidence: RTCDtlsTransport._send_rtp and _write_ssl call `self.transport._send(data)` by attribute; RTCIceTransport
#   sets `_send = connection.send` in its constructor. ICE checks go past it, so consent survives any impairment.
# Removal: aiortc accepts a transport of ours, or the tests may use network namespaces everywhere.

Forward = Callable[[bytes], Awaitable[None]]


class SendHook(Protocol):
    """Decide what happens to an outgoing datagram (DTLS, SRTP or SRTCP)."""

    def __call__(self, datagram: bytes, forward: Forward) -> None:
        """Keep, drop or schedule `datagram`; `await forward(datagram)` puts it on the wire. Must not block."""


def intercept_send(pc: RTCPeerConnection, hook: SendHook) -> Undo:
    """Pass every datagram that `pc` sends through `hook`. Call it once both descriptions are set and so bundled.

    Raises:
        RuntimeError: `pc` has no transport yet.
    """
    transports = {id(t): t for t in _ice_transports(pc)}.values()
    if not transports:
        raise RuntimeError("the peer connection has no transport yet: set both descriptions first")
    undos = []
    for transport in transports:

        async def wrapper(original: Forward, data: bytes) -> None:
            hook(data, original)

        undos.append(_wrap(transport, "_send", wrapper))

    def undo() -> None:
        for one in undos:
            one()

    return undo


def _ice_transports(pc: RTCPeerConnection) -> list[Any]:
    dtls = [t.receiver.transport for t in pc.getTransceivers()]
    if pc.sctp is not None:
        dtls.append(pc.sctp.transport)
    return [d.transport for d in dtls]


# --- Incoming datagrams ----------------------------------------------------------------------------------------------
# Cause: a page wants to try a bad uplink, and what it sends can only be impaired here; it must look like real loss to
#   receiver reports, REMB and NACK, so it has to happen before aiortc counts a packet.
# Evidence: RTCDtlsTransport._recv_next calls `self._handle_rtp_data(data, arrival_time_ms=...)` and
#   `self._handle_rtcp_data(data)` by attribute, after SRTP and before anything else; DTLS takes another branch.
# Removal: aiortc accepts a transport of ours.


class ReceiveHook(Protocol):
    """Decide what happens to an incoming RTP or RTCP datagram, SRTP taken off."""

    async def __call__(self, datagram: bytes, forward: Forward) -> None:
        """Keep, drop or schedule `datagram`; `await forward(datagram)` gives it to aiortc, as arriving then."""


def intercept_receive(pc: RTCPeerConnection, hook: ReceiveHook) -> Undo:
    """Pass every RTP and RTCP datagram that `pc` receives through `hook`. Call it once both descriptions are set.

    Raises:
        RuntimeError: `pc` has no transport yet.
    """
    transports = {id(t): t for t in (x.receiver.transport for x in pc.getTransceivers())}.values()
    if not transports:
        raise RuntimeError("the peer connection has no transport yet: set both descriptions first")
    undos = []
    for transport in transports:

        async def rtp(original: Callable[..., Awaitable[None]], data: bytes, **_: Any) -> None:
            async def forward(late: bytes) -> None:
                # The time of arrival is what REMB is estimated from: it must be that of the delivery.
                await original(late, arrival_time_ms=aiortc_clock.current_ms())

            await hook(data, forward)

        async def rtcp(original: Forward, data: bytes) -> None:
            await hook(data, original)

        undos += [_wrap(transport, "_handle_rtp_data", rtp), _wrap(transport, "_handle_rtcp_data", rtcp)]

    def undo() -> None:
        for one in undos:
            one()

    return undo


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
            _wrap(sender, "_next_encoded_frame", self._next_encoded_frame),
            _wrap(sender, "_retransmit", self._retransmit),
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
        _private(self._sender, RTCRtpSender, "__rtp_history").clear()

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
        if _private(self._sender, RTCRtpSender, "__encoder") is None:
            bases: dict[str, type[Any]] = {"video/vp8": Vp8Encoder, "video/h264": H264Encoder}
            base = bases.get(codec.mimeType.lower())
            if base is not None:
                _set_private(self._sender, RTCRtpSender, "__encoder", _bounded(base, self.bounds))
        frame = await original(codec)
        # A frame that was in the encoder when the pause began must not follow it onto the wire.
        return None if self._paused else frame

    async def _retransmit(self, original: Callable[..., Awaitable[None]], sequence: int) -> None:
        if not self._paused:
            await original(sequence)
