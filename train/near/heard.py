"""What the network hears of a mix, and when the caller really spoke."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.mel import HOP
from models.melstream import StreamingMel
from models.vad import CHUNK, CONTEXT, VadNetwork
from realtime.speech.voice import newest_chunk
from train.near.mixes import Mix

_BRIDGED: Final = 16  # columns: a shorter pause of the caller does not shut the mouth
_SOFT_DB: Final = 27.0  # below the loud parts of speech: no longer heard as such


class VoiceHeard:
    """Turn mixes into what is trained on. Not thread-safe."""

    def __init__(self) -> None:
        """Open the voice detector.

        Raises:
            ModelError: it is not installed.
        """
        self._network = VadNetwork()

    def __call__(self, mixes: Sequence[Mix]) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.bool_]]:
        """Return mel (N, T, 80), the detector's newest probability (N, T), and whether the caller speaks (N, T)."""
        caller = np.stack([mix.caller for mix in mixes])
        heard = np.clip(np.stack([mix.caller + mix.rest for mix in mixes]), -1.0, 1.0).astype(np.float32)
        mel = np.stack([StreamingMel().push(sound).T for sound in heard])
        columns = min(mel.shape[1], caller.shape[1] // HOP)
        voices = self._voices(heard)
        newest = newest_chunk(np.arange(columns))
        known = np.where(newest >= 0, voices[:, np.maximum(newest, 0)], 0.0)
        speech = np.stack([speaking(*pair)[:columns] for pair in zip(caller, self._voices(caller), strict=True)])
        return mel[:, :columns].astype(np.float16), known.astype(np.float16), speech

    def _voices(self, sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (N, n // 512) of sounds (N, n)."""
        state = self._network.begin(len(sounds))
        padded, found = np.pad(sounds, ((0, 0), (CONTEXT, 0))), []
        for begin in range(0, sounds.shape[1] - CHUNK + 1, CHUNK):
            chunk = np.ascontiguousarray(padded[:, begin : begin + CONTEXT + CHUNK])
            voices, state = self._network.hear(chunk, state)
            found.append(voices)
        return np.stack(found, axis=1)


def speaking(caller: NDArray[np.float32], voice: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return per column (n // 200,) whether the caller speaks, of their own clean track and its probabilities."""
    columns = len(caller) // HOP
    out = np.zeros(columns, bool)
    if not np.any(caller):
        return out
    fires = np.repeat(voice > 0.5, CHUNK)
    fires = np.pad(fires, (0, columns * HOP))[: columns * HOP : HOP]
    power = np.square(caller[: columns * HOP].reshape(columns, HOP)).mean(axis=1)
    level = 10.0 * np.log10(np.convolve(power, np.full(4, 0.25), "same") + 1e-12)
    # The detector is late: its own delay is made up for at the beginning, and the level ends speech.
    early = np.roll(fires, -2)
    out = (fires | early) & (level > np.percentile(level[fires] if fires.any() else level, 90) - _SOFT_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], out.astype(np.int8), [0]))))
    for end, begin in zip(edges[1::2], edges[2::2], strict=False):
        if begin - end < _BRIDGED:
            out[end:begin] = True
    return np.asarray(out, bool)
