"""What is done to speech keeps its length and its place in time."""

import importlib
from collections.abc import Callable

import numpy as np
import pytest
from ears_speech import RATE, babble

from train.data.sounds import Rng, Sound, echoing, equalised
from train.ears.config import SpoiltConfig
from train.ears.spoil import coded, levelled, revoiced, spoilt

NOTHING = SpoiltConfig(room=0.0, microphone=0.0, noise=0.0, codec=0.0, gain_db=0.0)
KINDS: dict[str, Callable[[Sound, Rng], Sound]] = {
    "room": lambda sound, rng: echoing(sound, rng, 1.0),
    "microphone": equalised,
    "codec": lambda sound, rng: coded(sound, 16_000, 0.0, rng),
    "codec with losses": lambda sound, rng: coded(sound, 24_000, 0.1, rng),
}


def need_opus() -> None:
    """Skip where libopus is missing, in which case the package raises a plain Exception."""
    try:
        importlib.import_module("opuslib_next")
    except Exception as error:
        pytest.skip(f"no libopus: {error}")


def late_ms(sound: Sound, heard: Sound) -> float:
    """By how much `heard` comes after `sound`, where they correlate best."""
    size = 1 << (2 * sound.size).bit_length()
    both = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size)), size)
    at = int(np.argmax(np.abs(both)))
    return (at if at < size // 2 else at - size) * 1000.0 / RATE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_speech_keeps_its_length_and_place(kind: str, seed: int) -> None:
    need_opus()
    sound = levelled(babble(2.03, seed))
    heard = KINDS[kind](sound, np.random.default_rng(seed))
    assert heard.shape == sound.shape and heard.dtype == np.float32
    assert not np.array_equal(heard, sound)
    assert abs(late_ms(sound, heard)) <= 2.0


@pytest.mark.parametrize("seed", range(6))
def test_all_of_it_together_keeps_length_and_place(seed: int) -> None:
    need_opus()
    sound, others = babble(2.01, seed), [babble(1.0, seed + 10), babble(3.0, seed + 20)]
    everything = SpoiltConfig(room=1.0, microphone=1.0, noise=1.0, snr_db=(6.0, 30.0), codec=1.0, lost=0.1)
    heard = spoilt(sound, others, everything, np.random.default_rng(seed))
    assert heard.shape == sound.shape and heard.dtype == np.float32 and np.isfinite(heard).all()
    assert abs(late_ms(sound, heard)) <= 2.0


def test_without_anything_only_the_level_changes() -> None:
    sound = babble(1.0)
    np.testing.assert_allclose(spoilt(sound, [], NOTHING, np.random.default_rng(0)), levelled(sound), atol=1e-6)
    assert 10 * np.log10(np.square(levelled(sound, -30.0)).mean()) == pytest.approx(-30.0, abs=0.01)


def test_the_same_generator_spoils_the_same_way() -> None:
    one, again, other = (spoilt(babble(1.0), [], SpoiltConfig(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_noise_lies_as_far_below_speech_as_it_is_asked_to() -> None:
    sound = levelled(babble(2.0))
    config = NOTHING.model_copy(update={"noise": 1.0, "snr_db": (10.0, 10.0)})
    heard = spoilt(sound, [], config, np.random.default_rng(0))
    share = float(heard @ sound / (sound @ sound))
    noise = heard - share * sound
    assert 10 * np.log10(np.square(share * sound).mean() / np.square(noise).mean()) == pytest.approx(10.0, abs=0.5)


def test_lost_packets_are_concealed_in_their_place() -> None:
    need_opus()
    sound = levelled(babble(4.0))
    clean, lossy = (coded(sound, 24_000, lost, np.random.default_rng(1)) for lost in (0.0, 0.2))
    apart = np.square(clean - lossy)[: sound.size // 320 * 320].reshape(-1, 320).mean(1)
    assert (apart[:1] == 0.0).all() and 0.1 < float((apart > 1e-5).mean()) < 0.95


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_another_voice_is_higher_and_faster_by_one_factor(factor: float) -> None:
    t = np.arange(RATE) / RATE
    heard = revoiced(np.asarray(0.5 * np.sin(2 * np.pi * 400.0 * t), np.float32), factor)
    assert heard.size == round(RATE / factor)
    hz = np.fft.rfftfreq(heard.size, 1.0 / RATE)[np.abs(np.fft.rfft(heard)).argmax()]
    assert hz == pytest.approx(400.0 * factor, abs=2.0)
    assert np.std(heard) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_another_voice_says_everything_at_its_share_of_the_time() -> None:
    sound = np.zeros(RATE, np.float32)
    sound[12_000:12_040] = 1.0
    assert np.abs(revoiced(sound, 1.25)).argmax() == pytest.approx(12_020 / 1.25, abs=20)
