"""A synthesizer that renders at once, on the caller's thread: simulated time waits for it."""

from collections.abc import Callable, Sequence

from realtime.media import VideoFrame
from realtime.picture.synth_api import FaceRenderer, HeardFrame, SynthJob, SynthResult


class LockstepSynth:
    """A `realtime.picture.synth_api.Synthesizer` without a thread, bounded like the real one.

    Every `observe_every`-th real frame is observed, as by a worker whose machine is that much too slow. A renderer that
    fails costs its frame and is counted in `errors`.
    """

    def __init__(self, renderer: FaceRenderer, *, observe_every: int = 1) -> None:
        self._renderer = renderer
        self._every = observe_every
        self._seen = 0
        self._running = False
        self._results: list[SynthResult] = []
        self.errors = 0
        self.last_error = ""

    def observe(self, frame: VideoFrame) -> None:
        """Track the frame now."""
        self._seen += 1
        if self._seen % self._every == 0:
            self._guard(lambda: self._renderer.observe(frame.image, frame.media_ms))

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        """Learn now."""
        self._guard(lambda: self._renderer.learn(heard))

    def begin(self, media_ms: float) -> None:
        """Start the outage now."""
        self._guard(lambda: self._start(media_ms))

    def request(self, job: SynthJob) -> None:
        """Render the job now."""
        self._guard(lambda: self._render(job))

    def take(self, media_ms: float) -> SynthResult | None:
        """Return the newest finished frame not past `media_ms`."""
        ready = [result for result in self._results if result.media_ms <= media_ms]
        self._results = [result for result in self._results if result.media_ms > media_ms][-4:]
        return ready[-1] if ready else None

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        """Return whether `take` would return a frame, and one of `since_ms` or later."""
        return any(since_ms <= result.media_ms <= media_ms for result in self._results)

    def release(self) -> None:
        """End the outage."""
        self._results.clear()
        if self._running:
            self._running = False
            self._renderer.stop()

    def close(self) -> None:
        """Close the renderer."""
        self._renderer.close()

    def _start(self, media_ms: float) -> None:
        if not self._running:
            self._renderer.start(media_ms)
            self._running = True

    def _render(self, job: SynthJob) -> None:
        self._start(job.media_ms)
        if job.returning_to is not None:
            drawn = self._renderer.hand_back(job.returning_to.image, job.media_ms, job.progress)
        else:
            drawn = self._renderer.render(job.mel, job.media_ms, speech=job.speech)
        self._results.append(SynthResult(drawn.image, job.media_ms, 0.0, drawn.why is not None, drawn.settled))

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"
