"""The rendering thread: newest first, one owner, faults counted, always joined."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import contains

import pytest
from synth_fakes import FakeRenderer, picture

from realtime.face.worker import SynthWorker
from realtime.media import VideoFrame
from realtime.picture.synth_api import HeardFrame, Learned, SynthJob, SynthResult


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; the limit only keeps a broken test from hanging."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it never happened")


def names(renderer: FakeRenderer) -> list[str]:
    return [name for name, _ in renderer.calls]


@pytest.fixture
def renderer() -> FakeRenderer:
    return FakeRenderer()


@pytest.fixture
def worker(renderer: FakeRenderer) -> Iterator[SynthWorker]:
    made = SynthWorker(renderer)
    yield made
    renderer.gate.set()
    made.close()


def take(worker: SynthWorker, media_ms: float) -> SynthResult:
    found: list[SynthResult] = []

    def there() -> bool:
        result = worker.take(media_ms)
        found.extend([result] if result else [])
        return bool(found)

    until(there)
    return found[0]


def test_an_outage_from_start_to_stop(worker: SynthWorker, renderer: FakeRenderer) -> None:
    worker.observe(VideoFrame(picture(1), 0.0))
    until(lambda: names(renderer) == ["observe"])
    worker.request(SynthJob(40.0))
    assert take(worker, 60.0).media_ms == 40.0
    worker.request(SynthJob(80.0, returning_to=VideoFrame(picture(2), 80.0), progress=0.5))
    assert int(take(worker, 80.0).image[0, 0, 0]) == 125
    worker.release()
    until(lambda: names(renderer)[-1] == "stop")
    assert names(renderer) == ["observe", "start", "render", "hand_back", "stop"]
    assert worker.take(1e9) is None
    assert worker.errors == 0
    assert len(renderer.threads) == 1 and threading.get_ident() not in renderer.threads


def test_an_outage_foreseen_is_ready_and_begins_after_the_newest_real_frame(
    worker: SynthWorker, renderer: FakeRenderer
) -> None:
    worker.begin(40.0)
    until(lambda: names(renderer) == ["start"])
    worker.observe(VideoFrame(picture(1), 20.0))
    until(lambda: names(renderer) == ["start", "stop", "observe"])
    worker.begin(60.0)
    until(lambda: names(renderer)[-1] == "start")
    worker.request(SynthJob(60.0))
    take(worker, 60.0)
    assert names(renderer) == ["start", "stop", "observe", "start", "render"]


def test_a_false_alarm_is_taken_back(worker: SynthWorker, renderer: FakeRenderer) -> None:
    worker.begin(40.0)
    until(lambda: names(renderer) == ["start"])
    worker.release()
    until(lambda: names(renderer) == ["start", "stop"])


def test_rehearses_once_in_good_times_for_nobody(worker: SynthWorker, renderer: FakeRenderer) -> None:
    for i in range(30):
        worker.observe(VideoFrame(picture(1), i * 40.0))
        until(partial(contains, renderer.calls, ("observe", i * 40.0)))
    at = names(renderer).index("start")
    assert names(renderer)[at : at + 4] == ["start", "render", "hand_back", "stop"]
    assert names(renderer).count("start") == 1 and names(renderer).count("observe") == 30
    assert worker.take(1e9) is None and worker.errors == 0


def test_a_slow_renderer_skips_and_never_queues(worker: SynthWorker, renderer: FakeRenderer) -> None:
    renderer.gate.clear()
    worker.request(SynthJob(0.0))
    assert renderer.rendering.wait(90.0)
    for i in range(1, 50):
        worker.request(SynthJob(i * 40.0))
        worker.observe(VideoFrame(picture(1), i * 40.0))
    assert worker.take(1e9) is None, "take must not wait"
    renderer.gate.set()
    until(lambda: ("render", 1960.0) in renderer.calls and "observe" in names(renderer))
    assert [call for call in renderer.calls if call[0] == "render"] == [("render", 0.0), ("render", 1960.0)]
    assert [call for call in renderer.calls if call[0] == "observe"] == [("observe", 1960.0)]
    assert (worker.jobs_skipped, worker.frames_skipped) == (48, 48)


def test_the_last_real_frame_is_seen_before_an_outage_begins(worker: SynthWorker, renderer: FakeRenderer) -> None:
    renderer.gate.clear()
    worker.request(SynthJob(0.0))
    assert renderer.rendering.wait(90.0)
    worker.release()
    worker.observe(VideoFrame(picture(1), 20.0))
    worker.request(SynthJob(40.0))
    renderer.gate.set()
    take(worker, 40.0)
    assert names(renderer) == ["start", "render", "stop", "observe", "start", "render"]


def test_once_synthetic_frames_are_shown_a_job_does_not_wait_for_a_real_frame(
    worker: SynthWorker, renderer: FakeRenderer
) -> None:
    renderer.gate.clear()
    worker.request(SynthJob(0.0))
    assert renderer.rendering.wait(90.0)
    worker.observe(VideoFrame(picture(1), 20.0))
    worker.request(SynthJob(40.0))
    renderer.gate.set()
    until(lambda: "observe" in names(renderer))
    assert names(renderer) == ["start", "render", "render", "observe"]


def test_take_gives_the_newest_that_is_due_and_keeps_the_future(worker: SynthWorker, renderer: FakeRenderer) -> None:
    for media in (0.0, 40.0, 80.0):
        worker.request(SynthJob(media))
        until(partial(contains, renderer.calls, ("render", media)))
    assert take(worker, 60.0).media_ms == 40.0
    assert worker.take(60.0) is None
    assert take(worker, 100.0).media_ms == 80.0


def test_what_was_in_work_at_the_release_is_thrown_away(worker: SynthWorker, renderer: FakeRenderer) -> None:
    renderer.gate.clear()
    worker.request(SynthJob(0.0))
    assert renderer.rendering.wait(90.0)
    worker.release()
    renderer.gate.set()
    until(lambda: "stop" in names(renderer))
    assert worker.take(1e9) is None


@pytest.mark.parametrize("method", ["observe", "start", "render"])
def test_a_fault_costs_its_frame_only(worker: SynthWorker, renderer: FakeRenderer, method: str) -> None:
    renderer.fail.add(method)
    worker.observe(VideoFrame(picture(1), 0.0))
    until(lambda: "observe" in names(renderer))
    worker.request(SynthJob(40.0))
    until(lambda: worker.errors == 1)
    assert worker.last_error == f"RuntimeError: {method} fails"
    renderer.fail.clear()
    worker.request(SynthJob(80.0))
    take(worker, 80.0)
    assert worker.errors == 1


def test_close_frees_the_renderer_and_ends_the_thread(renderer: FakeRenderer) -> None:
    worker = SynthWorker(renderer)
    worker.close()
    worker.close()
    assert names(renderer) == ["close"]
    assert not renderer.threads & {thread.ident for thread in threading.enumerate()}


def heard(*times: float) -> list[HeardFrame]:
    return [HeardFrame(at, None) for at in times]


def test_what_was_heard_is_learned_from_when_nothing_else_waits(worker: SynthWorker, renderer: FakeRenderer) -> None:
    worker.observe(VideoFrame(picture(1), 0.0))
    worker.learn(heard(0.0, 40.0))
    until(lambda: names(renderer) == ["observe", "learn", "learn"])
    until(lambda: worker.learned == Learned(2.0))


def test_learning_never_delays_a_frame_and_never_queues(worker: SynthWorker, renderer: FakeRenderer) -> None:
    renderer.gate.clear()
    worker.request(SynthJob(0.0))
    assert renderer.rendering.wait(90.0)
    worker.learn(heard(*(40.0 * at for at in range(500))))
    worker.request(SynthJob(40.0))
    renderer.gate.set()
    assert take(worker, 40.0).media_ms == 40.0
    assert "learn" not in names(renderer), "a job drops what waits to be learned from"
    renderer.gate.clear()
    worker.request(SynthJob(80.0))
    until(lambda: ("render", 40.0) in renderer.calls)
    worker.release()
    worker.learn(heard(*(40.0 * at for at in range(500))))
    renderer.gate.set()
    until(lambda: ("learn", 40.0 * 499) in renderer.calls)
    assert names(renderer).count("learn") <= 64 + 8
