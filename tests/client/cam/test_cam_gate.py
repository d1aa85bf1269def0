"""Where the voice detector cannot be had (Macs with Intel processors), `lipline cam` says so and loudness decides."""

import numpy as np
import pytest

from client.cam.parts import _open_gate
from models.alignment import MelWindow
from models.errors import ModelError
from realtime.speech.audio import SpeechPath


def test_without_the_detector_the_level_alone_moves_the_lips(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModelError("the voice detector is missing: run pip install it")

    monkeypatch.setattr("models.vad.VoiceDetector", missing)
    said: list[str] = []
    gate = _open_gate(said.append)
    assert gate is None
    assert said == ["the voice detector is missing: run pip install it; until then any sound moves the lips"]
    path = SpeechPath(MelWindow.for_lookahead(80.0), gate=gate)
    hum = (3000.0 * np.sin(2.0 * np.pi * 300.0 * np.arange(48_000) / 48_000.0)).astype(np.int16)
    for block in (*hum[:28_800].reshape(-1, 960), *np.zeros((40, 960), np.int16)):
        path.push(block)
    assert path.speech(400.0), "no voice, but loud"
    assert not path.speech(1200.0)
