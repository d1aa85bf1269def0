"""The engine on a fake clock: whole outages in milliseconds."""

import heapq
import random
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from synth_fakes import REAL_LEVEL, SYNTH_LEVEL, FakeSynthesizer, picture

from models.alignment import MelWindow
from realtime.clock import FakeClock
from realtime.media import FrameKind, OutputFrame, VideoFrame
from realtime.picture.engine import Engine, EngineConfig, Output
from realtime.picture.monitor import VideoSignal, VideoState
from realtime.picture.stats import freezes
from realtime.picture.synth_api import SynthJob, SynthResult
from realtime.speech.audio import SpeechPath, hold_for

WINDOW = MelWindow.for_lookahead(80.0)
R, S, REP = FrameKind.REAL, FrameKind.SYNTH, FrameKind.REPEATED
LOUD = (8000 * np.sin(np.arange(960) / 38)).astype(np.int16)
JITTER_MS = 60.0
HOLD_MS = hold_for(WINDOW, 40.0)
START = 10_000.0
"""The caller's clock when the call begins: the axes are not the same."""


@dataclass
class Call:
    """Simulate one call: what is captured, what of it arrives when, and what comes out."""

    render_ms: float = 10.0
    video_gone: tuple[tuple[float, float], ...] = ()
    audio_gone: tuple[float, float] | None = None
    source_fps: float = 25.0
    video_delay_ms: float = 20.0
    jitter_ms: float = 0.0
    phase_ms: float = 7.0
    hold_ms: float = HOLD_MS
    seed: int = 0
    synthesize: bool = True
    signals: tuple[tuple[float, VideoSignal], ...] = ()
    synthesizer: type[FakeSynthesizer] = FakeSynthesizer
    out: list[tuple[float, OutputFrame]] = field(default_factory=list)
    states: list[tuple[float, VideoState]] = field(default_factory=list)

    def run(self, seconds: float) -> "Call":
        self.clock = FakeClock()
        self.synth = self.synthesizer(self.clock, self.render_ms)
        self.path = SpeechPath(WINDOW)
        self.engine = Engine(self.path, self.synth if self.synthesize else None)
        for at, _, kind, value in self._events(seconds * 1000):
            self.clock.advance(max(0.0, at - self.clock.now_ms()))
            getattr(self, "_" + kind)(at, value)
        return self

    def _events(self, end: float) -> list[tuple[float, int, str, float]]:
        rng = random.Random(self.seed)
        events: list[tuple[float, int, str, float]] = []
        for i in range(int(end * self.source_fps / 1000)):
            captured = i * 1000 / self.source_fps
            if not any(a <= captured < b for a, b in self.video_gone):
                events.append((captured + self.video_delay_ms + rng.uniform(0, self.jitter_ms), 0, "video", captured))
        for i in range(int(end / 20)):
            heard = self.audio_gone is None or not self.audio_gone[0] <= i * 20.0 < self.audio_gone[1]
            if heard:
                events.append((i * 20.0 + 15, 1, "packet", i * 20.0))
            events.append((i * 20.0 + JITTER_MS, 2, "block" if heard else "lost", i * 20.0))
        events += [(i * 40.0 + self.phase_ms, 3, "tick", 0.0) for i in range(int(end / 40))]
        events += [(at, 4, "signal", float(i)) for i, (at, _) in enumerate(self.signals)]
        heapq.heapify(events)
        return [heapq.heappop(events) for _ in range(len(events))]

    def _video(self, at: float, captured: float) -> None:
        self.engine.on_video(VideoFrame(picture(REAL_LEVEL), captured + START), at)

    def _packet(self, at: float, captured: float) -> None:
        self.engine.on_audio_packet(at)

    def _block(self, at: float, captured: float) -> None:
        self._hear(at, LOUD, captured + START)

    def _lost(self, at: float, captured: float) -> None:
        self._hear(at, None, None)

    def _hear(self, at: float, samples: NDArray[np.int16] | None, source_ms: float | None) -> None:
        at_head = self.path.head_ms
        self.path.push(samples, source_ms)
        self.engine.on_heard(at_head, source_ms)
        if self.path.line.fill_ms > self.hold_ms:
            self.engine.on_playout(self.path.pull(), at)

    def _signal(self, at: float, index: float) -> None:
        self.engine.on_signal(self.signals[int(index)][1], at)

    def _tick(self, at: float, _: float) -> None:
        frame = self.engine.tick(at)
        self.states.append((at, self.engine.monitor.state))
        if frame is not None:
            self.out.append((at, frame))

    def kinds(self, since: float = 500.0) -> list[FrameKind]:
        return [frame.kind for at, frame in self.out if at >= since]

    def changed(self) -> list[float]:
        return [at for at, frame in self.out if frame.kind is not REP]


def outage(call: Call | None = None) -> Call:
    return replace(call or Call(), video_gone=((3000.0, 6000.0),)).run(9.0)


