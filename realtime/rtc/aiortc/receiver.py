"""Private access to aiortc's receivers. Import it through `realtime.rtc.aiortc` only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtcpByePacket, RtcpSrPacket, RtpPacket

from realtime.clock import Clock
from realtime.rtc.aiortc.guard import Undo, private, set_private, wrap

_NTP_FRACTION = 2.0**32

# --- Sender reports --------------------------------------------------------------------------------------------------
# Cause: tracks give pts re-based to 0 per track and drop the RTP half of sender reports, so sound and picture cannot be
#   put on one clock.
# Evidence: RTCDtlsTransport._handle_rtcp_data calls `recipient._handle_rtcp_packet` by attribute; TimestampMapper;
#   RTCRtpReceiver._handle_rtcp_packet keeps the NTP.
# Removal: aiortc exposes RTP timestamps and sender reports (or abs-capture-time) on frames.


@dataclass(frozen=True, slots=True)
class SenderReport:
    """One instant on a stream's two clocks (RFC 3550, 6.4.1).

    Attributes:
        ssrc: the stream.
        ntp_ms: the instant on the sender's wall clock, in ms since 1900.
        rtp_timestamp: the instant on the stream's media clock, uint32.
        arrival_ms: time of arrival on our monotonic clock.
    """

    ssrc: int
    ntp_ms: float
    rtp_timestamp: int
    arrival_ms: float


def tap_sender_reports(receiver: RTCRtpReceiver, callback: Callable[[SenderReport], None], clock: Clock) -> Undo:
    """Call `callback(report)` on the event loop for every RTCP sender report that carries a timestamp."""

    async def wrapper(original: Callable[..., Awaitable[None]], packet: Any) -> None:
        # aiortc sends reports with NTP 0 before its first media packet.
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            info = packet.sender_info
            ntp_ms = info.ntp_timestamp / _NTP_FRACTION * 1000.0
            callback(SenderReport(packet.ssrc, ntp_ms, info.rtp_timestamp, clock.now_ms()))
        await original(packet)

    return wrap(receiver, "_handle_rtcp_packet", wrapper)


# --- Goodbye ---------------------------------------------------------------------------------------------------------
# Cause: a remote track ends alike on RTCP BYE, on a DTLS alert and on lost ICE consent, and a call must go on over the
#   last two.
# Evidence: in RTCRtpReceiver `_handle_rtcp_packet` (BYE) and `_handle_disconnect` (both others) call the same
#   `__stop_decoder`; RTCDtlsTransport calls the receiver's `_handle_rtcp_packet` by attribute.
# Removal: aiortc says why a track ended.


def tap_bye(receiver: RTCRtpReceiver, callback: Callable[[], None]) -> Undo:
    """Call `callback()` on the event loop when the far end says goodbye (RTCP BYE; RFC 3550, 6.6)."""

    async def wrapper(original: Callable[..., Awaitable[None]], packet: Any) -> None:
        await original(packet)
        if isinstance(packet, RtcpByePacket):
            callback()

    return wrap(receiver, "_handle_rtcp_packet", wrapper)


# --- Received packets instead of decoded frames ----------------------------------------------------------------------
# Cause: the audio jitter buffer turns one lost packet into 100 ms of missing sound and 200 ms of lasting delay; the
#   video jitter buffer waits for one lost packet until 512 more arrived, and gives a frame only when the next begins.
# Evidence: jitterbuffer.py (JitterBuffer.add, _remove_frame); RTCRtpReceiver._handle_rtp_packet calls
#   `self.__jitter_buffer.add(packet)` last, after statistics, RTX unwrapping, NACK and depayloading.
# Removal: aiortc lets an application supply the jitter buffer, or bounds its waiting.


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One media packet, RTX (RFC 4588) unwrapped.

    Attributes:
        codec: name of the codec, as "VP8" or "opus".
        ssrc: the stream.
        sequence: RTP sequence number, uint16.
        timestamp: RTP timestamp, uint32.
        marker: whether the packet ends its frame.
        payload: RTP payload as it was sent.
        data: payload without the payload descriptor, in the form that the decoder takes.
    """

    codec: str
    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    data: bytes


OnPacket = Callable[[MediaPacket, float], None]
"""Called with a packet and its time of arrival on the monotonic clock, in ms."""


