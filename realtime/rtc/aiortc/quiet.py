"""Private access to the reports that aiortc's senders send. Import it through `realtime.rtc.aiortc` only."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import RtcpSrPacket

from realtime.rtc.aiortc.guard import Undo, wrap

# --- Reports about a stream that rests -------------------------------------------------------------------------------
# Cause: a sender that is paused goes on to send a report every 0.5 to 1.5 s, 1 kbit/s with its headers, which says
#   the same each time: on a link that carries speech alone it is in the way.
# Evidence: RTCRtpSender._run_rtcp sleeps, builds SR and SDES and calls `self._send_rtcp(packets)`, whatever `_enabled`
#   says; the BYE at its end goes the same way.
# Removal: aiortc has RTCRtpSender.setParameters with active, and sends no reports about what is not.


def quiet_reports(sender: RTCRtpSender, resting: Callable[[], bool]) -> Undo:
    """Send no report about this sender's stream while `resting()`; its goodbye is sent all the same.

    Who receives keeps what earlier reports said (RFC 3550, 6.4.1); the next one after the rest comes within 1.5 s.
    """

    async def wrapper(original: Callable[..., Awaitable[None]], packets: list[Any]) -> None:
        if resting() and any(isinstance(packet, RtcpSrPacket) for packet in packets):
            return
        await original(packets)

    return wrap(sender, "_send_rtcp", wrapper)
