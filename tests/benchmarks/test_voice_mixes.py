"""What the voice benchmark mixes, and where it says that nobody speaks."""

import numpy as np
import pytest

pytest.importorskip("soxr", reason="the benchmark's babble needs the extra `train`")

from benchmarks.voice.mix import Talk, joined, mixed  # noqa: E402
from benchmarks.voice.mouth import energies  # noqa: E402
from benchmarks.voice.sounds import RATE, crowd, music, pink, white  # noqa: E402


def test_pauses_begin_and_end_two_frames_from_speech() -> None:
    speech = np.zeros(200, bool)
    speech[40:80] = speech[85:120] = True
    talk = Talk("t", np.zeros(200 * 200, np.float32), joined(speech))
    assert np.flatnonzero(talk.free).tolist() == [*range(33), *range(127, 200)]
    assert talk.ends == [120]


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_noise_lies_below_speech_as_asked(snr_db: float) -> None:
    speech = np.zeros(160, bool)
    speech[80:] = True
    samples = np.where(np.repeat(speech, 200), 0.05 * np.sin(np.arange(32_000) * 0.3), 0.0).astype(np.float32)
    mix = mixed(Talk("t", samples, speech), white(2.0), snr_db)
    ratio = np.mean(samples[16_000:] ** 2) / np.mean((mix - samples) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.2)


def test_sounds_have_one_loudness_and_are_the_same_every_time() -> None:
    for sound in (white(1.0), pink(1.0), music(3.0), crowd([white(0.3), pink(0.4)], 1.0)):
        assert float(np.sqrt(np.mean(sound**2))) == pytest.approx(1.0, abs=1e-3)
    assert music(2.0).shape == (2 * RATE,)
    np.testing.assert_array_equal(music(2.0), music(2.0))


def test_lips_are_weighed_in_speech_and_in_pauses_that_are_long_enough() -> None:
    speech = np.zeros(400, bool)
    speech[200:300] = True  # 2.5 to 3.75 s
    lips = np.zeros(125)
    lips[63:93] = 0.2  # inside it
    lips[110:] = 0.1  # the last 0.6 s of a pause from 3.84 s on
    lips[:25] = 9.0  # the first second, which is left out
    pause, spoken = energies(Talk("t", np.zeros(400 * 200, np.float32), speech), lips, 1.0)
    assert spoken == pytest.approx(0.04, rel=0.1)
    assert pause == pytest.approx(0.01 * 15 / (35 + 29), rel=0.15)
