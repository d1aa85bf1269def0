"""One connection of a publisher: its media go to its call, and its data channel speaks for both sides."""

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


class Connection:
    """Receive one connection into `path`; `said_goodbye()` is called when the publisher left. Event loop only."""

    def __init__(
        self, rtc: RTCConfiguration, clock: Clock, path: CallPath, source: SourceClock, said_goodbye: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._limit: ImpairedReceive | None = None
        self._closed = False
        self._taps = ExitStack()
        self.pc = RTCPeerConnection(rtc)
        self.streams = ReceivedStreams(
            self.pc, clock, on_audio_packet=self._audio_packet, on_video_frame=path.video_frame
        )
        self._path = path
        self._saw = source.begin(self.streams.pair.audio_ms)
        tap_goodbye(self.pc, said_goodbye)
        self.control = ControlChannel.attach(self.pc, self._video_flows, self._try_link, self._pinged)
        # Our caller watches its link all the time; a browser has nothing but REMB, and climbs back too slowly.
        self.streams.least_remb = lambda: 0 if self.control.pinged else BROWSER_BPS

    def _audio_packet(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float) -> None:
        self._saw(timestamp)
        self._path.audio_packet(sequence, timestamp, payload, arrival_ms)

    def begin(self) -> None:
        """Read all that comes; call it when the connection was answered."""
        self._taps.callback(read_at_once(self.pc))

    def _video_flows(self, flows: bool) -> None:
        # A page pings while its video rests and then no more: it does not know when its link grows narrow.
        self.control.pinged = self.control.pinged and not flows
        self._path.video_flows(flows)

    def _pinged(self, size: int, answer: Callable[[], None]) -> None:
        # A link that is bad on purpose is bad for what measures it as well.
        if self._limit is None:
            answer()
        else:
            self._limit.carry(size, answer)

    def _try_link(self, kbps: float | None) -> None:
        if self._closed:
            return
        if self._limit is None:
            self._limit = ImpairedReceive(self.pc, self._clock)
        self._limit.set_rate(kbps)

    async def close(self) -> None:
        """End the connection and what belongs to it."""
        self._closed = True
        self._taps.close()
        await self.streams.close()
        if self._limit is not None:
            await self._limit.close()
        await self.pc.close()


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
