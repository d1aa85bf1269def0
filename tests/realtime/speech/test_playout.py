"""The way of speech from packets to blocks, in simulated time: what loss, jitter, drift and changes of delay cost."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.alignment import MelWindow
from realtime.media import AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block
from realtime.speech.delay import DelayTarget
from realtime.speech.lipsync import LipSync
from realtime.speech.playout import PlayoutStats, SpeechPlayout

RATE = 48_000
HZ = 150.0
VOICE = np.rint(
    5000 * sum(np.sin(2 * np.pi * HZ * k * np.arange(RATE) / RATE + k) / k for k in range(1, 8))
).astype(np.int16)  # fmt: skip
"""One second of a vowel; 150 periods, so that seconds join without a step."""


SHORTEST_MS = 65.0
"""Delay below which no pitch period is left out: 40 ms that stay, and two periods of 12.5 ms."""


class Codec:
    """Packet n is the n-th 20 ms of the vowel; every packet holds the one before it again when `fec`."""

    def __init__(self, fec: bool = False) -> None:
        self._fec = fec

    def __call__(self, payload: bytes) -> Block | None:
        n = int.from_bytes(payload[:4], "big") % 50
        return np.asarray(VOICE[n * 960 : (n + 1) * 960])

    def recover(self, following: bytes) -> Block | None:
        n = int.from_bytes(following[:4], "big") - 1
        return self(n.to_bytes(4, "big")) if self._fec else None

    def conceal(self) -> Block | None:
        return None


@dataclass
class Weather:
    """What the network does; times in ms."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    drift_ppm: float = 0.0
    held: tuple[float, float] | None = None
    """Packets sent from..to arrive together at its end."""
    gone: tuple[float, float] | None = None
    seed: int = 1
    fair_from: float = float("inf")
    """From then on nothing is lost, and all packets take equally long."""


@dataclass
class Heard:
    blocks: list[AudioBlock] = field(default_factory=list)
    delays: list[tuple[float, float, float]] = field(default_factory=list)
    """Time, delay, wanted delay."""
    stats: PlayoutStats = field(default_factory=PlayoutStats)

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([block.samples for block in self.blocks])

    def delay(self, at_ms: float) -> float:
        return next(delay for at, delay, _ in self.delays if at >= at_ms)

    @property
    def concealed(self) -> float:
        return self.stats.concealedSamples / max(1, self.stats.totalSamplesReceived)


def play(
    weather: Weather, seconds: float, *, fec: bool = False, synthesis: Callable[[float], float] = lambda now: 0.0,
    picture: Callable[[float], float] = lambda now: 0.0,
) -> Heard:  # fmt: skip
    rng, count = random.Random(weather.seed), int(seconds * 50)
    arrivals = []
    for n in range(count):
        sent = n * 20.0 * (1 + weather.drift_ppm * 1e-6)
        fair = sent >= weather.fair_from
        if weather.gone and weather.gone[0] <= sent < weather.gone[1] or (rng.random() < weather.loss and not fair):
            continue
        at = sent + 30.0 + (0.0 if fair else rng.uniform(0, weather.jitter_ms))
        if weather.held and weather.held[0] <= sent < weather.held[1]:
            at = weather.held[1] + 30.0 + 0.01 * n
        arrivals.append((at, n))
    arrivals.sort()
    speech = SpeechPath(MelWindow.for_lookahead(80.0))
    playout, heard = SpeechPlayout(speech, Codec(fec), source_ms=lambda timestamp: timestamp / 48.0), Heard()
    for step in range(count):
        now = step * 20.0 + 3.0
        while arrivals and arrivals[0][0] <= now:
            at, n = arrivals.pop(0)
            playout.push_packet(n & 0xFFFF, n * 960, n.to_bytes(4, "big"), at)
        block = playout.block(now, picture_ms=picture(now), synthesis_ms=synthesis(now))
        if block is not None:
            heard.blocks.append(block)
            heard.delays.append((now, playout.delay_ms, playout.wanted_ms))
    heard.stats = playout.stats
    return heard


