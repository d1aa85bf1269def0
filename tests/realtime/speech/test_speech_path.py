"""Speech on its way out: one axis, concealment without clicks, mel in its place, honest silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.alignment import COLUMN_MS, SILENCE, WAV2LIP_WINDOW, MelWindow
from realtime.media import AudioBlock
from realtime.speech.audio import SpeechPath, hold_for
from realtime.speech.conceal import Concealer
from realtime.speech.resample import Decimator

RATE = 48_000
WINDOW = MelWindow.for_lookahead(80.0)


def tone(ms: float, hz: float = 200.0, level: float = 8000.0) -> NDArray[np.int16]:
    t = np.arange(int(RATE * ms / 1000)) / RATE
    return np.asarray(level * np.sin(2 * np.pi * hz * t), np.int16)


def blocks(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return list(samples[: samples.size // 960 * 960].reshape(-1, 960))


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(0, 20_000))
@settings(max_examples=30)
def test_decimator_is_the_same_for_any_chunks_and_has_no_phase(sizes: list[int], at: int) -> None:
    samples = np.zeros(sum(sizes) + 1000, dtype=np.int16)
    click = min(at, samples.size - 200)
    samples[click] = 20_000
    whole = Decimator().push(samples)
    decimator, cut = Decimator(), [0, *np.cumsum(sizes).tolist(), samples.size]
    parts = [decimator.push(samples[a:b]) for a, b in zip(cut, cut[1:], strict=False)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    assert abs(int(np.argmax(np.abs(whole))) - click / 3) <= 1


@pytest.mark.parametrize("hz, low, high", [(300.0, 0.99, 1.01), (6500.0, 0.99, 1.01), (9000.0, 0.0, 1e-3)])
def test_decimator_passes_speech_and_stops_aliases(hz: float, low: float, high: float) -> None:
    out = Decimator().push(tone(1000, hz, 16_384.0))[200:-200]
    assert low <= float(np.std(out)) / (0.5 / np.sqrt(2)) <= high


@settings(max_examples=20, deadline=None)
@given(st.floats(120, 900))
def test_a_click_lands_in_the_column_of_its_time(at_ms: float) -> None:
    samples = np.zeros(RATE, dtype=np.int16)
    samples[int(at_ms * RATE / 1000)] = 30_000
    path = SpeechPath(MelWindow(1, 0.0))
    for block in blocks(samples):
        path.push(block)
    times = np.arange(0.0, 940.0, COLUMN_MS)
    energy = [float(window.mean()) for t in times if (window := path.window(float(t))) is not None]
    energy = energy[: path.history.end]
    loud = times[np.asarray(energy) > max(energy) - 0.1]
    assert abs(float(loud.mean()) - at_ms) <= COLUMN_MS


def through(
    path: SpeechPath, hold_ms: float, block: NDArray[np.int16] | None, source_ms: float | None = None
) -> AudioBlock | None:
    """Push a block; take one when more than `hold_ms` is here."""
    path.push(block, source_ms)
    return path.pull() if path.line.fill_ms > hold_ms else None


@pytest.mark.parametrize("window", [WINDOW, WAV2LIP_WINDOW, MelWindow.for_lookahead(40.0)])
@pytest.mark.parametrize("interval", [40.0, 1000 / 30])
def test_the_hold_is_long_enough_to_ask_one_frame_ahead(window: MelWindow, interval: float) -> None:
    """At any moment until the next block leaves, the window of the frame one interval on is complete."""
    path, hold = SpeechPath(window), hold_for(window, interval)
    ready = []
    for block in blocks(tone(2000)):
        left = through(path, hold, block)
        if left is not None:
            # 19.9 ms later the next block is about to leave.
            ready += [path.complete(left.media_ms + late + interval) for late in (0.0, 10.0, 19.9)]
    assert len(ready) > 100 and all(ready)
    assert hold_for(window, interval) - window.lookahead_ms - interval <= 40.0


def test_blocks_leave_unchanged_and_on_one_axis() -> None:
    path, sent = SpeechPath(WINDOW, start_ms=200.0), blocks(tone(1000))
    left = [through(path, 140.0, block, 5000.0 + i * 20) for i, block in enumerate(sent)]
    assert left[:7] == [None] * 7
    for i, out in enumerate(left[7:]):
        assert out is not None
        assert (out.media_ms, out.out_ms, out.concealed) == (200.0 + i * 20.0, 200.0 + i * 20.0, False)
        assert out.source_ms == pytest.approx(5000.0 + i * 20)
        np.testing.assert_array_equal(out.samples, sent[i])


def test_while_the_delay_grows_the_last_column_stands_for_those_to_come() -> None:
    path = SpeechPath(WINDOW)
    for block in blocks(tone(1000)):
        path.push(block)
    whole, part = path.window(path.head_ms - 120.0), path.window(path.head_ms - 20.0)
    assert whole is not None and part is not None
    newest = path.history.window((path.history.end - 1) * COLUMN_MS - WINDOW.offset_ms)
    np.testing.assert_array_equal(part[:, -1], newest[:, 0])
    assert (part > SILENCE).any(axis=0).all(), "columns to come were taken for silence"
    assert path.window(path.head_ms + 100.0) is None


def test_the_decoders_own_concealment_is_heard_and_counts_as_concealed() -> None:
    path = SpeechPath(WINDOW)
    for i, block in enumerate(blocks(tone(200))):
        path.push(block, i * 20.0, invented=i in (3, 4))
    out = [path.pull() for _ in range(8)]
    assert [block.concealed for block in out] == [i in (3, 4) for i in range(8)]
    assert [block.source_ms is None for block in out] == [i in (3, 4) for i in range(8)]
    np.testing.assert_array_equal(np.concatenate([block.samples for block in out]), tone(200)[: 8 * 960])


def test_concealment_fades_without_steps() -> None:
    concealer, given_blocks = Concealer(), blocks(tone(400))
    holes = {5, 6, 7, 8, 12}
    out = np.concatenate([concealer.push(None if i in holes else b) for i, b in enumerate(given_blocks)])
    natural = int(np.abs(np.diff(tone(400).astype(np.int32))).max())
    assert int(np.abs(np.diff(out.astype(np.int32))).max()) <= 2 * natural
    assert np.abs(out[8 * 960 : 9 * 960]).max() == 0
    assert np.abs(out[12 * 960 : 13 * 960]).max() > 3000
    np.testing.assert_array_equal(out[10 * 960 : 11 * 960], given_blocks[10])


def test_a_cut_in_the_callers_time_is_smoothed() -> None:
    path, smooth = SpeechPath(WINDOW), tone(2000, 130.0)
    parts = blocks(smooth)
    del parts[20]
    out = [through(path, 20.0, block, 20.0 * (i + (i >= 20))) for i, block in enumerate(parts)]
    joined = np.concatenate([block.samples for block in out if block is not None]).astype(np.int32)
    step = np.abs(np.diff(smooth.astype(np.int32))).max()
    assert np.abs(np.diff(joined)).max() <= 2 * step + 100


def test_lips_rest_after_120_ms_of_concealment_and_in_silence() -> None:
    path = SpeechPath(WINDOW)
    for block in blocks(tone(400)):
        path.push(block)
    assert path.speech(path.head_ms - 20)
    states = []
    for _ in range(10):
        path.push(None)
        states.append(path.speech(path.head_ms - 20))
    assert states[0] and not any(states[6:])
    path.push(blocks(tone(20))[0])
    assert path.speech(path.head_ms - 20)
    for _ in range(20):
        path.push(np.zeros(960, dtype=np.int16))
    assert not path.speech(path.head_ms - 20)
    assert path.speech(390.0), "the past keeps its own mark"
    window = path.window(path.head_ms - 150)
    assert window is not None and window[:, -4:] == pytest.approx(SILENCE)


def test_a_level_between_the_limits_does_not_flicker() -> None:
    path = SpeechPath(WINDOW)
    between = tone(20, level=32768 * 10 ** (-49 / 20) * np.sqrt(2))
    path.push(between)
    assert not path.speech(0.0)
    for _ in range(5):
        path.push(tone(20))
    for _ in range(50):
        path.push(between)
    assert path.speech(path.head_ms - 20)


@pytest.mark.parametrize("bad", [np.zeros(959, np.int16), np.zeros(960, np.float32), np.zeros((960, 2), np.int16)])
def test_wrong_blocks_are_refused(bad: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="960"):
        SpeechPath(WINDOW).push(bad)


def test_only_speech_that_came_whole_is_a_window_to_learn_from() -> None:
    speech = SpeechPath(WINDOW)
    for at, block in enumerate(blocks(tone(2000.0))):
        speech.push(None if at == 50 else block)
    own = [at for at in range(200, 1800, 40) if speech.own_window(float(at)) is not None]
    assert own, "speech is learned from"
    reach = [at for at in range(200, 1800, 40) if at - 110.0 < 1020.0 and at + 80.0 > 1000.0]
    assert not set(own) & set(reach), "no window holds a concealed block"
    assert {at for at in range(200, 1800, 40) if at < 880 or at > 1180} <= set(own)


def test_silence_is_nothing_to_learn_from() -> None:
    speech = SpeechPath(WINDOW)
    for block in blocks(tone(2000.0, level=0.0)):
        speech.push(block)
    assert all(speech.own_window(float(at)) is None for at in range(0, 1800, 40))


def test_asking_for_a_window_to_learn_from_hears_nothing_for_it_alone() -> None:
    speech = SpeechPath(WINDOW)
    for block in blocks(tone(480.0)):
        speech.push(block)
    assert speech.own_window(240.0) is None and not speech.heard(240.0)
    assert speech.complete(240.0) and speech.own_window(240.0) is not None
