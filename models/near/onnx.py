"""Tell the caller's own voice from others in the room, column by column: the bundled network `near`. No torch here."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.catalog import NEAR, WEIGHTS
from models.errors import ModelError
from models.mel import N_MELS
from models.onnx.contract import KIND_KEY, check_version
from models.runtime import open_session

_KIND: Final = "near"


class NearVoice:
    """A network that gives the probability that the caller speaks, column by column. Stateful; not thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the network in `path`, or the bundled one.

        Raises:
            ModelError: it is missing, damaged, or of another kind.
        """
        self._session: Any = open_session(path or WEIGHTS / f"{NEAR}.onnx", threads=1)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if metadata.get(KIND_KEY) != _KIND:
            raise ModelError("it is no near-voice network: give one of `lipline train near`")
        check_version(metadata)
        hidden = next(one.shape[1] for one in self._session.get_inputs() if one.name == "state")
        self._state: NDArray[np.float32] = np.zeros((1, hidden), np.float32)

    def push(self, column: NDArray[np.float32], voice: float) -> float:
        """Add the next mel column (80,) and the newest probability of speech 0..1 known with it.

        Returns:
            Probability 0..1 that the caller speaks five columns (62.5 ms) before this one.
        """
        heard = {
            "mel": np.asarray(column, np.float32).reshape(1, N_MELS),
            "voice": np.full((1, 1), voice, np.float32),
            "state": self._state,
        }
        near, self._state = self._session.run(["near", "next"], heard)
        return float(near[0, 0])