def roughest(sound: NDArray[np.int16]) -> float:
    """The largest step between samples, relative to the vowel's own."""
    return float(np.abs(np.diff(sound.astype(float))).max() / np.abs(np.diff(VOICE.astype(float))).max())


def test_a_clean_link_plays_everything_as_it_is_after_40_ms() -> None:
    heard = play(Weather(), 20)
    assert heard.stats.concealedSamples == heard.stats.removedSamplesForAcceleration == 0
    assert heard.stats.insertedSamplesForDeceleration == 0
    assert all(40.0 <= delay <= 55.0 for _, delay, _ in heard.delays)
    sources = [block.source_ms - block.media_ms for block in heard.blocks if block.source_ms is not None]
    assert len(sources) == len(heard.blocks) and np.ptp(sources) < 1e-6
    assert [block.out_ms for block in heard.blocks] == [20.0 * i for i in range(len(heard.blocks))]


@pytest.mark.parametrize("loss, jitter", [(0.01, 0.0), (0.05, 0.0), (0.05, 30.0), (0.2, 0.0)])
def test_a_lost_packet_costs_its_own_20_ms_and_no_delay(loss: float, jitter: float) -> None:
    heard = play(Weather(loss, jitter), 60)
    assert heard.concealed <= 1.2 * loss + 0.001
    late = [delay for at, delay, wanted in heard.delays if at > 5000 and delay > wanted + 45.0]
    assert len(late) <= 0.03 * len(heard.delays)
    assert heard.delays[-1][1] <= heard.delays[-1][2] + 25.0


def test_with_fec_only_losses_in_a_row_are_concealed() -> None:
    heard = play(Weather(0.05), 60, fec=True)
    assert heard.stats.fecSamples > 100 * 960
    assert heard.concealed < 0.01


def test_jitter_of_80_ms_raises_the_delay_and_loses_next_to_nothing() -> None:
    heard = play(Weather(jitter_ms=80.0), 60)
    assert heard.concealed < 0.01
    assert 80.0 <= heard.delays[-1][1] <= 125.0
    assert heard.delays[-1][2] <= 120.0


def test_a_late_burst_is_played_whole_and_the_delay_is_back_within_two_seconds() -> None:
    heard = play(Weather(held=(10_000.0, 10_300.0)), 20)
    assert heard.delay(10_300.0) > 250.0
    at_2_s = next(item for item in heard.delays if item[0] >= 12_300.0)
    assert at_2_s[1] <= at_2_s[2] + 15.0
    assert heard.stats.packetsDiscarded == 0
    assert heard.stats.removedSamplesForAcceleration > 0.1 * RATE
    assert roughest(heard.sound) < 2.0


def test_after_an_outage_fresh_speech_plays_at_the_usual_delay() -> None:
    heard = play(Weather(gone=(10_000.0, 15_000.0)), 25)
    assert heard.delay(15_200.0) <= 60.0
    assert heard.stats.silentConcealedSamples > 4.5 * RATE
    assert not heard.sound[int(11.5 * RATE) : int(14.0 * RATE)].any()


@pytest.mark.parametrize("ppm", [100.0, -100.0])
def test_clock_drift_is_absorbed_by_the_rate_alone(ppm: float) -> None:
    """Four minutes, 24 ms of drift, twice the tolerance: no period cut or repeated, nothing concealed."""
    heard = play(Weather(drift_ppm=ppm), 240)
    assert heard.stats.concealedSamples == 0
    assert heard.stats.removedSamplesForAcceleration + heard.stats.insertedSamplesForDeceleration == 0
    late = [delay for at, delay, _ in heard.delays if at > 60_000]
    assert max(late) - min(late) < 15.0 and min(late) > 30.0 and max(late) < 60.0


def test_the_delay_for_synthesis_is_entered_and_left_without_a_click() -> None:
    heard = play(Weather(), 20, synthesis=lambda now: 140.0 if 5000 < now < 10_000 else 0.0)
    assert heard.delay(4_900.0) < 60.0
    assert heard.delay(5_600.0) > 125.0, "not there in time"
    assert heard.delay(11_500.0) < 70.0, "kept too long"
    assert heard.stats.concealedSamples == 0
    assert roughest(heard.sound) < 1.3
    steps = np.diff([block.media_ms for block in heard.blocks])
    assert steps.min() > 5.0 and steps.max() < 35.0
    offsets = [block.media_ms - block.source_ms for block in heard.blocks if block.source_ms is not None]
    assert np.ptp(offsets) < 1e-6, "media time and the caller's time drifted apart"


