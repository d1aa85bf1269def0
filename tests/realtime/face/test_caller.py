"""What is learned of one caller: a planted layer is found, a worse one is never used, nothing grows."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.face import caller as module
from realtime.face.caller import Caller, correlation

Array = NDArray[np.float32]
HIDDEN, COUNT = 40, 4
OPENS = np.array([0.1, 0.02, -0.03, 0.0], np.float32)
CLOSED = np.array([3.0, -1.0, 0.5, 0.2], np.float32)
SILENCE = np.zeros(HIDDEN, np.float32), np.zeros(COUNT, np.float32)
FRAME_MS = 40.0
SPEECH = 21 / 25
"""Share of the time in which somebody speaks."""


class Talker:
    """Somebody who speaks without end: the hidden numbers of their sound, and the mouth that belongs to it."""

    def __init__(self, own: float, noise: float = 0.3, seed: int = 0) -> None:
        """Move the mouth by the general layer plus one of their own, `own` times as strong."""
        rng = np.random.default_rng(seed)
        self.general = rng.normal(0.0, 0.3, (HIDDEN, COUNT)).astype(np.float32)
        self.own = own * np.random.default_rng(seed + 50).normal(0.0, 0.3, (HIDDEN, COUNT)).astype(np.float32)
        for layer in (self.general, self.own):
            layer[:, 0] = np.abs(layer[:, 0])  # sound opens the mouth, half of it by their own way
        self.general[HIDDEN // 2 :, 0] = self.own[: HIDDEN // 2, 0] = 0.0
        self._rng, self._noise = rng, noise
        self._state = rng.normal(0.0, 1.0, HIDDEN)

    def frames(self, seconds: float) -> Iterator[tuple[Array, Array, Array]]:
        """Yield hidden numbers, general coefficients and the mouth of frame after frame."""
        for at in range(round(seconds * 25)):
            self._state = 0.7 * self._state + 0.7 * self._rng.normal(0.0, 1.0, HIDDEN)
            # Between words there is nothing to hear, and the mouth is closed.
            hidden = (np.maximum(self._state, 0.0) * (at % 25 >= 4)).astype(np.float32)
            mouth = hidden @ (self.general + self.own) + CLOSED + self._rng.normal(0.0, self._noise, COUNT)
            yield hidden, hidden @ self.general, mouth.astype(np.float32)


def fed(caller: Caller, talker: Talker, seconds: float, begin_ms: float = 0.0, every: int = 1, lag: int = 0) -> float:
    """Let `caller` learn; the picture comes `lag` frames before its sound. Return the time of the next frame."""
    sounds = [(np.zeros(HIDDEN, np.float32), np.zeros(COUNT, np.float32))] * lag
    for at, (hidden, told, mouth) in enumerate(talker.frames(seconds)):
        sounds.append((hidden, told))
        seen = mouth if at % every == 0 else None
        caller.add(begin_ms + FRAME_MS * at, spoken(*sounds.pop(0)), seen)
    return begin_ms + FRAME_MS * round(seconds * 25)


def spoken(hidden: Array, told: Array) -> tuple[Array, Array] | None:
    """Return what is learned from, None between words."""
    return (hidden, told) if hidden.any() else None


def follows(caller: Caller, talker: Talker) -> tuple[float, float]:
    """Return how well the general layer and the one in use follow the next 20 s of mouths."""
    hidden, told, mouth = (np.stack(part) for part in zip(*talker.frames(20.0), strict=True))
    hidden, told, mouth = (part[hidden.any(1)] for part in (hidden, told, mouth))
    used = told if caller.layer is None else caller.layer(hidden, told)
    truth = mouth @ OPENS
    return correlation(told @ OPENS, truth), correlation(used @ OPENS, truth)


@pytest.fixture
def caller() -> Caller:
    return Caller(SILENCE, OPENS)


def test_a_mouth_that_moves_in_its_own_way_is_learned_within_a_minute(caller: Caller) -> None:
    talker = Talker(own=0.8)
    fed(caller, talker, 60.0)
    general, own = follows(caller, talker)
    assert own > general + 0.1 and own > 0.85


def test_the_own_layer_opens_the_mouth_as_far_as_the_caller_does(caller: Caller) -> None:
    talker = Talker(own=0.8, noise=0.8)
    fed(caller, talker, 90.0)
    hidden, told, mouth = (np.stack(part) for part in zip(*talker.frames(20.0), strict=True))
    assert caller.layer is not None
    assert 0.85 < (caller.layer(hidden, told) @ OPENS).std() / (mouth @ OPENS).std() < 1.15


def test_silence_keeps_the_mouth_closed(caller: Caller) -> None:
    talker = Talker(own=0.8)
    fed(caller, talker, 60.0)
    opened = np.stack([mouth - CLOSED for _, _, mouth in talker.frames(20.0)]) @ OPENS
    assert caller.layer is not None
    assert abs(float(caller.layer(*SILENCE) @ OPENS)) < 0.01 * float(opened.mean())


def test_without_anything_to_gain_the_general_layer_stays(caller: Caller) -> None:
    talker = Talker(own=0.0)
    begin_ms = 0.0
    for _ in range(12):
        begin_ms = fed(caller, talker, 10.0, begin_ms)
        general, used = follows(caller, talker)
        assert used >= general - 0.01


def test_a_mouth_that_has_nothing_to_do_with_the_sound_teaches_nothing(caller: Caller) -> None:
    speaker, chewer = Talker(own=0.5), Talker(own=0.5, seed=9)
    pairs = zip(speaker.frames(60.0), chewer.frames(60.0), strict=True)
    for at, ((hidden, told, _), (_, _, mouth)) in enumerate(pairs):
        caller.add(FRAME_MS * at, spoken(hidden, told), mouth)
        assert caller.layer is None


def test_who_moves_the_mouth_otherwise_from_now_on_gets_the_general_layer_back(caller: Caller) -> None:
    begin_ms = fed(caller, Talker(own=1.5), 40.0)
    assert caller.layer is not None
    fed(caller, Talker(own=0.0), 25.0, begin_ms)
    assert caller.layer is None


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_a_picture_that_comes_before_its_sound_is_moved(caller: Caller, lag: int) -> None:
    talker = Talker(own=0.6)
    fed(caller, talker, 60.0, lag=lag)
    assert caller.lag == lag
    general, own = follows(caller, talker)
    assert own > general + 0.05


def test_a_picture_in_step_is_not_moved(caller: Caller) -> None:
    fed(caller, Talker(own=0.6), 60.0)
    assert caller.lag == 0


def test_a_missing_picture_does_not_pair_a_mouth_with_the_sound_of_another(caller: Caller) -> None:
    talker, at_ms = Talker(own=0.6), 0.0
    sounds = [(np.zeros(HIDDEN, np.float32), np.zeros(COUNT, np.float32))] * 2
    for at, (hidden, told, mouth) in enumerate(talker.frames(60.0)):
        sounds.append((hidden, told))
        sound = sounds.pop(0)
        at_ms += FRAME_MS
        if at % 20 != 7:
            caller.add(at_ms, spoken(*sound), mouth)
    assert caller.lag == 2
    assert caller.learned_s < 60.0 * SPEECH * 18.5 / 20.0


def test_time_is_learned_whether_all_pictures_are_tracked_or_some() -> None:
    learned = []
    for every in (1, 3):
        caller = Caller(SILENCE, OPENS)
        fed(caller, Talker(own=0.6), 40.0, every=every)
        learned.append(caller.learned_s)
    assert learned[0] == pytest.approx(37.5 * SPEECH, abs=2.5) and learned[1] == pytest.approx(learned[0], abs=2.0)


def test_only_own_sound_and_trusted_mouths_teach(caller: Caller) -> None:
    for at, (hidden, told, mouth) in enumerate(Talker(own=0.6).frames(20.0)):
        half = at % 2 == 0
        caller.add(FRAME_MS * at, spoken(hidden, told) if half else None, None if half else mouth)
    assert caller.learned_s == 0.0 and caller.layer is None


def test_every_picture_is_learned_from_once(caller: Caller) -> None:
    fed(caller, Talker(own=0.6), 38.0)
    seen = 38.0 - 2.0 * module.REACH * FRAME_MS / 1000.0
    assert SPEECH * (seen - module.STEP_MS / 1000.0 - 2.0) < caller.learned_s <= SPEECH * seen + 0.2


def test_forgetting_leaves_nothing_of_the_caller_before(caller: Caller) -> None:
    fed(caller, Talker(own=0.8), 60.0, lag=2)
    assert caller.layer is not None and caller.lag == 2
    caller.forget()
    assert caller.layer is None and caller.lag == 0 and caller.learned_s == 0.0
    fed(caller, Talker(own=0.0), 20.0)
    assert caller.layer is None


def test_time_that_runs_back_is_a_new_call(caller: Caller) -> None:
    fed(caller, Talker(own=0.8), 60.0)
    fed(caller, Talker(own=0.8), 3.0)
    assert caller.learned_s < 3.0


def test_what_was_learned_long_ago_counts_less(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_MS", 20_000.0)
    begin_ms = fed(caller, Talker(own=0.8), 60.0)
    assert caller.learned_s < 21.0
    later = Talker(own=0.8)
    later.own = later.own[:, ::-1].copy()
    fed(caller, later, 120.0, begin_ms)
    general, own = follows(caller, later)
    assert own > general + 0.1


def test_an_hour_takes_no_more_memory_than_a_minute(caller: Caller) -> None:
    talker = Talker(own=0.6)
    begin_ms = fed(caller, talker, 90.0)
    before = caller.nbytes
    fed(caller, talker, 300.0, begin_ms)
    assert caller.nbytes <= before * 1.05
    assert Caller((np.zeros(256, np.float32), np.zeros(12, np.float32)), np.ones(12, np.float32)).nbytes < 4 << 20


def test_there_is_one_small_fit_in_two_seconds_and_nothing_between(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 256 hidden numbers a fit is 6 M multiplications, 0.1 M a picture; the Gram matrix takes 0.08 M more."""
    sizes: list[int] = []
    solve = np.linalg.solve

    def counted(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        sizes.append(len(a))
        return np.asarray(solve(a, b))

    monkeypatch.setattr(np.linalg, "solve", counted)
    fed(caller, Talker(own=0.6), 60.0)
    assert 20 <= len(sizes) <= 30 and set(sizes) == {HIDDEN + 1}
