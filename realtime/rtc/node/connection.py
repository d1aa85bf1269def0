"""One connection of a publisher: its media go to its call, and its data channel serves both sides."""

from collections.abc import Callable
from contextlib import ExitStack

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection

from realtime.clock import Clock
from realtime.rtc.aiortc import read_at_once, tap_bye
from realtime.rtc.badlink.transport import ImpairedReceive
from realtime.rtc.control import ControlChannel
from realtime.rtc.node.path import CallPath
from realtime.rtc.receive.sourceclock import SourceClock
from realtime.rtc.receive.streams import ReceivedStreams

BROWSER_BPS = 150_000
"""Least bit rate that a browser is allowed by REMB, in bit/s."""


class Connection:
    """Receive one connection into `path`; `on_goodbye()` is called when the publisher leaves. Event loop only.

    Attributes:
        pc: the peer connection.
        streams: what is received.
        control: the node's end of the data channel.
    """

    def __init__(
        self, rtc: RTCConfiguration, clock: Clock, path: CallPath, source: SourceClock, on_goodbye: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._trial: ImpairedReceive | None = None
        self._closed = False
        self._taps = ExitStack()
        self.pc = RTCPeerConnection(rtc)
        self.streams = ReceivedStreams(
            self.pc, clock, on_audio_packet=self._audio_packet, on_video_frame=path.video_frame
        )
        self._path = path
        self._saw = source.begin(self.streams.pair.audio_ms)
        tap_goodbye(self.pc, on_goodbye)
        self.control = ControlChannel(self.pc, self._video_flows, self._try_link, self._pinged)
        # Our caller measures its uplink all the time; a browser has nothing but REMB, and climbs back too slowly.
        self.streams.least_remb = lambda: 0 if self.control.pinged else BROWSER_BPS

    def _audio_packet(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        self._saw(timestamp)
        self._path.audio_packet(sequence, timestamp, payload, arrival_ms)

    def begin(self) -> None:
        """Read all datagrams that wait in a turn of the loop; call it when the offer is answered."""
        self._taps.callback(read_at_once(self.pc))

    def _video_flows(self, flows: bool) -> None:
        # A page pings only while its video rests: afterwards nothing measures its uplink but REMB.
        self.control.pinged = self.control.pinged and not flows
        self._path.video_flows(flows)

    def _pinged(self, size: int, answer: Callable[[], None]) -> None:
        # A publisher that tries a bad uplink must measure that one: pings cross it as media do.
        if self._trial is None:
            answer()
        else:
            self._trial.carry(size, answer)

    def _try_link(self, kbps: float | None) -> None:
        if self._closed:
            return
        if self._trial is None:
            self._trial = ImpairedReceive(self.pc, self._clock)
        self._trial.set_rate(kbps)

    async def close(self) -> None:
        """End the connection and what belongs to it."""
        self._closed = True
        self._taps.close()
        await self.streams.close()
        if self._trial is not None:
            await self._trial.close()
        await self.pc.close()


def tap_goodbye(pc: RTCPeerConnection, on_goodbye: Callable[[], None]) -> None:
    """Call `on_goodbye()` once every track that `pc` receives has ended with RTCP BYE (RFC 3550, 6.6).

    To be set up before the remote description; it lasts as long as `pc`. Event loop only.
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
                on_goodbye()

    pc.on("track", on_track)
