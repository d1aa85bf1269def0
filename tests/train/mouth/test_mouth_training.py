"""Ears and a voice on them are taught together, and written as what `lipline train lite` goes on from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ears_speech import babble, write_teacher, write_wav
from spoken_bars import bar_clip, bar_sample

from models.ears.logmel import FLOOR
from models.ears.onnx import Ears, EarsHearing
from models.ears.whisper import load_whisper
from models.errors import ModelError
from models.lite.contract import LiteConfig
from models.lite.voice import VoiceNetwork
from train.config import read_config
from train.data.shards import ShardWriter
from train.ears.command import run as run_ears
from train.ears.config import EarsTraining, SpoiltConfig
from train.kinds import Options
from train.lite.basis import coefficients_of, fit_basis
from train.lite.voicefile import load_voice, save_voice, voice_path
from train.loop.checkpoint import RunError
from train.mouth.command import run
from train.mouth.lessons import TeacherHearing, film, label
from train.mouth.task import MouthStudent, held, shifted, silence_from

EARS = """
teacher = "{teacher}"
batch = 4
frames = 60
settle = 5
delays = [0, 2]
speech = {{ folders = ["{speech}"], test = 0.3, piece_s = 2.0, held_out = 2 }}
spoilt = {{ room = 0.5, noise = 0.5, codec = 0.0 }}
model = {{ layers = 1, past = 6 }}
loop = {{ steps = 4, warmup = 1, ema = 0.5, evaluate_every = 4 }}
"""
MOUTH = """
ears = "{folder}/ears.toml"
ears_run = "{folder}/ears"
data = {{ by = "clip", test = 0.3 }}
model = {{ coefficients = 3, columns = 5, hidden = 16 }}
labellers = 2
batch = 3
clips = 3
frames = 80
spoilt = {{ renditions = 1, codec = 0.0, noise = 0.0 }}
voice = {{ batch = 8, loop = {{ steps = 6, warmup = 1, ema = 0.5, evaluate_every = 6 }} }}
loop = {{ steps = 6, warmup = 1, ema = 0.5, evaluate_every = 6 }}
"""
LITE = LiteConfig(coefficients=3, columns=5, hidden=16, heard=64)
STILL = SpoiltConfig(renditions=1, voice=1.0, room=0.0, microphone=0.0, noise=0.0, codec=0.0, gain_db=0.0)


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a complete run of `lipline train ears`, and shards."""
    folder = tmp_path_factory.mktemp("mouth")
    for at in range(8):
        write_wav(folder / "speech" / f"talk-{at}.wav", babble(4.2, at))
    teacher = write_teacher(folder / "tiny.npz")
    (folder / "ears.toml").write_text(EARS.format(teacher=teacher, speech=folder / "speech"))
    assert run_ears(folder / "ears.toml", [], folder / "ears", folder / "alone.onnx", Options(report=quiet)) == 0
    (folder / "mouth.toml").write_text(MOUTH.format(folder=folder))
    with ShardWriter(folder / "shards", "bars") as writer:
        for seed in range(8):
            writer.write(bar_sample("anna", seed))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> tuple[Path, list[str]]:
    lines: list[str] = []
    out = folder / "out.onnx"
    assert run(folder / "mouth.toml", [folder / "shards"], folder / "run", out, Options(report=lines.append)) == 0
    return out, lines


def student(folder: Path) -> MouthStudent:
    config = read_config(folder / "ears.toml", EarsTraining)
    return MouthStudent(load_whisper(config.teacher), config, LITE)


def test_the_command_writes_ears_and_the_voice_that_reads_them(folder: Path, trained: tuple[Path, list[str]]) -> None:
    out, lines = trained
    assert lines[-1].startswith("wrote out.onnx") and lines[-1].endswith("out.voice.pt")
    assert Ears(out).config.width == 64
    state, basis = load_voice(voice_path(out), LITE)
    VoiceNetwork(LITE).load_state_dict(state)
    assert basis.shape == (3, 110)
    with np.load(folder / "run" / "labels.npz") as kept:
        pieces = sum(len(np.load(path)["taught"]) for path in (folder / "ears" / "heard").glob("*.npz"))
        assert kept["labels"].shape == (pieces, 50, 3) and kept["labels"].std() > 0


def test_a_run_that_is_complete_is_not_trained_again(folder: Path, trained: tuple[Path, list[str]]) -> None:
    written = (folder / "run" / "labels.npz").stat().st_mtime_ns
    before = trained[0].read_bytes()
    assert run(folder / "mouth.toml", [folder / "shards"], folder / "run", trained[0], Options(report=quiet)) == 0
    assert (folder / "run" / "labels.npz").stat().st_mtime_ns == written and trained[0].read_bytes() == before


def test_a_run_of_ears_that_is_missing_is_an_error_with_a_remedy(folder: Path, tmp_path: Path) -> None:
    changes = Options(report=quiet, changes=(f"ears_run={tmp_path}",))
    with pytest.raises(RunError, match="give the folder of a run"):
        run(folder / "mouth.toml", [folder / "shards"], tmp_path / "run", tmp_path / "out.onnx", changes)


