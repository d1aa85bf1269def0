"""The thread that renders, so that the event loop never does."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from realtime.media import VideoFrame
from realtime.picture.synth_api import FaceRenderer, HeardFrame, Learned, SynthJob, SynthResult

_LOG = logging.getLogger(__name__)


_HEARD: Final = 64
"""Frames that wait to be learned from, at most: 2.5 s."""
_AT_ONCE: Final = 8
"""Frames that are learned from in one piece: under 3 ms, with the fit that one piece in six ends with."""


@dataclass(slots=True)
class _Mailbox:
    """What waits for the rendering thread: one of each kind at most. Read and written under the worker's lock.

    Attributes:
        frame: newest real frame, not yet observed.
        job: newest job, not yet rendered.
        heard: what was heard at the newest real frames, not yet learned from; comes last.
        begin_ms: media time for which an outage is to be made ready.
        outage: number of the outage that jobs now belong to.
        closed: whether the thread is to end.
    """

    frame: VideoFrame | None = None
    job: SynthJob | None = None
    heard: deque[HeardFrame] = field(default_factory=lambda: deque(maxlen=_HEARD))
    begin_ms: float | None = None
    outage: int = 0
    closed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self.frame is None and self.job is None and self.begin_ms is None and not self.heard

    def end_outage(self) -> None:
        """Drop what waits for the outage; jobs put in later belong to the next one."""
        self.outage += 1
        self.job = self.begin_ms = None

    def take(self, *, on_screen: bool) -> VideoFrame | SynthJob | list[HeardFrame] | float | None:
        """Remove and return what comes next: a frame, a job, a media time to prepare for, or what was heard at frames.

        The newest real frame comes before an outage, which then begins with it; once synthetic frames are on screen a
        job must not wait for a tracker. A job begins its outage by itself, so that `begin_ms` falls away with it. To
        learn is never urgent.
        """
        if self.job is not None and (on_screen or self.frame is None):
            job, self.job, self.begin_ms = self.job, None, None
            return job
        if self.frame is not None:
            frame, self.frame = self.frame, None
            return frame
        if self.begin_ms is not None:
            begin_ms, self.begin_ms = self.begin_ms, None
            return begin_ms
        # A few at a time: what comes meanwhile waits no longer than for one of them to be tracked.
        return [self.heard.popleft() for _ in range(min(_AT_ONCE, len(self.heard)))]


class SynthWorker:
    """Render in one thread that alone owns `renderer`; a `realtime.picture.synth_api.Synthesizer`.

    One real frame and one job may wait; a newer one replaces it, so a slow renderer skips and never queues. A renderer
    that fails costs its frame only. Call `close` at the end, not from the event loop: it waits for the frame in work.

    Attributes:
        errors: number of faults of the renderer; the first of each outage is logged.
        last_error: type and text of the newest fault; empty before the first.
        frames_skipped: number of real frames that a newer one replaced before they were observed.
        jobs_skipped: number of jobs that a newer one replaced before they were rendered.
        frames_observed: number of real frames given to the renderer.
        faces_found: number of those in which it found a face.
        learned: what the renderer has learned of the caller.
    """

    RESULTS_KEPT = 4
    REHEARSE_AT = 12
    """Faces seen before the rehearsal; about half a second of the call."""

    def __init__(self, renderer: FaceRenderer) -> None:
        """Start the thread; `renderer` belongs to it from now on."""
        self._renderer = renderer
        self._changed = threading.Condition()
        self._mailbox = _Mailbox()
        self._results: deque[SynthResult] = deque(maxlen=self.RESULTS_KEPT)
        self._running: int | None = None  # number of the outage that the renderer is in
        self._rendered = False  # whether it has rendered in that outage
        self._rehearsed = False
        self._logged: int | None = None  # outage whose fault was logged last
        self.errors = 0
        self.last_error = ""
        self.frames_skipped = 0
        self.jobs_skipped = 0
        self.frames_observed = 0
        self.faces_found = 0
        self.learned = Learned()
        self._thread = threading.Thread(target=self._run, name="synth", daemon=True)
        self._thread.start()

    def observe(self, frame: VideoFrame) -> None:
        """Offer a real frame to tracker and history; an older one still waiting is dropped."""
        with self._changed:
            self.frames_skipped += self._mailbox.frame is not None
            self._mailbox.frame = frame
            self._changed.notify()

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        """Offer what was heard at real frames, by rising time; of more than 64 that wait the oldest are dropped."""
        with self._changed:
            self._mailbox.heard.extend(heard)
            self._changed.notify()

    def begin(self, media_ms: float) -> None:
        """Prepare for an outage that begins at about `media_ms`; a real frame that waits is observed first.

        What waits to be learned from is dropped: rendering is not to wait for it.
        """
        with self._changed:
            self._mailbox.begin_ms = media_ms
            self._mailbox.heard.clear()
            self._changed.notify()

    def request(self, job: SynthJob) -> None:
        """Request the frame of `job`; a job still waiting is replaced."""
        with self._changed:
            self.jobs_skipped += self._mailbox.job is not None
            self._mailbox.job = job
            self._mailbox.heard.clear()
            self._changed.notify()

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the finished frame with the greatest time not past `media_ms`, once; older ones are dropped."""
        with self._changed:
            ready = [result for result in self._results if result.media_ms <= media_ms]
            if not ready:
                return None
            later = [result for result in self._results if result.media_ms > media_ms]
            self._results = deque(later, maxlen=self.RESULTS_KEPT)
            return max(ready, key=lambda result: result.media_ms)

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        """Return whether `take` would find a frame of `since_ms` or later."""
        with self._changed:
            return any(since_ms <= result.media_ms <= media_ms for result in self._results)

    def release(self) -> None:
        """End the outage: jobs and results still waiting are dropped."""
        with self._changed:
            self._mailbox.end_outage()
            self._results.clear()
            self._changed.notify()

    def close(self) -> None:
        """Stop the thread and wait for it; safe to call twice."""
        with self._changed:
            self._mailbox.closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                outage = self._mailbox.outage
                if self._mailbox.closed:
                    break
                work = self._mailbox.take(on_screen=self._running == outage and self._rendered)
            if self._running is not None and self._running != outage:
                self._running = None
                self._guard(self._renderer.stop, outage)
            if isinstance(work, VideoFrame):
                self._guard(partial(self._observe, work), outage)
            elif isinstance(work, SynthJob):
                self._guard(partial(self._render, work, outage), outage)
            elif isinstance(work, list):
                self._guard(partial(self._learn, work), outage)
            elif work is not None:
                self._guard(partial(self._start, work, outage), outage)
        self._guard(self._renderer.close, outage)

    def _has_work(self) -> bool:
        ended = self._running is not None and self._running != self._mailbox.outage
        return self._mailbox.closed or ended or not self._mailbox.is_empty

    def _start(self, media_ms: float, outage: int) -> None:
        if self._running is None:
            self._renderer.start(media_ms)
            self._running, self._rendered = outage, False

    def _observe(self, frame: VideoFrame) -> None:
        if self._running is not None and not self._rendered:
            # The outage was made ready and not yet shown: it is to begin with this frame, not the one before.
            self._running = None
            self._renderer.stop()
        self.frames_observed += 1
        self.faces_found += self._renderer.observe(frame.image, frame.media_ms).found
        if self.faces_found >= self.REHEARSE_AT and not self._rehearsed:
            self._rehearsed = True
            self._rehearse(frame)

    def _learn(self, heard: Sequence[HeardFrame]) -> None:
        if heard:
            self.learned = self._renderer.learn(heard)

    def _rehearse(self, frame: VideoFrame) -> None:
        """Render once before it matters: the first run of every part is slow, and would be seen as a pause."""
        try:
            self._renderer.start(frame.media_ms)
            self._renderer.render(None, frame.media_ms, speech=False)
            self._renderer.hand_back(frame.image, frame.media_ms, 0.5)
        finally:
            self._renderer.stop()

    def _render(self, job: SynthJob, outage: int) -> None:
        began = time.monotonic()
        self._start(job.media_ms, outage)
        self._rendered = True
        if job.returning_to is not None:
            drawn = self._renderer.hand_back(job.returning_to.image, job.media_ms, job.progress)
        else:
            drawn = self._renderer.render(job.mel, job.media_ms, speech=job.speech)
        spent_ms = (time.monotonic() - began) * 1000.0
        result = SynthResult(drawn.image, job.media_ms, spent_ms, drawn.why is not None, drawn.settled)
        with self._changed:
            if outage == self._mailbox.outage:
                self._results.append(result)

    def _guard(self, work: Callable[[], object], outage: int) -> None:
        try:
            work()
        except Exception as error:
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"
            if self._logged != outage:
                self._logged = outage
                _LOG.warning("the synthesizer failed: %s", self.last_error)