@pytest.mark.parametrize("phase", [0.0, 3.0, 11.0, 19.0, 23.0, 39.0])
def test_an_outage_costs_no_repeated_frame_and_no_freeze(phase: float) -> None:
    call = outage(Call(phase_ms=phase))
    assert set(call.kinds()) == {R, S}
    assert len(call.kinds()) == len([0 for at, _ in call.out if at >= 500])
    stats = call.engine.stats
    assert len(stats.time_to_synth_ms) == 1 and stats.time_to_synth_ms[0] <= 40
    assert len(stats.time_to_return_ms) == 1 and stats.time_to_return_ms[0] <= 1000
    assert freezes(call.changed(), call.out[-1][0]).freezeCount == 0
    assert max(abs(frame.skew_ms) for at, frame in call.out if at >= 500) <= 40
    changes = [a is not b for a, b in zip(call.kinds(), call.kinds()[1:], strict=False)]
    assert sum(changes) == 2, "real, synth, real"


def test_exactly_one_frame_a_tick_from_the_first_on() -> None:
    call = outage()
    times = [at for at, _ in call.out]
    assert {round(b - a, 6) for a, b in zip(times, times[1:], strict=False)} == {40.0}


def test_the_hand_back_rises_step_by_step_to_the_real_frame() -> None:
    call = outage()
    levels = [int(frame.image[0, 0, 0]) for _, frame in call.out]
    first = levels.index(SYNTH_LEVEL)
    back = [level for level in levels[first:] if level > SYNTH_LEVEL]
    rising = [SYNTH_LEVEL, *back[: back.index(REAL_LEVEL) + 1]]
    steps = [b - a for a, b in zip(rising, rising[1:], strict=False)]
    assert min(steps) > 0 and max(steps) <= 150 * 40 / 320 + 2
    assert back[back.index(REAL_LEVEL) :] == [REAL_LEVEL] * len(back[back.index(REAL_LEVEL) :])
    returning = [job for job in call.synth.jobs if job.returning_to is not None]
    assert all(abs(job.media_ms - job.returning_to.media_ms) <= 40 for job in returning if job.returning_to)


@pytest.mark.parametrize("settled_after", [1, 4, 99])
def test_the_hand_back_waits_a_bounded_while_for_a_head_that_is_not_home(settled_after: int) -> None:
    waited: list[float] = []

    class Wandering(FakeSynthesizer):
        def take(self, media_ms: float) -> SynthResult | None:
            result = super().take(media_ms)
            if result is not None and self.jobs[-1].progress > 0.95:
                waited.append(media_ms)
            return None if result is None else replace(result, settled=len(waited) >= settled_after)

    call = Call(video_gone=((3000, 8000),), synthesizer=Wandering).run(12.0)
    stats = call.engine.stats
    most = EngineConfig().hand_back_extra_ms / 40
    assert len(stats.time_to_return_ms) == 1 and stats.time_to_return_ms[0] <= 1000
    assert abs(len(waited) - min(settled_after, most)) <= 1
    assert call.engine.output is Output.REAL


def test_jobs_carry_the_window_of_their_frame() -> None:
    call = outage()
    speaking = [job for job in call.synth.jobs if job.speech]
    assert len(speaking) == len(call.synth.jobs)
    job = speaking[10]
    expected = call.path.window(job.media_ms)
    assert job.mel is not None and job.mel.shape == (80, 16) and expected is not None


def test_a_model_slower_than_the_tick_costs_repeats_and_no_freeze() -> None:
    call = outage(Call(render_ms=70.0))
    synth = [frame for _, frame in call.out if frame.kind is S]
    assert call.kinds().count(REP) > 20 and len(synth) > 20
    assert freezes(call.changed(), call.out[-1][0]).freezeCount == 0
    assert call.engine.stats.time_to_synth_ms[0] <= 120


def test_without_any_result_the_last_frame_stays_and_real_frames_come_at_once() -> None:
    for call in (outage(Call(render_ms=1e9)), outage(Call(synthesize=False))):
        assert S not in call.kinds()
        found = freezes(call.changed())
        assert found.freezeCount == 1 and found.totalFreezesDuration == pytest.approx(3.0, abs=0.2)
        assert call.kinds()[-1] is R
        assert not call.engine.stats.time_to_synth_ms


def test_a_paused_still_is_no_synthetic_frame() -> None:
    class Paused(FakeSynthesizer):
        def __init__(self, clock: FakeClock, render_ms: float) -> None:
            super().__init__(clock, render_ms)
            self.paused = True

    call = outage(Call(synthesizer=Paused))
    assert S not in call.kinds()
    assert call.engine.stats.snapshot()["freezeCount"] == 1


def test_the_mouth_closes_when_the_sound_goes_too() -> None:
    call = outage(Call(audio_gone=(4000.0, 5000.0)))
    closed = [job.media_ms for job in call.synth.jobs if not job.speech]
    assert closed and 4000 <= min(closed) <= 4400 and max(closed) <= 5100
    assert REP not in call.kinds()


def test_a_pause_signal_starts_before_the_gap() -> None:
    told = outage(Call(signals=((3001.0, VideoSignal.VIDEO_PAUSED),)))
    silent = outage()
    first = [next(at for at, state in call.states if state is VideoState.GONE) for call in (told, silent)]
    assert first[0] < first[1]
    assert set(told.kinds()) == {R, S}


