"""When the next picture of a local call leaves: with the camera's pictures while they come, else by a timer.

Pure. The camera has a clock of its own; beside it, a tick from our timer would show some pictures twice and others
late. So each camera picture brings its own tick, and the timer steps in when none comes.
"""

from typing import Final

from realtime.picture.engine import Engine
from realtime.picture.monitor import VideoState

_LOOK_MS: Final = 3.0
"""Time in ms after which a made frame that is late is looked for again."""
_SOON_MS: Final = 1.0
"""Least time in ms from one tick to another that a waiting real picture brings."""
_OVERDUE: Final = 1.25
"""Intervals of the camera after which its next picture is overdue at the earliest: its timestamps jitter."""


class Beat:
    """The time of the next tick of `engine`. Not thread-safe; times in ms of the monotonic clock.

    Attributes:
        next_ms: time of the next tick, unless a camera picture brings it forward.
        over_camera: whether synthetic frames are drawn over the camera's pictures (DUB) and leave when these come.
    """

    def __init__(self, engine: Engine, start_ms: float) -> None:
        """Begin with a tick at `start_ms`."""
        self.next_ms = start_ms
        self.over_camera = False
        self._engine = engine
        self._ticked_ms = self._camera_ms = float("-inf")

    @property
    def interval_ms(self) -> float:
        """Time between two ticks of the timer, in ms."""
        return self._engine.config.interval_ms

    @property
    def follows_camera(self) -> bool:
        """Whether synthetic frames leave when the camera pictures under them come."""
        return self.over_camera and self._engine.monitor.state in (VideoState.GOOD, VideoState.LATE)

    def camera_frame(self, now_ms: float) -> bool:
        """Return whether the camera picture that has just gone to the engine brings a tick at once."""
        self._camera_ms = now_ms
        if not self._engine.shows_real:
            return self.follows_camera and now_ms - self._ticked_ms >= self.interval_ms / 2
        wait_ms = self._engine.real_due_in(now_ms)
        if wait_ms is not None and wait_ms <= 1e-6:
            return True
        self.bring_forward(now_ms)
        return False

    def bring_forward(self, now_ms: float) -> None:
        """Move the next tick forward to the moment at which a waiting real picture may leave."""
        wait_ms = self._engine.real_due_in(now_ms)
        if wait_ms is not None:
            # Never at once: a tick has just been, or is made by the caller.
            self.next_ms = min(self.next_ms, now_ms + max(wait_ms, _SOON_MS))

    def tick_now(self, now_ms: float) -> None:
        """Move the next tick to `now_ms` unless it comes before."""
        self.next_ms = min(self.next_ms, now_ms)

    def look_again(self, now_ms: float) -> None:
        """Delay the tick, to wait for a synthetic frame that is late."""
        self.next_ms = now_ms + _LOOK_MS

    def ticked(self, now_ms: float, late_ms: float) -> None:
        """Set the tick that follows the one of `now_ms`, which was itself `late_ms` late."""
        self._ticked_ms = now_ms
        self.next_ms = now_ms + self._wait_ms(now_ms, late_ms)
        self.bring_forward(now_ms)

    def _wait_ms(self, now_ms: float, late_ms: float) -> float:
        """Return the time in ms after which the timer brings the next tick if the camera does not."""
        if self._engine.shows_real or self.follows_camera:
            # Where no picture comes, the link is given up `synth_gap_ms` after the last one, and a made frame is to be
            # shown just then. It must be asked for a tick earlier: that tick is the one set here. It may not come
            # before a picture that is merely a little late, for that one is to bring its own.
            link = self._engine.monitor
            overdue_ms = max(link.synth_gap_ms - self.interval_ms, _OVERDUE * link.interval_ms)
            if self._camera_ms + overdue_ms > now_ms + 1.0:
                return self._camera_ms + overdue_ms - now_ms
        return max(self.interval_ms - late_ms, _LOOK_MS)
