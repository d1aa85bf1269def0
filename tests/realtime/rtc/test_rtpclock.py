import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.rtc.rtpclock import SLEW_MS_PER_S, WRAP, RtpClock, StreamPair


def feed(
    clock: RtpClock, *, start: int, seconds: float, ppm: float = 0.0, rate: int = 48_000, path: float = 30.0
) -> None:
    for i in range(int(seconds * 50)):
        captured = 20.0 * i * (1 + ppm * 1e-6)
        clock.observe((start + i * rate // 50) % WRAP, captured + path + (i * 7 % 11))


@given(st.integers(0, WRAP - 1), st.floats(-100, 100))
def test_media_time_follows_a_drifting_sender_across_the_wrap(start: int, ppm: float) -> None:
    clock = RtpClock(48_000)
    feed(clock, start=start, seconds=30, ppm=ppm)
    for i in (1400, 1450, 1499):
        captured = 20.0 * i * (1 + ppm * 1e-6)
        # Only the path's least delay is in the mapping, to the drift of the 2 s window and the filter's lag.
        assert clock.media_ms((start + i * 960) % WRAP) == pytest.approx(captured + 30.0, abs=0.5)


@given(st.integers(0, WRAP - 1), st.permutations(range(60)))
def test_order_of_arrival_does_not_confuse_the_wrap(start: int, order: list[int]) -> None:
    clock = RtpClock(90_000)
    for i in order:
        clock.observe((start + 3000 * i) % WRAP, 5_000.0 + i)
    times = [clock.media_ms((start + 3000 * i) % WRAP) for i in range(60)]
    steps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert all(math.isclose(step, 100 / 3, abs_tol=1e-6) for step in steps)


@given(st.lists(st.floats(0, 400), min_size=100, max_size=200), st.integers(0, WRAP - 1))
def test_after_the_bootstrap_the_mapping_never_steps(delays: list[float], start: int) -> None:
    clock = RtpClock(48_000)
    before = None
    for i, delay in enumerate(delays):
        arrival = 20.0 * i + delay
        clock.observe((start + 960 * i) % WRAP, arrival)
        now = clock.media_ms(start) if i == 0 else clock.media_ms((start + 960 * i) % WRAP) - 20.0 * i
        if before is not None and i > 60:
            assert abs(now - before) <= SLEW_MS_PER_S * 0.1 + 1e-6
        before = now


def test_queueing_is_not_taken_for_media_time() -> None:
    clock = RtpClock(48_000)
    feed(clock, start=0, seconds=5)
    for i in range(250, 350):  # two seconds behind a queue that grows to 200 ms
        clock.observe(960 * i, 20.0 * i + 30.0 + min(200.0, 2.0 * (i - 250)))
    assert clock.media_ms(960 * 349) - 20.0 * 349 < 30.0 + 15.0


def test_a_restarted_stream_begins_a_new_mapping() -> None:
    clock = RtpClock(48_000)
    feed(clock, start=0, seconds=2)
    clock.sender_report(1e12, 0)
    clock.observe(2_000_000_000, 2_050.0)  # another SSRC: a timestamp 11 hours away
    assert clock.media_ms(2_000_000_000) == pytest.approx(2_050.0)
    assert clock.ntp_offset_ms is None


def test_nothing_observed_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="observe"):
        RtpClock(48_000).media_ms(0)
    with pytest.raises(ValueError, match="clock_rate"):
        RtpClock(0)


@given(st.integers(0, WRAP - 1), st.integers(0, WRAP - 1), st.floats(0, 120), st.sampled_from([-100.0, 0.0, 100.0]))
def test_sender_reports_cancel_the_different_delays_of_sound_and_picture(
    audio_start: int, video_start: int, extra: float, ppm: float
) -> None:
    pair = StreamPair()
    ntp_zero = 3.9e12
    pair.audio.observe(audio_start, 30.0)
    pair.video.observe(video_start, 30.0 + extra)
    pair.audio.sender_report(ntp_zero, audio_start)
    pair.video.sender_report(ntp_zero, video_start)
    for i in range(1, 500):
        captured = 20.0 * i * (1 + ppm * 1e-6)
        pair.audio.observe((audio_start + 960 * i) % WRAP, captured + 30.0)
        pair.video.observe((video_start + 1800 * i) % WRAP, captured + 30.0 + extra)
        video = pair.video_ms((video_start + 1800 * i) % WRAP)
        assert video == pytest.approx(pair.audio_ms((audio_start + 960 * i) % WRAP), abs=1.0)
    assert pair.synchronized


def test_late_reports_move_the_picture_slowly() -> None:
    pair = StreamPair()
    gaps = []
    for i in range(1500):
        pair.audio.observe(960 * i, 20.0 * i + 30.0)
        pair.video.observe(1800 * i, 20.0 * i + 90.0)
        if i == 100:
            pair.audio.sender_report(1e12, 960 * i)
            pair.video.sender_report(1e12, 1800 * i)
        gaps.append(pair.video_ms(1800 * i) - pair.audio_ms(960 * i))
    assert gaps[0] == pytest.approx(60.0) and gaps[-1] == pytest.approx(0.0, abs=0.1)
    assert max(a - b for a, b in zip(gaps, gaps[1:], strict=False)) <= 0.2 + 1e-6


def test_a_clock_step_at_the_sender_replaces_the_reports() -> None:
    clock = RtpClock(48_000)
    clock.observe(0, 0.0)
    clock.sender_report(1e12, 0)
    clock.sender_report(1e12 + 60_000.0, 0)
    assert clock.ntp_offset_ms == pytest.approx(1e12 + 60_000.0)