def test_a_voice_of_other_sizes_is_refused(trained: tuple[Path, list[str]], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="set model"):
        load_voice(voice_path(trained[0]), LiteConfig(coefficients=3, columns=7, hidden=16, heard=64))
    (tmp_path / "no.voice.pt").write_bytes(b"no voice")
    with pytest.raises(ModelError, match="no voice of `lipline train mouth`"):
        load_voice(tmp_path / "no.voice.pt", LITE)


def test_a_voice_is_read_as_it_was_written(tmp_path: Path) -> None:
    voice, basis = VoiceNetwork(LITE), torch.randn(3, 110)
    save_voice(voice, basis, LITE, tmp_path / "a.voice.pt")
    state, read = load_voice(tmp_path / "a.voice.pt", LITE)
    assert torch.equal(read, basis)
    assert all(torch.equal(value, voice.state_dict()[name]) for name, value in state.items())


@pytest.mark.parametrize("phase", [0.0, 0.5, 1.7])
def test_what_is_told_of_a_stretch_at_once_is_what_the_voice_tells_of_each_window(
    folder: Path, trained: tuple[Path, list[str]], phase: float
) -> None:
    network, ears = student(folder).eval(), Ears(trained[0])
    heard = ears.hear(babble(1.0))
    with torch.no_grad():
        at_once = network.told(torch.from_numpy(heard.T[None].copy()), phase)[0]
        hearing = EarsHearing(ears, LITE.columns, LITE.lookahead_ms)
        inside = range(4, 20)
        windows = torch.from_numpy(np.stack([hearing.cut(heard, 40.0 * at + 20.0 * phase) for at in inside]))
        torch.testing.assert_close(at_once[list(inside)], network.voice(windows), atol=1e-5, rtol=1e-4)
    assert len(at_once) == 26


def test_labels_between_pictures_are_mixtures() -> None:
    values = torch.tensor([[0.0, 1.0, 3.0]])
    assert torch.allclose(shifted(values, 0.25), torch.tensor([[0.25, 1.5]]))


def test_the_voice_follows_ears_that_drift(folder: Path) -> None:
    network = student(folder).train()
    drifted = 5.0 + 2.0 * torch.randn(4, 60, 64)
    for _ in range(120):
        network.told(drifted)
    assert (network.voice.mean_R - 5.0).abs().max() < 0.6 and (network.voice.scale_R - 2.0).abs().max() < 0.5


def test_only_a_share_of_the_gradient_reaches_the_ears() -> None:
    heard = torch.ones(3, requires_grad=True)
    held(heard, 0.25).sum().backward()
    assert heard.grad is not None and torch.allclose(heard.grad, torch.full((3,), 0.25))
    assert torch.equal(held(heard, 0.25), heard)


def test_labels_are_the_mean_of_what_the_voices_tell_at_each_picture(folder: Path) -> None:
    hearing = TeacherHearing.of(load_whisper(folder / "tiny.npz"))
    config = LiteConfig(coefficients=3, columns=hearing.columns, hidden=16, heard=64)
    voices = [VoiceNetwork(config).eval() for _ in range(2)]
    heard = hearing.hear(babble(1.0))
    labels = label(voices, hearing, heard.T[None].astype(np.float16))
    assert labels.shape == (1, 25, 3)
    window = torch.from_numpy(hearing.cut(heard.astype(np.float16).astype(np.float32), 400.0)[None])
    with torch.no_grad():
        expected = (voices[0](window) + voices[1](window))[0] / 2
    np.testing.assert_allclose(labels[0, 10], expected.numpy(), atol=1e-5)


def test_a_clip_that_is_heard_as_it_was_said_has_its_own_mouth() -> None:
    clip = bar_clip("anna")
    basis = fit_basis([clip], 3)
    (said, _), truth = film([clip], basis, 80, STILL, 1)[0], coefficients_of(clip, basis)
    assert said.mel.shape == (80, 163)
    np.testing.assert_allclose(said.mouth, truth[:40], atol=1e-6)
    assert set(np.unique(said.weight)) == {np.float32(0.4), np.float32(1.0)}


def test_a_clip_in_another_voice_has_its_mouth_at_that_voices_times() -> None:
    clip = bar_clip("anna", frames=60)
    basis = fit_basis([clip], 3)
    varied = STILL.model_copy(update={"voice": 1.6, "renditions": 6})
    shares = []
    for one in film([clip], basis, 120, varied, 3)[0]:
        # A bar is open as far as its sound is loud, whatever the tempo.
        mel = one.mel.astype(np.float32)[:, 2:-1].mean(0)
        loud = np.convolve(mel, np.ones(8) / 8, "same")[::4][: len(one.mouth)]
        inside = one.weight > 0
        shares.append(inside.mean())
        assert abs(np.corrcoef(loud[inside], one.mouth[inside, 0])[0, 1]) > 0.8
    assert min(shares) < 0.9, "a faster voice is done earlier"


def test_silence_at_once_closes_the_mouth_within_two_pictures() -> None:
    mel, mouth = np.ones((80, 123), np.float32), np.full((30, 3), 0.5, np.float32)
    at = silence_from(mel, mouth, np.random.default_rng(0))
    assert (mel[:, 2 * at + 2 :] == FLOOR).all() and (mel[:, : 2 * at + 2] == 1.0).all()
    picture = (at + 1) // 2
    assert (mouth[: picture + 1] == 0.5).all() and (mouth[picture + 2 :] == 0.0).all()
