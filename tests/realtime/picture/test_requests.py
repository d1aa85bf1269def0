"""What is asked of the synthesizer, and when."""

import numpy as np
import pytest
from numpy.typing import NDArray
from synth_fakes import FakeSynthesizer, picture

from realtime.clock import FakeClock
from realtime.media import VideoFrame
from realtime.picture.requests import SynthRequests

WINDOW = np.zeros((80, 4), np.float32)


class Heard:
    """Speech that is complete up to `until_ms`."""

    def __init__(self) -> None:
        self.until_ms = float("inf")
        self.asked: list[float] = []

    def window(self, media_ms: float) -> NDArray[np.float32] | None:
        self.asked.append(media_ms)
        return WINDOW

    def complete(self, media_ms: float) -> bool:
        return media_ms <= self.until_ms

    def speech(self, media_ms: float) -> bool:
        return True

    def heard(self, media_ms: float) -> bool:
        return media_ms <= self.until_ms

    def own_window(self, media_ms: float) -> NDArray[np.float32] | None:
        return None if media_ms < 100.0 else WINDOW


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def synth(clock: FakeClock) -> FakeSynthesizer:
    return FakeSynthesizer(clock, render_ms=0.0)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def requests(synth: FakeSynthesizer, heard: Heard) -> SynthRequests:
    return SynthRequests(synth, heard, lambda: True, interval_ms=40.0, heard_late_ms=6.5)


def frames(*times: float) -> list[VideoFrame]:
    return [VideoFrame(picture(1), at) for at in times]


def test_real_frames_are_passed_on_with_their_sound(requests: SynthRequests, synth: FakeSynthesizer) -> None:
    for frame in frames(0.0, 40.0, 80.0):
        requests.offer(frame)
    requests.heard_until(39.0, observe=True)
    assert synth.observed == [0.0]
    requests.heard_until(40.0, observe=False)
    requests.heard_until(200.0, observe=True)
    assert synth.observed == [0.0, 80.0], "a frame of the hand-back is dropped"


def test_no_frame_is_passed_on_twice_or_late(requests: SynthRequests, synth: FakeSynthesizer) -> None:
    for frame in frames(40.0, 0.0, 40.0):
        requests.offer(frame)
    requests.heard_until(100.0, observe=True)
    assert synth.observed == [40.0]


def test_lips_follow_the_sound_as_late_as_the_decoder_gives_it(requests: SynthRequests, heard: Heard) -> None:
    requests.request(1000.0, None, 0.0)
    assert heard.asked == [1006.5]


def test_a_quick_renderer_is_asked_when_one_more_block_is_there(
    requests: SynthRequests, synth: FakeSynthesizer, heard: Heard
) -> None:
    requests.request(1000.0, None, 0.0)
    assert requests.take(1000.0) is not None, "now it is known to be quick"
    heard.until_ms = 1020.0
    requests.request(1040.0, None, 0.0)
    assert [job.media_ms for job in synth.jobs] == [1000.0]
    requests.more_sound()
    assert [job.media_ms for job in synth.jobs] == [1000.0, 1040.0]
    requests.more_sound()
    assert len(synth.jobs) == 2
    requests.request(1080.0, frames(1080.0)[0], 0.5)
    assert len(synth.jobs) == 3, "a hand-back does not wait"


def test_without_packets_of_speech_the_mouth_closes(synth: FakeSynthesizer, heard: Heard) -> None:
    SynthRequests(synth, heard, lambda: False, interval_ms=40.0).request(0.0, None, 0.0)
    assert not synth.jobs[0].speech


def test_without_a_synthesizer_nothing_comes(heard: Heard) -> None:
    requests = SynthRequests(None, heard, lambda: True, interval_ms=40.0)
    requests.offer(frames(0.0)[0])
    requests.heard_until(0.0, observe=True)
    requests.begin(0.0)
    requests.request(0.0, None, 0.0)
    requests.release()
    assert not requests.possible and requests.take(1e9) is None


def test_what_was_heard_at_observed_frames_is_passed_on_once_it_was_heard(
    requests: SynthRequests, synth: FakeSynthesizer, heard: Heard
) -> None:
    heard.until_ms = 100.0
    for frame in frames(40.0, 80.0, 120.0, 160.0):
        requests.offer(frame)
    requests.heard_until(60.0, observe=True)
    requests.heard_until(80.0, observe=False)
    requests.heard_until(200.0, observe=True)
    assert [frame.media_ms for frame in synth.heard] == [40.0]
    assert synth.heard[0].window is None, "not the caller's speech alone"
    heard.until_ms = 300.0
    requests.heard_until(200.0, observe=True)
    assert [frame.media_ms for frame in synth.heard] == [40.0, 120.0, 160.0]
    assert synth.heard[1].window is WINDOW


def test_nothing_is_learned_while_frames_are_made(
    requests: SynthRequests, synth: FakeSynthesizer, heard: Heard
) -> None:
    heard.until_ms = 0.0
    requests.offer(frames(40.0)[0])
    requests.heard_until(40.0, observe=True)
    requests.begin(80.0)
    heard.until_ms = 1000.0
    requests.offer(frames(80.0)[0])
    requests.heard_until(200.0, observe=True)
    requests.request(120.0, None, 0.0)
    requests.heard_until(200.0, observe=True)
    assert not synth.heard
    requests.release()
    requests.offer(frames(240.0)[0])
    requests.heard_until(240.0, observe=True)
    assert [frame.media_ms for frame in synth.heard] == [240.0]