def test_the_pitch_stays_while_the_delay_changes() -> None:
    heard = play(Weather(), 12, synthesis=lambda now: 240.0 if now > 5000 else 0.0)
    while_growing = heard.sound[5 * RATE : int(5.7 * RATE)].astype(float)
    spectrum = np.abs(np.fft.rfft(while_growing * np.hanning(while_growing.size), 1 << 18))
    peaks = spectrum[: int(200 / RATE * (1 << 18))]
    assert peaks.argmax() * RATE / (1 << 18) == pytest.approx(HZ, abs=2.0)


def test_a_late_picture_makes_the_sound_wait() -> None:
    heard = play(Weather(), 10, picture=lambda now: 95.0)
    assert 80.0 < heard.delays[-1][1] < 110.0


def test_mute_is_silence_and_no_loss() -> None:
    speech = SpeechPath(MelWindow.for_lookahead(80.0))
    playout, sequence = SpeechPlayout(speech, Codec()), 0
    for step in range(400):
        if not 100 <= step < 250:
            playout.push_packet(sequence, step * 960, step.to_bytes(4, "big"), step * 20.0)
            sequence += 1
        playout.block(step * 20.0 + 5.0)
    # The first 20 packets of the pause could as well be late: they are waited for before the pause is known.
    assert playout.stats.silentConcealedSamples + 8 * 960 >= playout.stats.concealedSamples
    assert playout.delay_ms < 70.0


def test_a_new_stream_goes_on_after_a_reconnect() -> None:
    """Another SSRC: other sequence numbers and timestamps."""
    speech = SpeechPath(MelWindow.for_lookahead(80.0))
    playout = SpeechPlayout(speech, Codec())
    blocks = []
    for step in range(300):
        base = 0 if step < 150 else 3_000_000_000
        if not 150 <= step < 170:
            playout.push_packet(
                (step + base) & 0xFFFF, (base + step * 960) & 0xFFFFFFFF, step.to_bytes(4, "big"), step * 20.0
            )
        block = playout.block(step * 20.0 + 5.0)
        if block is not None:
            blocks.append(block)
    assert [block.concealed for block in blocks[-100:]] == [False] * 100
    assert all(b.media_ms > a.media_ms for a, b in zip(blocks, blocks[1:], strict=False))
    assert 35.0 < playout.delay_ms < 75.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.3), st.floats(0, 120), st.floats(0, 600), st.floats(-100, 100))
@example(6967, 0.3, 0.0, 0.0, 0.0)
def test_any_weather(seed: int, loss: float, jitter: float, held: float, ppm: float) -> None:
    """A block every 20 ms once begun, media time rising, the delay bounded, and back in two seconds of fair weather.

    While the weather lasts, the delay may stand above what is wanted at any moment: by 20 ms for each block since the
    newest packet, up to the longest delay, for what may still come is waited for. The example loses the last seven
    packets of the weather.
    """
    heard = play(Weather(loss, jitter, ppm, held=(3000.0, 3000.0 + held), seed=seed, fair_from=8000.0), 10)
    assert len(heard.blocks) >= 10 * 50 - 20
    media = [block.media_ms for block in heard.blocks]
    assert all(b > a for a, b in zip(media, media[1:], strict=False))
    assert all(delay < 700.0 for _, delay, _ in heard.delays)
    assert all(delay <= max(wanted + 12.0, SHORTEST_MS) for at, delay, wanted in heard.delays if at >= 9900.0)


