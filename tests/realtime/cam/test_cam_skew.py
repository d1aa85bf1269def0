"""Skew seen by content: bursts of a tone in what leaves, and flashes of the pictures that leave beside it."""

from dataclasses import replace

import numpy as np
import pytest
from cam_simulation import WINDOW, Floats, Image, LocalCallInTime, StageSlots
from numpy.typing import NDArray
from synth_fakes import FakeSynthesizer

from models.alignment import COLUMN_MS
from models.mel import SAMPLE_RATE, melspectrogram
from realtime.cam.modes import Mode
from realtime.clock import FakeClock
from realtime.picture.synth_api import SynthJob, SynthResult

EVERY_MS, LONG_MS, HZ, FPS = 490.0, 80.0, 1000.0, 25.0
COLUMN = (COLUMN_MS / 2 - WINDOW.offset_ms) / COLUMN_MS


def burst_at(number: int) -> float:
    return (number + 0.5) * EVERY_MS


def bursts(t: Floats) -> Floats:
    """Return tone bursts over a soft noise that keeps the mouth awake."""
    since = (t * 1000.0 - 0.5 * EVERY_MS) % EVERY_MS
    tone = np.where((since < LONG_MS) & (t * 1000.0 >= 0.5 * EVERY_MS), 10_000 * np.sin(2 * np.pi * HZ * t), 0.0)
    return np.asarray(tone + 300.0 * np.sin(2 * np.pi * 90 * t + 3 * np.sin(2 * np.pi * 37 * t)))


def seen_by_camera(taken: float) -> Image:
    """Return a picture as bright as the burst's share of an interval around `taken`."""
    half = 500.0 / FPS
    number = round(taken / EVERY_MS - 0.5)
    begin = burst_at(number)
    share = max(0.0, min(taken + half, begin + LONG_MS) - max(taken - half, begin)) / (2 * half)
    return np.full((4, 4, 3), round(200 * share), np.uint8)


class Beacon(FakeSynthesizer):
    """Light up when the window says that the burst sounds now."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, 15.0)
        t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        mel = melspectrogram((10_000 / 32_768 * np.sin(2 * np.pi * HZ * t)).astype(np.float32))
        self.row = int(np.argmax(mel[:, 20]))
        self.full = float(mel[self.row, 20])
        self.mels: dict[float, NDArray[np.float32] | None] = {}

    def request(self, job: SynthJob) -> None:
        self.mels[job.media_ms] = job.mel
        super().request(job)

    def take(self, media_ms: float) -> SynthResult | None:
        result = super().take(media_ms)
        if result is None:
            return None
        mel = self.mels.get(result.media_ms)
        lit = 0.0
        if mel is not None:
            amplitude = 10.0 ** ((mel[self.row].astype(np.float64) - self.full) / 1.6)
            lit = min(float(np.interp(COLUMN, np.arange(len(amplitude)), amplitude)), 1.0)
        return SynthResult(np.full((4, 4, 3), round(200 * lit), np.uint8), result.media_ms, 15.0)


def skews(call: LocalCallInTime, since: float, until: float) -> Floats:
    """Return how much earlier each flash was seen than its burst was heard, ms."""
    sound = call.sound().astype(np.float64)
    t = np.arange(sound.size) / 48_000.0
    power = np.abs(np.convolve(sound * np.exp(-2j * np.pi * HZ * t), np.ones(480) / 480, "same")) > 2000
    begun = call.played[0][0]
    at = np.array([shown for shown, _ in call.shown])
    light = np.array([float(picture.image.mean()) for _, picture in call.shown])
    found = []
    edges = np.flatnonzero(np.diff(power.astype(int)))
    for first, last in zip(edges[::2], edges[1::2], strict=False):
        heard = begun + (first + last) / 2 / 48.0
        if since < heard < until:
            near = np.abs(at - heard) < EVERY_MS / 2
            weight = np.where(light[near] > 20, light[near], 0.0)
            assert weight.sum() > 150, f"no flash with the burst at {heard:.0f} ms"
            found.append(heard - float((at[near] * weight).sum() / weight.sum()))
    return np.array(found)


def run(call: LocalCallInTime) -> LocalCallInTime:
    def make(clock: FakeClock) -> tuple[Beacon, StageSlots]:
        return Beacon(clock), StageSlots()

    beacon = replace(call, wave=bursts, dub=bursts, paint=seen_by_camera, fps=FPS, make=make, camera_jitter=2.0)
    return beacon.run(11)


@pytest.mark.parametrize("late", [2.0, 15.0, 35.0])
def test_the_cameras_own_pictures(late: float) -> None:
    found = skews(run(LocalCallInTime(camera_late=late)), 1500, 10_500)
    assert len(found) >= 15 and np.abs(found).max() <= 40.0


def test_made_pictures_while_the_camera_is_gone() -> None:
    call = run(LocalCallInTime(gone=((3000.0, 60_000.0),)))
    found = skews(call, 4500, 10_500)
    assert len(found) >= 10 and np.abs(found).max() <= 25.0


@pytest.mark.parametrize("mode", [Mode.PHOTO, Mode.DUB])
def test_other_modes(mode: Mode) -> None:
    call = run(LocalCallInTime(modes=((3000.0, mode), (8000.0, Mode.THROUGH))))
    found = skews(call, 4500, 7800)
    assert len(found) >= 5 and np.abs(found).max() <= 25.0
    assert np.abs(skews(call, 9500, 10_700)).max() <= 40.0


def test_a_virtual_microphone_that_is_slow_itself_is_reckoned_with() -> None:
    sink_ms = 30.0
    call = run(LocalCallInTime(gone=((4000.0, 8000.0),), sink_ms=sink_ms))
    for since, until in ((1500, 3900), (5500, 7800), (9500, 10_700)):
        assert np.abs(skews(call, since, until) + sink_ms).max() <= 40.0