@pytest.mark.parametrize("again", [5300.0, 5400.0, 5500.0])
def test_falling_again_in_the_hand_back_lets_lips_follow_the_sound_at_once(again: float) -> None:
    """A real frame that stands is a mouth that stands, for up to 400 ms of the speech that goes on."""
    call = Call(video_gone=((3000.0, 5000.0), (again, 7000.0))).run(9.0)
    returning = [job for job in call.synth.jobs if job.returning_to is not None]
    ages = [job.media_ms - job.returning_to.media_ms for job in returning if job.returning_to]
    assert max(ages) <= 100.0 + 40.0, "longer than one gap that ends RETURNING"
    first, back = [job for job in returning if job.media_ms < 7000.0], [j for j in returning if j.media_ms > 7000.0]
    assert [job.progress for job in first] == sorted(job.progress for job in first), "progress only rises"
    assert first and back and back[0].progress < 0.1
    assert call.synth.outages == 1 and REP not in call.kinds()


@pytest.mark.parametrize("fps", [12.0, 15.0, 24.0, 30.0, 60.0])
def test_other_source_rates(fps: float) -> None:
    call = outage(Call(source_fps=fps))
    before = [frame.kind for at, frame in call.out if 1500 < at < 3000]
    assert S not in before
    assert before.count(R) >= 0.9 * min(fps, 25) * 1.5
    assert call.kinds().count(S) > 60 and call.kinds()[-1] in (R, REP)
    assert freezes(call.changed(), call.out[-1][0]).freezeCount == 0


def test_one_lost_frame_is_no_outage() -> None:
    call = Call(video_gone=((3000.0, 3001.0),)).run(6.0)
    assert S not in call.kinds()
    assert call.kinds().count(REP) == 1


def test_real_frames_are_observed_once_and_in_order() -> None:
    call = outage()
    assert call.synth.observed == sorted(set(call.synth.observed))
    assert call.synth.outages == 1
    first = next(job.media_ms for job in call.synth.jobs)
    assert max(t for t in call.synth.observed if t < first) >= first - 60, "the last real frame is known at the switch"


def test_the_synthesizer_is_told_before_the_first_job() -> None:
    call = outage()
    (at, _), first = call.synth.begun[0], next(at for at, frame in call.out if frame.kind is S)
    assert len(call.synth.begun) == 1
    assert at <= first - 2 * 40


def test_nothing_comes_out_before_the_first_picture() -> None:
    call = Call(video_gone=((0.0, 2000.0),)).run(4.0)
    assert min(at for at, _ in call.out) >= 2000
    assert set(call.kinds()) <= {R, REP}


def test_picture_without_any_sound() -> None:
    call = Call(audio_gone=(0.0, 1e9)).run(5.0)
    assert call.kinds(1000.0).count(R) >= 95


def test_the_interval_is_that_of_the_rate() -> None:
    assert EngineConfig(fps=30.0).interval_ms == pytest.approx(100 / 3)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.floats(0, 39.9),
    st.floats(0, 60),
    st.lists(st.floats(1000, 5000), min_size=2, max_size=6).map(sorted),
)
def test_no_weather_freezes_the_picture(seed: int, phase: float, jitter: float, cuts: list[float]) -> None:
    """Any outages, any jitter: with a model that keeps up a viewer never sees a freeze, and T and kinds stay sane."""
    gone = tuple(zip(cuts[::2], cuts[1::2], strict=False))
    call = Call(video_gone=gone, jitter_ms=jitter, phase_ms=phase, seed=seed).run(7.0)
    assert freezes(call.changed(), call.out[-1][0]).freezeCount == 0
    media = [frame.media_ms for _, frame in call.out]
    assert media == sorted(media)
    assert call.kinds()[-1] in (R, REP)
    skew = sorted(abs(frame.skew_ms) for at, frame in call.out if at >= 500)
    assert skew[int(0.95 * len(skew))] <= 40


def heard_ahead(render_ms: float, hold_ms: float) -> tuple[list[float], list[FrameKind]]:
    """Return how much sound after its frame each job of an outage had, and the kinds of frames shown in it."""
    ahead: list[float] = []

    class Noting(FakeSynthesizer):
        def request(self, job: SynthJob) -> None:
            if job.returning_to is None:
                ahead.append(call.path.head_ms - job.media_ms)
            super().request(job)

    call = Call(render_ms, video_gone=((2000.0, 4000.0),), hold_ms=hold_ms, synthesizer=Noting)
    call.run(3.9)
    return ahead[5:], [frame.kind for at, frame in call.out if at > 2400.0]


def test_lips_wait_for_another_block_where_sound_is_short_and_rendering_quick() -> None:
    slow, kinds_slow = heard_ahead(20.0, 60.0)
    quick, kinds = heard_ahead(10.0, 60.0)
    assert min(quick) == min(slow) + 20.0, "20 ms more of the speech moves them"
    assert len(quick) == len(slow) and set(kinds) == set(kinds_slow) == {S}, "and no frame is missing for that"
    assert heard_ahead(10.0, HOLD_MS) == heard_ahead(20.0, HOLD_MS), "what is all here is asked for at once"
