"""Tell a goodbye (RTCP BYE) from a connection that merely broke: who said goodbye is not shown any more."""

from collections.abc import Callable

from aiortc import MediaStreamTrack, RTCPeerConnection

from realtime.rtc.aiortc import tap_bye


def tap_goodbye(pc: RTCPeerConnection, said: Callable[[], None]) -> None:
    """Call `said()` on the event loop once every track that `pc` receives has ended with RTCP BYE (RFC 3550, 6.6).

    Call it before the remote description is set. It lasts as long as `pc`.
    """
    waiting: set[str] = set()

    def on_track(track: MediaStreamTrack) -> None:
        for transceiver in pc.getTransceivers():
            if transceiver.receiver.track is track:
                waiting.add(track.id)
                tap_bye(transceiver.receiver, lambda: gone(track.id))

    def gone(track_id: str) -> None:
        if track_id in waiting:
            waiting.discard(track_id)
            if not waiting:
                said()

    pc.on("track", on_track)
