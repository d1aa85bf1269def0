"""Tell a goodbye (RTCP BYE) from a connection that merely broke: who said goodbye is not shown any more."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtp import RtcpByePacket

from realtime.rtc.aiortc_compat import require_tested_aiortc

# Cause: a remote track ends alike on RTCP BYE, on a DTLS alert and on lost ICE consent, and a call must go on over the
#   last two.
# Evidence: in RTCRtpReceiver `_handle_rtcp_packet` (BYE) and `_handle_disconnect` (both others) call the same
#   `__stop_decoder`; RTCDtlsTransport calls the receiver's `_handle_rtcp_packet` by attribute.
# Removal: aiortc tells why a track ended.
_HANDLER = "_handle_rtcp_packet"


def tap_goodbye(pc: RTCPeerConnection, said: Callable[[], None]) -> None:
    """Call `said()` on the event loop once every track that `pc` receives has ended with RTCP BYE (RFC 3550, 6.6).

    Call it before the remote description is set. It lasts as long as `pc`.
    """
    require_tested_aiortc()
    waiting: set[str] = set()

    def on_track(track: MediaStreamTrack) -> None:
        for transceiver in pc.getTransceivers():
            if transceiver.receiver.track is track:
                waiting.add(track.id)
                _tap(transceiver.receiver, lambda: gone(track.id))

    def gone(track_id: str) -> None:
        if track_id in waiting:
            waiting.discard(track_id)
            if not waiting:
                said()

    pc.on("track", on_track)


def _tap(receiver: RTCRtpReceiver, said: Callable[[], None]) -> None:
    original: Callable[[Any], Awaitable[None]] = getattr(receiver, _HANDLER)

    async def shadow(packet: Any) -> None:
        await original(packet)
        if isinstance(packet, RtcpByePacket):
            said()

    setattr(receiver, _HANDLER, shadow)