def test_speech_that_may_still_come_is_waited_for_and_the_wait_ends_with_the_next_packet() -> None:
    heard = play(Weather(gone=(5000.0, 5140.0)), 8)
    during = [delay for at, delay, _ in heard.delays if 5000.0 <= at < 5180.0]
    assert np.diff(during).max() <= 20.0 + 0.01, "20 ms more for each block"
    assert max(during) >= heard.delay(4900.0) + 75.0
    # Seven packets are missing: the newest before them lies 140 ms back when the next one comes.
    assert max(during) <= heard.delay(4900.0) + 140.0
    assert heard.delay(5300.0) <= heard.delay(4900.0) + 25.0, "the hole itself is skipped"


def test_the_target_follows_the_jitter_within_its_limits() -> None:
    target, rng = DelayTarget(), random.Random(3)
    for i in range(100):
        target.add(i * 20.0, i * 20.0 + 500.0)
    assert target.target_ms == 40.0 and target.floor_ms == 500.0
    for i in range(100, 700):
        target.add(i * 20.0, i * 20.0 + 500.0 + rng.uniform(0, 60))
    assert 70.0 < target.target_ms < 85.0
    for i in range(700, 1300):
        target.add(i * 20.0, i * 20.0 + 500.0 + rng.uniform(0, 400))
    assert target.target_ms == 120.0
    for i in range(1300, 1900):
        target.add(i * 20.0, i * 20.0 + 550.0)
    assert target.target_ms == 40.0 and target.floor_ms == 550.0, "a longer link is no jitter"


def test_what_came_over_a_link_that_is_no_more_is_forgotten() -> None:
    target = DelayTarget()
    target.keep(1000.0)
    for i in range(300):
        target.add(i * 20.0, i * 20.0 + 500.0 + (200.0 if i < 200 and i % 4 == 0 else 0.0))
    assert target.target_ms == 120.0
    target.keep(1000.0)
    assert target.target_ms == 40.0 and target.floor_ms == 500.0


def test_the_delay_of_a_bad_link_goes_with_the_synthesis_that_it_caused() -> None:
    heard = play(Weather(held=(3000.0, 3600.0)), 10, synthesis=lambda now: 100.0 if 3200.0 <= now < 6000.0 else 0.0)
    before = heard.delay(2900.0)
    assert heard.delay(5900.0) >= before + 40.0
    assert heard.delay(8000.0) <= before + 20.0
    assert play(Weather(held=(3000.0, 3600.0)), 10).delay(8000.0) >= before + 40.0, "a burst alone may come again"


def test_the_wait_for_pictures_follows_the_late_ones() -> None:
    sync = LipSync()
    for _ in range(50):
        sync.add(45.0, 30.0)
    assert sync.hold_ms == pytest.approx(25.0)
    for i in range(100):
        sync.add(45.0, -40.0 if i % 4 == 0 else 20.0)
    assert sync.hold_ms == pytest.approx(95.0)
    for _ in range(100):
        sync.add(45.0, -1000.0)
    assert sync.hold_ms == 200.0
    for _ in range(250):
        sync.add(45.0, 30.0)
    assert 140.0 < sync.hold_ms < 170.0, "given back slowly: ten seconds for 50 ms"
    for _ in range(1000):
        sync.add(45.0, 30.0)
    assert sync.hold_ms == pytest.approx(25.0)


def test_after_an_outage_most_of_the_wait_for_pictures_is_given_back_at_once() -> None:
    sync = LipSync()
    for _ in range(100):
        sync.add(45.0, -75.0)
    assert sync.hold_ms == pytest.approx(130.0)
    sync.forget()
    assert sync.hold_ms == pytest.approx(130.0), "until it is known what is needed now"
    waits = [sync.hold_ms]
    for _ in range(50):
        sync.add(45.0, 30.0)
        waits.append(sync.hold_ms)
    assert sync.hold_ms == pytest.approx(54.0, abs=2.0), "two seconds for all but 30 ms"
    assert max(a - b for a, b in zip(waits, waits[5:], strict=False)) <= 10.0, "5 % of the speed of sound"
    for _ in range(25):
        sync.add(45.0, 30.0)
    assert sync.hold_ms >= 47.0, "the rest slowly"
    sync.forget()
    for _ in range(5):
        sync.add(45.0, -50.0)
    assert sync.hold_ms == pytest.approx(105.0), "what is needed is given at once"
