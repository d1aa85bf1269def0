"""Private access to the reports that aiortc's senders send. Import it through `realtime.rtc.aiortc` only."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import RtcpSrPacket

from realtime.rtc.aiortc.guard import Undo, private, set_private, wrap
from realtime.serial import unwrap

_UNIX_EPOCH_S = 2_208_988_800
"""NTP counts from 1900 (RFC 5905)."""

# --- Sender reports of one instant -----------------------------------------------------------------------------------
# Cause: a report pairs the last packet's RTP timestamp with the time at which that packet was sent, so that encoding,
#   and every stall of it, is skew between sound and picture to whoever aligns them by reports, as browsers do.
# Evidence: RTCRtpSender._run_rtp sets `__ntp_timestamp` after each packet and adds a random start to the encoder's
#   timestamps, a local variable; `_run_rtcp` reads both fields, notes `__lsr` and calls `self._send_rtcp(packets)`;
#   `_handle_rtcp_packet` compares `__lsr` with what a receiver report repeats. `_next_encoded_frame` is called again
#   when all packets of the frame before are sent, and `__packet_count` tells whether they were.
# Removal: aiortc's reports are of the instant of sampling.


def report_media_time(sender: RTCRtpSender, unix_ms: Callable[[int], float | None]) -> Undo:
    """Make sender reports pair RTP timestamps with the time of sampling of their media (RFC 3550, 6.4.1).

    `unix_ms(timestamp)` returns that time for a timestamp as the track gave it, in ms since 1970; None leaves a report
    as it is.
    """
    stamps = _Stamps(sender, unix_ms)
    taps = ExitStack()
    taps.callback(wrap(sender, "_next_encoded_frame", stamps.next_encoded_frame))
    taps.callback(wrap(sender, "_send_rtcp", stamps.send_rtcp))
    return taps.close


class _Stamps:
    def __init__(self, sender: RTCRtpSender, unix_ms: Callable[[int], float | None]) -> None:
        self._sender = sender
        self._unix_ms = unix_ms
        self._origin: int | None = None
        self._timestamp: int | None = None
        self._packets = 0

    async def next_encoded_frame(self, original: Callable[..., Awaitable[Any]], codec: Any) -> Any:
        self._learn_origin()
        frame = await original(codec)
        if frame is not None:
            self._timestamp = int(frame.timestamp)
            self._packets = private(self._sender, RTCRtpSender, "__packet_count")
        return frame

    def _learn_origin(self) -> None:
        sent = self._timestamp is not None and private(self._sender, RTCRtpSender, "__packet_count") > self._packets
        if self._origin is None and self._timestamp is not None and sent:
            self._origin = (private(self._sender, RTCRtpSender, "__rtp_timestamp") - self._timestamp) & 0xFFFFFFFF

    async def send_rtcp(self, original: Callable[..., Awaitable[None]], packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
                self._correct(packet)
        await original(packets)

    def _correct(self, report: RtcpSrPacket) -> None:
        if self._origin is None or self._timestamp is None:
            return
        # The report may be of the frame before the newest: take the distance to that one, without the wrap.
        newest = self._timestamp + self._origin
        reported = unwrap(report.sender_info.rtp_timestamp, newest, 32)
        unix_ms = self._unix_ms(self._timestamp + reported - newest)
        if unix_ms is None:
            return
        ntp = round((unix_ms / 1000.0 + _UNIX_EPOCH_S) * (1 << 32))
        report.sender_info.ntp_timestamp = ntp
        set_private(self._sender, RTCRtpSender, "__lsr", ntp >> 16 & 0xFFFFFFFF)


# --- Reports about a stream that is paused ---------------------------------------------------------------------------
# Cause: a sender that is paused goes on to send a report every 0.5 to 1.5 s, 1 kbit/s with its headers, which says
#   the same each time: on a link that has room for speech alone they are in the way.
# Evidence: RTCRtpSender._run_rtcp sleeps, builds SR and SDES and calls `self._send_rtcp(packets)`, whatever `_enabled`
#   says; the BYE at its end goes the same way.
# Removal: aiortc has RTCRtpSender.setParameters with active, and sends no reports about what is not.


def quiet_reports(sender: RTCRtpSender, resting: Callable[[], bool]) -> Undo:
    """Send no report about this sender's stream while `resting()`; its goodbye (RTCP BYE) is sent all the same.

    Receivers keep to the earlier reports; the next one after the pause is sent within 1.5 s.
    """

    async def wrapper(original: Callable[..., Awaitable[None]], packets: list[Any]) -> None:
        if resting() and any(isinstance(packet, RtcpSrPacket) for packet in packets):
            return
        await original(packets)

    return wrap(sender, "_send_rtcp", wrapper)
