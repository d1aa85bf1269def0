"""The link machine: the four states over arrivals, signals and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.picture.monitor import VideoMonitor, VideoMonitorConfig, VideoSignal, VideoState

GOOD, LATE, GONE, BACK = VideoState.GOOD, VideoState.LATE, VideoState.GONE, VideoState.BACK
LEGAL = {
    (GOOD, LATE), (LATE, GOOD), (LATE, GONE), (GOOD, GONE), (GONE, BACK), (BACK, GOOD),
    (BACK, GONE),
}  # fmt: skip


def video(monitor: VideoMonitor, at_ms: float) -> VideoState:
    monitor.on_video(at_ms)
    return monitor.state


def audio(monitor: VideoMonitor, at_ms: float) -> VideoState:
    monitor.on_audio(at_ms)
    return monitor.state


def signal(monitor: VideoMonitor, word: VideoSignal, at_ms: float) -> VideoState:
    monitor.on_signal(word, at_ms)
    return monitor.state


def tick(monitor: VideoMonitor, now_ms: float) -> VideoState:
    monitor.tick(now_ms)
    return monitor.state


def good_link(frames: int = 50, interval: float = 40.0) -> tuple[VideoMonitor, float]:
    monitor = VideoMonitor()
    for i in range(frames):
        monitor.on_audio(i * interval)
        assert video(monitor, i * interval) is GOOD
    return monitor, (frames - 1) * interval


def arrive(monitor: VideoMonitor, start: float, count: int, interval: float) -> list[VideoState]:
    return [video(monitor, start + i * interval) for i in range(count)]


def test_overdue_frame_is_suspect_and_a_gap_of_100_ms_is_synth() -> None:
    monitor, last = good_link()
    assert tick(monitor, last + 60) is GOOD
    assert tick(monitor, last + 61) is LATE
    assert tick(monitor, last + 99) is LATE
    assert tick(monitor, last + 100) is GONE


def test_a_late_frame_clears_the_suspicion() -> None:
    monitor, last = good_link()
    assert tick(monitor, last + 80) is LATE
    assert video(monitor, last + 81) is GOOD


def test_pause_signal_starts_synthesis_at_once_only_with_speech() -> None:
    monitor, last = good_link()
    assert signal(monitor, VideoSignal.VIDEO_PAUSED, last + 5) is GONE
    silent = VideoMonitor()
    silent.on_video(0)
    assert signal(silent, VideoSignal.VIDEO_PAUSED, 5) is GOOD
    assert tick(silent, 100) is GONE
    assert not silent.speech


def test_speech_ends_when_audio_is_gone_too() -> None:
    monitor, last = good_link()
    monitor.tick(last + 300)
    assert monitor.state is GONE and monitor.speech
    monitor.tick(last + 301)
    assert monitor.state is GONE and not monitor.speech


def test_return_needs_steady_frames_and_lasts_the_hand_back() -> None:
    monitor, last = good_link()
    monitor.tick(last + 5000)
    back = last + 5000
    assert arrive(monitor, back, 6, 40.0) == [GONE] * 5 + [BACK]
    assert monitor.run_started_ms == back
    began = monitor.since_ms
    hand_back = monitor.config.hand_back_ms
    for t in range(6, 5 + int(hand_back / 40)):
        monitor.on_video(back + t * 40)
    assert tick(monitor, began + hand_back - 1) is BACK
    assert tick(monitor, began + hand_back) is GOOD


def test_a_burst_or_a_trickle_is_no_return() -> None:
    monitor, last = good_link()
    monitor.tick(last + 5000)
    assert set(arrive(monitor, last + 5000, 12, 1.0)) == {GONE}
    assert set(arrive(monitor, last + 6000, 12, 170.0)) == {GONE}


def test_falls_back_when_frames_stop_in_the_hand_back() -> None:
    monitor, last = good_link()
    monitor.tick(last + 5000)
    arrive(monitor, last + 5000, 6, 40.0)
    assert tick(monitor, last + 5200 + 149) is BACK
    assert tick(monitor, last + 5200 + 150) is GONE
    arrive(monitor, last + 5400, 6, 40.0)
    assert monitor.state is BACK
    assert monitor.flowing_since_ms == last + 5000, "a hiccup is no reason to count anew"


def test_a_source_that_comes_back_slower_is_accepted_and_kept() -> None:
    monitor, last = good_link()
    monitor.tick(last + 5000)
    states = arrive(monitor, last + 5000, 40, 100.0)
    assert states[9] in (BACK, GOOD) or states[10] in (BACK, GOOD)
    assert states[-1] is GOOD


def test_slow_source_is_no_outage() -> None:
    monitor = VideoMonitor(VideoMonitorConfig(frame_interval_ms=1000 / 12))
    assert set(arrive(monitor, 0.0, 60, 1000 / 12)) == {GOOD}


def test_no_video_ever_is_no_outage() -> None:
    monitor = VideoMonitor()
    monitor.on_audio(0)
    assert tick(monitor, 60_000) is GOOD


@pytest.mark.parametrize("gap", [99.0, 121.0, 150.0])
def test_a_gap_that_would_freeze_or_flap_is_refused(gap: float) -> None:
    with pytest.raises(ValueError, match="100 to 120"):
        VideoMonitorConfig(synth_gap_ms=gap)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["video", "video", "video", "audio", "pause", "resume", "tick"]), st.floats(-50, 400)),
    max_size=150,
)


def feed(monitor: VideoMonitor, kind: str, now: float) -> VideoState:
    if kind == "video":
        return video(monitor, now)
    if kind == "audio":
        return audio(monitor, now)
    if kind == "tick":
        return tick(monitor, now)
    return signal(monitor, VideoSignal.VIDEO_PAUSED if kind == "pause" else VideoSignal.VIDEO_RESUMED, now)


@given(EVENTS)
def test_only_legal_moves_in_any_order_of_events(events: list[tuple[str, float]]) -> None:
    """Ticking every ms shows each move alone, so that two legal ones do not look like an illegal one."""
    monitor, now, clock = VideoMonitor(), 0.0, 0.0
    states = [monitor.state]
    entered: dict[VideoState, list[float]] = {}
    for kind, step in events:
        for t in range(int(clock), int(now + step)):
            states.append(tick(monitor, float(t)))
        now += step
        clock = max(clock, now)
        before = monitor.since_ms
        states.append(feed(monitor, kind, now))
        assert monitor.since_ms >= before
        if monitor.since_ms != before:
            entered.setdefault(monitor.state, []).append(monitor.since_ms)
    moves = {(a, b) for a, b in zip(states, states[1:], strict=False) if a is not b}
    assert moves <= LEGAL
    for a, b in zip(entered.get(BACK, []), entered.get(BACK, [])[1:], strict=False):
        assert b - a >= VideoMonitorConfig().return_span_ms


@given(st.lists(st.floats(0, 400), min_size=2, max_size=120))
def test_a_viewer_never_waits_for_the_freeze_limit(gaps: list[float]) -> None:
    """Whatever the intervals were, video that stops is given up before max(3 d, d + 150)."""
    monitor, now = VideoMonitor(), 0.0
    for gap in gaps:
        now += gap
        monitor.on_video(now)
    d = monitor.interval_ms
    assert monitor.synth_gap_ms < max(3 * d, d + 150)
    if monitor.state is not BACK:
        assert tick(monitor, now + monitor.synth_gap_ms + 1e-6) is GONE


@given(st.floats(10, 70), st.integers(0, 30))
def test_every_steady_source_returns_within_a_second(interval: float, seed: int) -> None:
    monitor, last = good_link(50, interval)
    start = last + 1000 + seed
    monitor.tick(start - 1)
    assert monitor.state is GONE
    times = [start + i * interval for i in range(int(1000 / interval))]
    assert BACK in [video(monitor, t) for t in times]
