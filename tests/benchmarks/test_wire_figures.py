"""The figures of a call: what is counted, what is left out, and what speech is missing."""

import math

import numpy as np
import pytest

from benchmarks.machine import CpuTimes
from benchmarks.wire.figures import (
    back,
    concealed,
    frozen,
    last_unreal,
    link_spans,
    open_spans,
    speech_share,
    synth_rates,
)
from benchmarks.wire.heard import Heard, heard, missing
from client.rig.call import CallResult
from client.rig.node import NodeRecord, Tick
from client.rig.picture import SMALL
from client.rig.seen import ViewerRecord
from client.rig.sound import Samples
from client.rig.timeline import Span
from realtime.picture.stats import freezes

RATE = 48_000


def speech(seconds: float, seed: int = 1) -> Samples:
    """Return noise in the band of speech with syllables, int16."""
    n = int(seconds * RATE)
    noise = np.convolve(np.random.default_rng(seed).normal(size=n), np.ones(48) / 48, mode="same")
    syllables = 0.25 + np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / RATE), 0, 1)
    samples: Samples = (noise * syllables * 30000).clip(-32768, 32767).astype(np.int16)
    return samples


def later(samples: Samples, ms: float) -> Samples:
    return np.concatenate([np.zeros(int(ms * RATE / 1000), np.int16), samples])