class _PacketSink:
    """A JitterBuffer to aiortc that hands every packet on and never gives a frame to aiortc's own decoder."""

    capacity = 0

    def __init__(self, receiver: RTCRtpReceiver, on_packet: OnPacket, clock: Clock) -> None:
        self._codecs = private(receiver, RTCRtpReceiver, "__codecs")
        self._on_packet = on_packet
        self._clock = clock

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
        self._on_packet(media, self._clock.now_ms())
        return False, None  # no keyframe to ask for, no frame to decode


def take_packets(receiver: RTCRtpReceiver, on_packet: OnPacket, clock: Clock) -> Undo:
    """Give every media packet to `on_packet(packet, arrival_ms)` instead of aiortc's jitter buffer and decoder.

    `on_packet` runs on the event loop and must not block; `arrival_ms` is on `clock`. Statistics, NACK and REMB go on
    as before; the receiver's track gives no frames and ends as usual. Returns a function that undoes it.
    """
    original = private(receiver, RTCRtpReceiver, "__jitter_buffer")
    sink = _PacketSink(receiver, on_packet, clock)
    set_private(receiver, RTCRtpReceiver, "__jitter_buffer", sink)

    def undo() -> None:
        # The buffer of before would wait for all the packets that it did not get.
        fresh = JitterBuffer(original.capacity, prefetch=original._prefetch, is_video=original._is_video)
        set_private(receiver, RTCRtpReceiver, "__jitter_buffer", fresh)

    return undo


# --- Requests to the sender ------------------------------------------------------------------------------------------
# Cause: aiortc asks for a lost packet once, when the next one shows the hole; where the request or its answer is lost,
#   nobody asks again. Keyframes can only be asked for while a packet is being handled.
# Evidence: NackGenerator.add is True for a new hole only; RTCRtpReceiver._handle_rtp_packet sends NACK and PLI, and no
#   NACK where `__nack_generator` is None, as it is for audio. `_send_rtcp_nack` and `_send_rtcp_pli` do the sending;
#   RtcpRtpfbPacket.__bytes__ needs its numbers rising (a falling pair is a negative shift).
# Removal: aiortc repeats requests by time, and lets an application ask for a keyframe.


class VideoFeedback:
    """Ask a video stream's sender for packets and keyframes in aiortc's place, until `close`."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        set_private(receiver, RTCRtpReceiver, "__nack_generator", None)

    async def request_packets(self, ssrc: int, sequences: list[int]) -> None:
        """Send a generic NACK (RFC 4585, 6.2.1) for `sequences` (uint16); nothing is sent over a closed connection."""
        await self._receiver._send_rtcp_nack(ssrc, sorted(sequences))

    async def request_keyframe(self, ssrc: int) -> None:
        """Send a PLI (RFC 4585, 6.3.1); nothing is sent over a closed connection."""
        await self._receiver._send_rtcp_pli(ssrc)

    def close(self) -> None:
        """Give the requests back to aiortc, which asks once for each packet lost from now on."""
        set_private(self._receiver, RTCRtpReceiver, "__nack_generator", NackGenerator())


# --- The least rate that REMB allows a browser -----------------------------------------------------------------------
# Cause: the estimate that REMB carries falls to 30 kbit/s when our own loop is late once, and climbs by 8 % a second: a
#   page whose link is good again sends a picture a second for half a minute. Loss still slows it down by itself.
# Evidence: rate.py, AimdRateControl; RTCRtpReceiver._handle_rtp_packet sends what `__remote_bitrate_estimator.add`
#   returns, None for nothing.
# Removal: aiortc answers transport-wide congestion control (PR #1411), so that the browser estimates.


def lift_remb(receiver: RTCRtpReceiver, least: Callable[[], int]) -> Undo:
    """Keep every REMB of `receiver` at `least()` bit/s or above; 0 leaves it as it is."""
    estimator = private(receiver, RTCRtpReceiver, "__remote_bitrate_estimator")
    original = estimator.add

    def add(*args: Any, **kwargs: Any) -> tuple[int, list[int]] | None:
        found: tuple[int, list[int]] | None = original(*args, **kwargs)
        return None if found is None else (max(found[0], least()), found[1])

    estimator.add = add

    def undo() -> None:
        estimator.__dict__.pop("add", None)

    return undo
