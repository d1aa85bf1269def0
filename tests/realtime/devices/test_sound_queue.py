"""Sound between two clocks, and the threads that carry it."""

import threading

import numpy as np
import pytest

from realtime.devices.api import DeviceError, Fault, Samples
from realtime.devices.sound import Loudspeaker, Microphone
from realtime.devices.soundqueue import SoundQueue

RATE = 48_000
TONE = 997.0


def tone(index: int) -> Samples:
    places = np.arange(960 * index, 960 * (index + 1))
    return np.asarray(10_000.0 * np.sin(2.0 * np.pi * TONE * places / RATE), np.int16)


def residual(samples: Samples) -> float:
    """Return the RMS of what is left when the strongest tone near `TONE` is taken away."""
    places = np.arange(samples.size) / RATE
    waves = np.stack([f(2.0 * np.pi * TONE * places) for f in (np.sin, np.cos)]).T
    found = np.linalg.lstsq(waves, samples.astype(float), rcond=None)[0]
    return float(np.sqrt(np.mean((samples - waves @ found) ** 2)))


def test_silence_comes_until_there_is_enough_and_then_the_sound() -> None:
    queue = SoundQueue()
    queue.put(tone(0))
    assert not queue.take().any()
    queue.put(tone(1))
    queue.put(tone(2))
    first = queue.take()
    assert np.abs(first[240:].astype(int) - tone(0)[240:]).max() < 40
    assert queue.underruns == 0


@pytest.mark.parametrize("ppm", [-200, 200])
def test_clocks_that_differ_are_brought_together_without_a_seam(ppm: int) -> None:
    """Five minutes at 200 ppm are 60 ms: uncorrected, the queue would run dry or over."""
    queue = SoundQueue()
    put = 0
    fills, heard = [], []
    step_ms = 20.0 * (1.0 + ppm * 1e-6)
    for index in range(15_000):
        while put * step_ms <= index * 20.0:
            queue.put(tone(put) if put > 14_800 else np.full(960, 500, np.int16))
            put += 1
        block = queue.take()
        if index > 12_000:
            fills.append(queue.fill_ms)
        if index > 14_900:
            heard.append(block)
    assert queue.underruns == queue.overruns == 0
    assert 15.0 < np.mean(fills) < 60.0 and np.ptp(fills) < 45.0
    for block in heard[::10]:
        assert residual(block) < 60.0


def test_too_much_sound_makes_the_oldest_go() -> None:
    queue = SoundQueue()
    for index in range(20):
        queue.put(tone(index))
    assert queue.fill_ms <= 140.0 and queue.overruns >= 10


def test_sound_that_runs_out_fades_and_begins_anew() -> None:
    queue = SoundQueue()
    for index in range(4):
        queue.put(tone(index))
    given = [queue.take() for _ in range(6)]
    assert queue.underruns == 1
    joined = np.concatenate(given).astype(int)
    assert np.abs(np.diff(joined)).max() < 1_500
    assert not given[-1].any()


class Speaker:
    """A loudspeaker that takes a block when a test says so."""

    def __init__(self) -> None:
        self.tick = threading.Semaphore(0)
        self.heard: list[Samples] = []
        self.plugged = True
        self.closed = 0
        self.done = threading.Semaphore(0)

    def open(self) -> "Speaker":
        if not self.plugged:
            raise DeviceError(Fault.MISSING, "no speaker")
        return self

    def write(self, block: Samples) -> None:
        if not self.tick.acquire(timeout=90.0) or not self.plugged:
            raise DeviceError(Fault.MISSING, "unplugged")
        self.heard.append(block)
        self.done.release()

    def latency_ms(self) -> float:
        return 40.0

    def close(self) -> None:
        self.closed += 1


def test_a_loudspeaker_plays_what_is_put_and_says_how_late() -> None:
    device = Speaker()
    speaker = Loudspeaker("", open_writing=device.open)
    for index in range(3):
        speaker.put(tone(index))
    assert speaker.latency_ms == pytest.approx(100.0, abs=21.0)
    for _ in range(3):
        device.tick.release()
        assert device.done.acquire(timeout=90.0)
    device.tick.release()
    speaker.close()
    assert any(block.any() for block in device.heard) and device.closed == 1


def test_a_loudspeaker_that_is_unplugged_is_told_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loudspeaker, "RETRY_S", 0.01)
    device, told, lost = Speaker(), [], threading.Event()

    def on_lost(error: DeviceError) -> None:
        told.append(error)
        lost.set()

    speaker = Loudspeaker("", open_writing=device.open, on_lost=on_lost)
    device.plugged = False
    device.tick.release()
    assert lost.wait(90.0)
    device.plugged = True
    device.tick.release()
    assert device.done.acquire(timeout=90.0)
    device.tick.release(2)
    speaker.close()
    assert len(told) == 1


class Voice:
    def __init__(self, blocks: int) -> None:
        self.left = blocks

    def read(self) -> tuple[Samples, float] | None:
        if self.left == 0:
            raise DeviceError(Fault.MISSING, "unplugged")
        self.left -= 1
        return np.full(960, self.left, np.int16), float(self.left)

    def close(self) -> None:
        pass


def test_a_microphone_gives_every_block_to_a_listener_that_keeps_up() -> None:
    heard: list[int] = []
    lost = threading.Event()
    microphone = Microphone("mic", open_reading=lambda: Voice(20))
    microphone.start(lambda block, at_ms: heard.append(int(block[0])), lambda error: lost.set())
    assert lost.wait(90.0)
    microphone.close()
    assert heard[:20] == list(range(19, -1, -1)) and microphone.overruns == 0 and microphone.outages >= 1
