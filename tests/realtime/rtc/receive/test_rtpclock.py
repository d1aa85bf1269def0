import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.rtc.receive.rtpclock import SLEW_MS_PER_S, RtpClock, StreamPair

WRAP = 1 << 32


def feed(
    clock: RtpClock, *, start: int, seconds: float, ppm: float = 0.0, rate: int = 48_000, path: float = 30.0
) -> None:
    for i in range(int(seconds * 50)):
        captured = 20.0 * i * (1 + ppm * 1e-6)
        clock.observe((start + i * rate // 50) % WRAP, captured + path + (i * 7 % 11))


@settings(deadline=None)
@given(st.integers(0, WRAP - 1), st.floats(-100, 100))
def test_media_time_follows_a_drifting_sender_across_the_wrap(start: int, ppm: float) -> None:
    clock = RtpClock(48_000)
    feed(clock, start=start, seconds=30, ppm=ppm)
    for i in (1400, 1450, 1499):
        captured = 20.0 * i * (1 + ppm * 1e-6)
        # Only the path's least delay is in the mapping, to the drift of the 2 s window and the filter's lag.
        assert clock.media_ms((start + i * 960) % WRAP) == pytest.approx(captured + 30.0, abs=0.5)


@settings(deadline=None)
@given(st.integers(0, WRAP - 1), st.permutations(range(60)))
def test_order_of_arrival_does_not_confuse_the_wrap(start: int, order: list[int]) -> None:
    clock = RtpClock(90_000)
    for i in order:
        clock.observe((start + 3000 * i) % WRAP, 5_000.0 + i)
    times = [clock.media_ms((start + 3000 * i) % WRAP) for i in range(60)]
    steps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert all(math.isclose(step, 100 / 3, abs_tol=1e-6) for step in steps)


@settings(deadline=None)
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


@settings(deadline=None)
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


class Sender:
    """A browser's sound and picture: one capture clock, random timestamps, reports of its own wall clock."""

    def __init__(self, ppm: float = 0.0, audio_start: int = 0, video_start: int = 0, encode_ms: float = 25.0) -> None:
        self.pair = StreamPair()
        self.ppm, self.encode_ms = ppm, encode_ms
        self.start = {"audio": audio_start, "video": video_start}
        self.step_ms = 0.0  # of the wall clock
        self.gaps: list[float] = []
        self.corrections: list[float] = []

    def timestamp(self, kind: str, captured_ms: float) -> int:
        return (self.start[kind] + round(captured_ms * (48 if kind == "audio" else 90))) % WRAP

    def report(self, kind: str, captured_ms: float) -> None:
        clock = self.pair.audio if kind == "audio" else self.pair.video
        clock.sender_report(
            3.9e12 + captured_ms * (1 + self.ppm * 1e-6) + self.step_ms, self.timestamp(kind, captured_ms)
        )

    def play(self, seconds: float, begin: int = 0, *, audio_every: int = 250, video_every: int = 50) -> None:
        """Send 50 blocks and 25 frames a second; reports each `..._every` blocks, Chrome's being 250 and 50."""
        for i in range(begin, begin + int(seconds * 50)):
            captured = 20.0 * i
            arrival = captured * (1 + self.ppm * 1e-6) + 30.0 + i * 7 % 5
            self.pair.audio.observe(self.timestamp("audio", captured), arrival)
            if audio_every and i % audio_every == audio_every - 1:
                self.report("audio", captured)
            if i % 2 == 0:
                self.pair.video.observe(self.timestamp("video", captured), arrival + self.encode_ms)
                if video_every and i % video_every == video_every - 2:
                    self.report("video", captured)
                stamp = self.timestamp("video", captured)
                video = self.pair.video_ms(stamp)
                self.gaps.append(video - self.pair.audio_ms(self.timestamp("audio", captured)))
                self.corrections.append(video - self.pair.video.media_ms(stamp))

    def largest_step(self, since: int = 0) -> float:
        return max(abs(b - a) for a, b in zip(self.gaps[since:], self.gaps[since + 1 :], strict=False))


@settings(deadline=None)
@given(st.integers(0, WRAP - 1), st.integers(0, WRAP - 1), st.sampled_from([-100.0, 0.0, 100.0]))
def test_chromes_rare_audio_reports_take_the_encoding_out_slowly(audio: int, video: int, ppm: float) -> None:
    sender = Sender(ppm, audio, video)
    sender.play(20)
    # Without reports the picture is late by what its encoding took; nothing is said about it.
    assert sender.gaps[100] == pytest.approx(25.0, abs=1.0) and sender.corrections[100] == 0.0
    assert sender.gaps[-1] == pytest.approx(0.0, abs=1.0)
    assert sender.corrections[-1] == pytest.approx(-25.0, abs=1.0)
    assert sender.largest_step(30) <= 40.0 * SLEW_MS_PER_S / 1000.0 * 3 + 0.1  # both clocks and the correction slew


def test_without_reports_the_picture_goes_by_its_arrival() -> None:
    sender = Sender()
    sender.play(10, audio_every=0, video_every=0)
    assert sender.gaps[-1] == pytest.approx(25.0, abs=1.0) and not sender.pair.synchronized


def test_reports_before_media_are_joined_from_the_first_picture_on() -> None:
    sender = Sender()
    # ReceivedStreams passes no report on before the first packet: its timestamp could not be unwrapped.
    sender.pair.audio.observe(sender.timestamp("audio", 0.0), 30.0)
    sender.pair.video.observe(sender.timestamp("video", 0.0), 55.0)
    sender.report("audio", 0.0)
    sender.report("video", 0.0)
    sender.play(2, 1)
    assert max(abs(gap) for gap in sender.gaps) < 5.0


@pytest.mark.parametrize("step_ms", [-500.0, -100.0, 100.0, 500.0])
@pytest.mark.parametrize("audio_every", [50, 250])
def test_a_step_of_the_senders_clock_hardly_moves_the_picture(step_ms: float, audio_every: int) -> None:
    sender = Sender()
    sender.play(20, audio_every=audio_every)
    before = len(sender.gaps)
    sender.step_ms = step_ms
    sender.play(60, 1000, audio_every=audio_every)
    assert sender.largest_step(before) <= 40.0 * SLEW_MS_PER_S / 1000.0 + 0.1
    assert max(abs(gap) for gap in sender.gaps[before:]) <= 10.0
    assert abs(sender.gaps[-1]) < 2.0


def test_another_ssrc_joins_again_without_what_was_said_of_the_first() -> None:
    sender = Sender(audio_start=5, video_start=7)
    sender.play(12)
    sender.pair.video.reset()
    sender.start["video"] = 3_000_000_000
    before = len(sender.gaps)
    sender.play(20, 600)
    assert not math.isnan(sender.gaps[before]) and abs(sender.gaps[-1]) < 1.0
    assert max(abs(gap) for gap in sender.gaps[before:]) <= 30.0
