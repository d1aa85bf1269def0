"""A whole call path in simulated time: packets and frames in, sound and picture out, through an outage."""

import heapq
import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from synth_fakes import REAL_LEVEL, FakeSynthesizer, picture

from models.alignment import MelWindow
from realtime.clock import FakeClock
from realtime.media import AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.stats import freezes
from realtime.rtc.node.path import CallPath
from realtime.rtc.send.opus import OpusEncoder

WINDOW = MelWindow.for_lookahead(80.0)
PACKETS: list[bytes] = []


@pytest.fixture(scope="module", autouse=True)
def _speech() -> None:
    encoder, t = OpusEncoder(), np.arange(48_000 * 2) / 48_000
    wave = 6000 * np.sin(2 * np.pi * 140 * t) * (1.2 + np.sin(2 * np.pi * 3 * t))
    PACKETS[:] = [p for block in wave.astype(np.int16).reshape(-1, 960) if (p := encoder.encode(block))]


@dataclass
class Call:
    """One call: frames captured in `gone` never arrive; times in ms."""

    gone: tuple[tuple[float, float], ...] = ()
    encode_ms: float = 22.0
    late_ms: float = 0.0
    """Every fourth frame takes so much longer."""
    video_jitter_ms: float = 5.0
    audio_jitter_ms: float = 4.0
    loss: float = 0.0
    silent_until: float = 0.0
    fps: float = 25.0
    render_ms: float = 15.0
    follow: bool = False
    """Tick when the path says, as `CallPath.run` does, and not every 40 ms."""
    seed: int = 1
    shown: list[tuple[float, OutputFrame]] = field(default_factory=list)
    played: list[AudioBlock] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)

    def run(self, seconds: float) -> "Call":
        self.clock = FakeClock()
        self.synth = FakeSynthesizer(self.clock, self.render_ms)
        self.path = CallPath(
            self.clock, WINDOW, self.synth, on_block=self.played.append,
            on_frame=lambda frame: self.shown.append((self.clock.now_ms(), frame)),
            source_ms=lambda timestamp: 7_000.0 + timestamp / 48.0,
        )  # fmt: skip
        self.events, self.end = self._events(seconds * 1000.0), seconds * 1000.0
        while self.events:
            at, _, kind, value = heapq.heappop(self.events)
            self.clock.advance(max(0.0, at - self.clock.now_ms()))
            getattr(self, "_" + kind)(at, value)
        return self

    def _events(self, end: float) -> list[tuple[float, int, str, float]]:
        rng = random.Random(self.seed)
        events: list[tuple[float, int, str, float]] = []
        for i in range(int(end / 20)):
            if rng.random() >= self.loss and i * 20.0 >= self.silent_until:
                events.append((i * 20.0 + 20.0 + rng.uniform(0, self.audio_jitter_ms), 1, "packet", i))
        for i in range(int(end * self.fps / 1000.0)):
            captured = i * 1000.0 / self.fps
            late = self.encode_ms + rng.uniform(0, self.video_jitter_ms) + self.late_ms * (i % 4 == 0)
            if not any(a <= captured < b for a, b in self.gone):
                events.append((captured + late, 0, "video", captured))
        events += [(i * 20.0 + 6.0, 2, "play", 0.0) for i in range(int(end / 20))]
        events += [(i * 40.0 + 17.0, 3, "tick", 0.0) for i in range(1 if self.follow else int(end / 40))]
        heapq.heapify(events)
        return events

    def _packet(self, at: float, n: float) -> None:
        i = int(n)
        self.path.audio_packet(i & 0xFFFF, i * 960, PACKETS[i % len(PACKETS)], at)

    def _video(self, at: float, captured: float) -> None:
        self.path.video_frame(VideoFrame(picture(REAL_LEVEL), 7_000.0 + captured), at)

    def _play(self, at: float, _: float) -> None:
        self.path.play(at)
        self.delays.append((at, self.path.playout.delay_ms))

    def _tick(self, at: float, _: float) -> None:
        next_ms = self.path.tick(at)
        if self.follow and next_ms < self.end:
            heapq.heappush(self.events, (next_ms, 3, "tick", 0.0))

    def delay(self, at_ms: float) -> float:
        return next(delay for at, delay in self.delays if at >= at_ms)

    def skews(self, kind: FrameKind, since: float = 1000.0) -> NDArray[np.float64]:
        return np.array([abs(frame.skew_ms) for at, frame in self.shown if frame.kind is kind and at >= since])

    def freeze_count(self) -> int:
        changed = [at for at, frame in self.shown if frame.kind is not FrameKind.REPEATED and at >= 500.0]
        return freezes(changed, self.clock.now_ms()).freezeCount


