"""Make frames of one lossy video stream: ask for lost packets again, then for a keyframe. Pure."""

from realtime.rtc.receive.assemble import EncodedFrame, FrameAssembler, Packet
from realtime.rtc.receive.nack import NackTracker

# A sender that is silent for so long has paused, or cannot be reached: then keyframes are not asked for either.
SILENCE_MS = 2_000.0


class VideoRepair:
    """Assembly (`FrameAssembler`) and requests (`NackTracker`) of one stream. Times are monotonic ms.

    Call `add_packet` for each packet and, while `pending`, every 10 ms or so `poll`, then send what `requests` and
    `keyframe_due` ask for.
    """

    def __init__(self, assembler: FrameAssembler | None = None, tracker: NackTracker | None = None) -> None:
        self.assembler = assembler or FrameAssembler()
        self.tracker = tracker or NackTracker()
        self._ssrc: int | None = None
        self._last_ms = 0.0

    @property
    def ssrc(self) -> int | None:
        """SSRC that packets come from; None before the first."""
        return self._ssrc

    def add_packet(self, packet: Packet, now_ms: float) -> list[EncodedFrame]:
        """Add a packet, sent again or not; return the frames that are complete now, in order."""
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self.tracker.reset()
        self._last_ms = now_ms
        self.tracker.received(packet.sequence, now_ms)
        hopeful = not self.assembler.lost
        frames = self.assembler.add_packet(packet, now_ms)
        self._drop_requests(hopeful)
        return frames

    def poll(self, now_ms: float) -> list[EncodedFrame]:
        """Advance the time; return the frames that are complete now."""
        self.assembler.rtt_ms = self.tracker.rtt_ms
        hopeful = not self.assembler.lost
        frames = self.assembler.poll(now_ms)
        self._drop_requests(hopeful)
        return frames

    def lost_reference(self) -> None:
        """Go on with a keyframe: the decoder failed, or a frame was thrown away."""
        self.assembler.lost_reference()
        self.tracker.give_up()

    def requests(self, now_ms: float) -> list[int]:
        """Return the sequence numbers (uint16) to ask for again now; they count as asked for."""
        return self.tracker.due(now_ms)

    def keyframe_due(self, now_ms: float) -> bool:
        """Return whether to ask for a keyframe now; if so, it counts as asked for."""
        return self._flows(now_ms) and self.assembler.pli_due(now_ms)

    def pending(self, now_ms: float) -> bool:
        """Return whether something is missing, so that time matters and not only packets."""
        return self.tracker.missing > 0 or (self.assembler.needs_keyframe and self._flows(now_ms))

    def _flows(self, now_ms: float) -> bool:
        return self._ssrc is not None and now_ms - self._last_ms < SILENCE_MS

    def _drop_requests(self, hopeful: bool) -> None:
        """Ask no more for what the assembler does not wait for; `hopeful`: frames could still be given until now."""
        if not self.assembler.lost:
            self.tracker.forget_before(self.assembler.next_sequence)
        elif hopeful:
            # Only a keyframe helps now. Once is enough: what is lost from here on may belong to that keyframe.
            self.tracker.give_up()
