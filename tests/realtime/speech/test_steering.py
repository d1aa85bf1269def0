"""How a line of sound comes to its target: what is changed, how often, and what is left."""

import numpy as np
import pytest

from realtime.speech.speechline import SpeechLine
from realtime.speech.steering import Steering

VOWEL = (5000 * np.sin(2 * np.pi * 150 * np.arange(48_000) / 48_000)).astype(np.int16)
"""One second of a tone of 150 Hz: its periods are 6.67 ms long."""
PERIOD_MS = 1000.0 / 150.0


def line_of(ms: float) -> SpeechLine:
    line = SpeechLine()
    line.append(VOWEL[: round(ms * 48)])
    return line


def steering(line: SpeechLine, leave_ms: float = 40.0) -> Steering:
    return Steering(line, long_ms=10.0, short_ms=5.0, haste_ms=30.0, leave_ms=leave_ms)


@pytest.mark.parametrize("off_ms", [-4.9, 0.0, 9.9])
def test_near_the_target_the_line_stays_as_it_is(off_ms: float) -> None:
    line = line_of(200.0)
    assert steering(line).approach(off_ms) == 0.0
    assert line.fill_ms == 200.0


@pytest.mark.parametrize("off_ms, sign", [(20.0, -1), (-20.0, 1)])
def test_further_off_whole_periods_are_left_out_or_repeated(off_ms: float, sign: int) -> None:
    line = line_of(200.0)
    added_ms = steering(line).approach(off_ms)
    assert added_ms * sign > 0.0
    assert added_ms / PERIOD_MS == pytest.approx(round(added_ms / PERIOD_MS), abs=0.02)
    assert line.fill_ms == pytest.approx(200.0 + added_ms)


def changes(off_ms: float) -> list[bool]:
    """Return of ten blocks that leave a long line whether each was preceded by a change."""
    line = line_of(900.0)
    steered = steering(line)
    changed = []
    for _ in range(10):
        changed.append(steered.approach(off_ms) != 0.0)
        line.take()
    return changed


def test_without_haste_every_second_block_is_changed() -> None:
    assert changes(20.0) == [True, False] * 5


def test_in_haste_every_block_is_changed() -> None:
    assert changes(40.0) == [True] * 10


def test_leaving_out_periods_leaves_the_length_asked_for() -> None:
    line = line_of(60.0)
    assert steering(line, leave_ms=40.0).approach(25.0) == 0.0
    assert steering(line, leave_ms=12.0).approach(25.0) < 0.0
    assert line.fill_ms >= 12.0


@pytest.mark.parametrize("off_ms, rate", [(5.0, 100e-6), (-5.0, -100e-6), (100.0, 300e-6), (-100.0, -300e-6)])
def test_the_rate_grows_with_the_distance_up_to_what_nobody_hears(off_ms: float, rate: float) -> None:
    assert steering(line_of(100.0)).rate(off_ms) == pytest.approx(rate)