def listened(said: Samples, samples: Samples, late: float = 0.0) -> Heard:
    times = np.arange(len(samples) // 960, dtype=np.float64) * 20.0
    return heard(samples, said, times + late, np.full(len(times), late))


CALL = Span("call", 500.0, 7000.0)


def test_whole_speech_is_not_missing_however_late_it_comes() -> None:
    said = speech(8.0)
    samples = later(said, 237.0)
    found = listened(said, samples, late=40.0)
    assert np.median(found.offset_ms) == pytest.approx(237.0, abs=1.0)
    assert np.median(found.delay_ms) == pytest.approx(277.0, abs=1.0)
    lost, spoken = missing(samples, said, found, CALL)
    assert (lost, spoken > 5000.0) == (0.0, True)


def test_blocks_that_are_silent_or_something_else_are_missing() -> None:
    said = speech(8.0)
    samples = later(said, 200.0)
    blocks = (
        samples.reshape(-1, 960) if len(samples) % 960 == 0 else samples[: len(samples) // 960 * 960].reshape(-1, 960)
    )
    blocks = blocks.copy()
    other = speech(8.0, seed=7).reshape(-1, 960)
    rng = np.random.default_rng(3)
    rows = np.sort(rng.choice(np.arange(40, 340), 30, replace=False))
    for number, row in enumerate(rows):
        blocks[row] = 0 if number % 2 else other[row]
    damaged = blocks.reshape(-1)
    lost, spoken = missing(damaged, said, listened(said, damaged), CALL)
    assert lost / spoken == pytest.approx(30 * 20.0 / 6500.0, abs=0.03)


def test_speech_that_moves_to_another_delay_is_not_missing() -> None:
    said = speech(8.0)
    cut = 4 * RATE
    samples = np.concatenate([later(said[:cut], 150.0), np.zeros(RATE // 5, np.int16), said[cut:]])
    found = listened(said, samples)
    lost, spoken = missing(samples, said, found, CALL)
    assert lost <= 80.0 < spoken
    assert np.median(found.offset_ms[found.said_ms > 4500.0]) == pytest.approx(350.0, abs=1.0)


def test_when_nothing_is_recognised_all_is_missing() -> None:
    said = speech(4.0)
    nothing = np.zeros(len(said), np.int16)
    lost, spoken = missing(nothing, said, listened(said, nothing), Span("call", 500.0, 3500.0))
    assert lost == spoken > 2000.0


def test_freezes_are_those_of_the_stats_and_say_when_they_were() -> None:
    shown = np.concatenate([np.arange(0, 2000, 40.0), np.arange(2500, 4000, 40.0)])
    gaps = frozen(shown, 5000.0)
    assert gaps == [(1960.0, 2500.0), (3980.0, 5000.0)]
    counted = freezes(shown, 5000.0)
    assert (len(gaps), sum(b - a for a, b in gaps) / 1000.0) == (counted.freezeCount, counted.totalFreezesDuration)
    assert frozen([], 1000.0) == []


def test_a_freeze_is_in_speech_when_audio_came_through_half_of_it() -> None:
    assert speech_share({10, 11, 12, 13}, 1000.0, 1800.0) == 0.5
    assert speech_share({10}, 1020.0, 1080.0) == 1.0
    assert speech_share(set(), 1000.0, 1500.0) == 0.0


def test_a_picture_on_its_way_when_the_link_came_back_is_no_new_one() -> None:
    shown = np.array([900.0, 1080.0, 1200.0, 1640.0])
    assert back(shown, 1000.0, 150.0) == 200.0
    assert back(shown, 1000.0, 0.0) == 80.0
    assert math.isnan(back(shown, 2000.0, 100.0))


def test_shut_spans_are_left_out() -> None:
    spans = open_spans(3000.0, 13_000.0, ((3000.0, 4000.0), (6000.0, 7000.0)))
    assert [(span.start_ms, span.end_ms) for span in spans] == [(4000.0, 6000.0), (7000.0, 13_000.0)]
    assert [(s.start_ms, s.end_ms) for s in open_spans(0.0, 10.0, ())] == [(0.0, 10.0)]


TICKS = [
    *[Tick(at, "real", "real", "real", 2.0) for at in range(0, 3000, 40)],
    *[Tick(at, "synth", "synth", "synth", 3.0) for at in range(3000, 6000, 40)],
    *[Tick(at, "returning", "returning", "synth", 3.0) for at in range(6000, 6500, 40)],
    *[Tick(at, "real", "real", "real", 2.0) for at in range(6520, 9000, 40)],
]


def found_call(offered: dict[str, list[list[float]]], changes: list[list[object]]) -> CallResult:
    none, frames = np.zeros(0), np.zeros((0, 0, 0), np.uint8)
    small = np.zeros((0, *SMALL[::-1]), np.uint8)
    seen = ViewerRecord(none, none, np.zeros(0, np.bool_), small, frames, none, none, np.zeros(0, np.int16))
    return CallResult(seen, {"offered": offered, "video_changes": changes}, NodeRecord(TICKS))


def test_states_follow_the_ticks() -> None:
    spans = link_spans(TICKS, 9000.0)
    assert [span.name for span in spans] == ["real", "synth", "returning", "real"]
    assert (spans[1].start_ms, spans[1].end_ms) == (3000.0, 6000.0)
    assert last_unreal(TICKS, 9000.0) == 6480.0
    assert last_unreal(TICKS[:50], 9000.0) == 0.0


def test_the_rate_in_synth_leaves_out_what_was_queued_and_what_tries_video_again() -> None:
    # 48 kbit/s of speech is 600 bytes in 100 ms; video goes on for 300 ms and comes back at 5 s.
    audio = [[number, 600] for number in range(90)]
    video = [[number, 5000] for number in [*range(34), *range(50, 90)]]
    offered = {"audio": audio, "video": video, "data": [[40, 160], [20, 900]], "rtcp": [[41, 80]]}
    rates, lasted = synth_rates(found_call(offered, [[3300.0, False, ""], [5000.0, True, ""]]), 9000.0)
    assert lasted == pytest.approx(1.6)
    assert rates == pytest.approx({"audio": 48.0, "video": 0.0, "data": 160 * 8 / 1600, "rtcp": 80 * 8 / 1600})
    rates, _ = synth_rates(found_call(offered, []), 9000.0)
    assert rates["video"] > 50.0
    rates, lasted = synth_rates(found_call(offered, [[3600.0, True, ""]]), 9000.0)
    assert lasted == pytest.approx(0.2) and not rates


def test_concealment_is_counted_within_the_bad_time() -> None:
    series = [{"atMs": at, "concealedSamples": max(0, min(at, 7000) - 3000) * 4.8} for at in range(0, 9000, 200)]
    assert concealed(series, 3000.0, 7000.0) == pytest.approx(0.1)
    assert math.isnan(concealed([{"atMs": 3000.0}], 0.0, 5000.0))


def test_load_is_told_in_cores() -> None:
    assert CpuTimes.busy(None, CpuTimes(1, 2)) is None
    busy = CpuTimes.busy(CpuTimes(0, 0), CpuTimes(50, 100))
    assert busy is not None and busy > 0
    assert CpuTimes.used([1.0, 2.0], [3.0, 4.0], 8.0) == 0.5
    assert CpuTimes.used([1.0, None], [3.0, 4.0], 8.0) is None