def test_in_good_times_sound_waits_for_jitter_alone() -> None:
    call = Call().run(10)
    assert all(35.0 < delay < 65.0 for at, delay in call.delays if at > 1000)
    assert np.quantile(call.skews(FrameKind.REAL), 0.95) <= 40.0
    assert [block.out_ms for block in call.played] == [20.0 * i for i in range(len(call.played))]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_an_outage_is_bridged_in_time_from_a_delay_of_40_ms(seed: int, fps: float) -> None:
    begin = 4000.0 + seed * 7.0
    call = Call(gone=((begin, 8000.0),), fps=fps, seed=seed).run(12)
    assert call.freeze_count() == 0
    stats = call.path.engine.stats
    assert len(stats.time_to_synth_ms) == 1 and stats.time_to_synth_ms[0] <= 120.0
    assert call.delay(begin - 50.0) < 65.0
    assert call.delay(begin + 900.0) > 125.0, "synthesis never came to hear ahead"
    assert call.delay(11_500.0) < 75.0, "the delay for synthesis was kept"
    for kind in (FrameKind.REAL, FrameKind.SYNTH):
        assert np.quantile(call.skews(kind), 0.95) <= 40.0
    heard_ahead = [job for job in call.synth.jobs if job.media_ms > begin + 500.0]
    assert heard_ahead and all(job.mel is not None for job in call.synth.jobs)


@pytest.mark.parametrize("encode_ms", [22.0, 29.0, 41.0])
def test_pictures_leave_at_their_moment_and_25_a_second(encode_ms: float) -> None:
    call = Call(gone=((9000.0, 12_000.0),), encode_ms=encode_ms, follow=True).run(20)
    for since, until in ((5000.0, 9000.0), (17_000.0, 20_000.0)):
        real = [f.skew_ms for at, f in call.shown if f.kind is FrameKind.REAL and since <= at < until]
        assert len(real) > 60 and np.abs(real).max() < 6.0
    assert call.freeze_count() == 0
    ticks = np.array([at for at, _ in call.shown])
    assert np.abs(np.diff(ticks) - 40.0).max() <= 1.0 + 1e-6
    assert len(ticks) / (ticks[-1] - ticks[0]) * 1000.0 == pytest.approx(25.0, abs=0.15)
    outs = np.array([frame.out_ms for _, frame in call.shown])
    assert np.diff(outs) == pytest.approx(np.diff(ticks)), "stamps tell when pictures left"


@pytest.mark.parametrize("encode_ms", [22.0, 29.0, 41.0])
def test_ticks_go_after_the_pictures_in_the_hand_back_already(encode_ms: float) -> None:
    call = Call(gone=((9000.0, 12_000.0),), encode_ms=encode_ms, follow=True).run(16)
    returning = [job for job in call.synth.jobs if job.returning_to is not None]
    off = [abs(job.returning_to.media_ms - job.media_ms) for job in returning if job.returning_to]
    assert len(off) >= 10
    assert off[-1] < 0.5 * off[0] + 2.0
    real = [abs(f.skew_ms) for at, f in call.shown if f.kind is FrameKind.REAL and at > 12_000.0]
    assert real[0] < 13.0


def test_a_source_of_another_rate_leaves_the_ticks_alone() -> None:
    ticks = [at for at, _ in Call(fps=30.0, follow=True).run(8).shown]
    assert np.diff(ticks) == pytest.approx(40.0)


def test_late_pictures_make_the_sound_wait_for_them() -> None:
    call = Call(late_ms=70.0).run(12)
    assert 65.0 < call.delay(8000.0) < 105.0, "75 ms are needed"
    assert np.quantile(call.skews(FrameKind.REAL, 5000.0), 0.95) <= 40.0


def test_lost_packets_leave_no_delay_and_no_freeze() -> None:
    call = Call(loss=0.05, gone=((5000.0, 7000.0),)).run(12)
    assert call.freeze_count() == 0
    assert call.path.playout.stats.concealedSamples <= 0.06 * call.path.playout.stats.totalSamplesReceived
    assert call.delays[-1][1] < 80.0


def test_the_status_tells_what_is_shown() -> None:
    call = Call(gone=((4000.0, 60_000.0),)).run(8)
    status = call.path.status()
    assert status.state == "synth" and 3000.0 < status.since_ms < 4200.0
    assert status.concealed == 0.0
    assert Call().run(3).path.status().state == "real"


def test_a_picture_that_stands_is_told_even_before_anything_can_be_synthesized() -> None:
    call = Call(gone=((200.0, 60_000.0),)).run(4)
    assert call.path.status().state == "still" and not call.skews(FrameKind.SYNTH, 0.0).size


def test_who_has_no_microphone_is_seen() -> None:
    call = Call(loss=1.0).run(4)
    kinds = [frame.kind for at, frame in call.shown if at > 1500.0]
    assert len(kinds) > 50 and set(kinds) == {FrameKind.REAL}
    assert not any(block.samples.any() for block in call.played)


def test_who_speaks_later_is_heard_without_a_gap() -> None:
    call = Call(silent_until=3000.0).run(8)
    assert np.diff([block.leaves_ms for block in call.played]) == pytest.approx(20.0)
    assert all(block.samples.any() for block in call.played[-150:])
    assert call.delays[-1][1] < 80.0 and np.quantile(call.skews(FrameKind.REAL, 5000.0), 0.95) <= 40.0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 60), st.floats(0, 60), st.floats(200, 3000), st.sampled_from([15, 25, 30]))
def test_no_freeze_in_any_weather(seed: int, video: float, audio: float, outage: float, fps: float) -> None:
    """Whenever speech arrives the picture goes on."""
    gone = tuple((at, at + outage) for at in (3000.0, 7000.0))
    call = Call(gone=gone, video_jitter_ms=video, audio_jitter_ms=audio, fps=fps, seed=seed).run(11)
    assert call.freeze_count() == 0
    outs = [block.leaves_ms for block in call.played]
    assert np.diff(outs) == pytest.approx(20.0)
