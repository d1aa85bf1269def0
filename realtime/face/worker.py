"""The thread that renders, so that the event loop never does."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from realtime.media import VideoFrame
from realtime.picture.synth_api import FaceRenderer, SynthJob, SynthResult

_LOG = logging.getLogger(__name__)


class SynthWorker:
    """Render in one thread that alone owns `renderer`; a `realtime.picture.synth_api.Synthesizer`.

    One real frame and one job may wait; a newer one replaces it, so a slow renderer skips and never queues. A renderer
    that fails costs its frame: the fault is counted in `errors`, told in `last_error`, logged once per outage.
    Call `close` at the end, not from the event loop: it waits for the frame in work.
    """

    RESULTS_KEPT = 4
    REHEARSE_AT = 12
    """Faces seen before the rehearsal; about half a second of the call."""

    def __init__(self, renderer: FaceRenderer, name: str = "synth") -> None:
        self._renderer = renderer
        self._changed = threading.Condition()
        self._frame: VideoFrame | None = None
        self._job: SynthJob | None = None
        self._begin_ms: float | None = None
        self._rendered = False
        self._rehearsed = False
        self._results: deque[SynthResult] = deque(maxlen=self.RESULTS_KEPT)
        self._outage = 0
        """Number of the outage that jobs now belong to; `release` moves on to the next."""
        self._running: int | None = None
        self._logged: int | None = None
        self._closed = False
        self.errors = 0
        self.last_error = ""
        self.frames_skipped = 0
        self.jobs_skipped = 0
        self.frames_observed = 0
        self.faces_found = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def observe(self, frame: VideoFrame) -> None:
        """Offer a real frame to tracker and history; an older one still waiting is dropped."""
        with self._changed:
            self.frames_skipped += self._frame is not None
            self._frame = frame
            self._changed.notify()

    def begin(self, media_ms: float) -> None:
        """Get ready for an outage whose first frame is for about `media_ms`, after the real frame that still waits."""
        with self._changed:
            self._begin_ms = media_ms
            self._changed.notify()

    def request(self, job: SynthJob) -> None:
        """Ask for the frame of `job`; a job still waiting is replaced."""
        with self._changed:
            self.jobs_skipped += self._job is not None
            self._job = job
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
        """Say whether `take` would return a frame, and one of `since_ms` or later."""
        with self._changed:
            return any(since_ms <= result.media_ms <= media_ms for result in self._results)

    def release(self) -> None:
        """End the outage: jobs and results still waiting are dropped."""
        with self._changed:
            self._outage += 1
            self._job = self._begin_ms = None
            self._results.clear()
            self._changed.notify()

    def close(self) -> None:
        """Stop the thread and wait for it; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._closed:
                    break
                outage = self._outage
                frame, job, begin_ms = self._choose()
            if self._running is not None and self._running != outage:
                self._running = None
                self._guard(self._renderer.stop, outage)
            if frame is not None:
                self._guard(partial(self._observe, frame), outage)
            if begin_ms is not None:
                self._guard(partial(self._start, begin_ms, outage), outage)
            if job is not None:
                self._guard(partial(self._render, job, outage), outage)
        self._guard(self._renderer.close, self._outage)

    def _has_work(self) -> bool:
        ended = self._running is not None and self._running != self._outage
        return self._closed or ended or self._frame is not None or self._job is not None or self._begin_ms is not None

    def _choose(self) -> tuple[VideoFrame | None, SynthJob | None, float | None]:
        """Take one piece of work; the newest real frame goes before an outage begins, a job before it afterwards."""
        shown = self._running is not None and self._running == self._outage and self._rendered
        if self._job is not None and (shown or self._frame is None):
            job, self._job, self._begin_ms = self._job, None, None
            return None, job, None
        if self._frame is not None:
            frame, self._frame = self._frame, None
            return frame, None, None
        begin_ms, self._begin_ms = self._begin_ms, None
        return None, None, begin_ms

    def _start(self, media_ms: float, outage: int) -> None:
        if self._running is None:
            self._renderer.start(media_ms)
            self._running, self._rendered = outage, False

    def _observe(self, frame: VideoFrame) -> None:
        if self._running is not None and not self._rendered:
            # One more real frame: the outage will begin after this one.
            self._running = None
            self._renderer.stop()
        self.frames_observed += 1
        self.faces_found += self._renderer.observe(frame.image, frame.media_ms).found
        if self.faces_found >= self.REHEARSE_AT and not self._rehearsed:
            self._rehearsed = True
            self._rehearse(frame)

    def _rehearse(self, frame: VideoFrame) -> None:
        """Render once in good times for nobody: the first run of every part is slow, and would be seen as a pause."""
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
            if outage == self._outage:
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
