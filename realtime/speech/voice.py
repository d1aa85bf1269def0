"""Whether the caller speaks, and how far the mouth may open: a voice detector, and a network that knows who is near.

Pure. A voice detector fires on every voice in the room; the near-voice network tells the caller's from the others'. How
sure it must be depends on the room: where the background itself sounds like speech (babble), surer than in silence,
noise or music. Decisions look 62 ms ahead, which hides the networks' delay: sound waits for the lips anyway.
`docs/design/voice.md` has the rule and its figures.
"""

from collections import deque
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS
from models.mel import HOP, WIN, Mel

AHEAD: Final = 5
"""Columns after the one decided that are heard."""

_ROW: Final = 4  # columns in a row of the room's memory: 50 ms
_LEAD_MS: Final = 32.0  # the detector's probability is best compared with the sound this long before
_CHUNK: Final = 512  # samples that get one probability
_CHUNK_MS: Final = 32.0
_STARTUP: Final = 6  # rows in which the detector warms up
_QUIETEST: Final = 0.05  # share of the memory that says what the room is like when the caller rests

# The limits are tuned on the bundled caller and GRID's s1 in the mixes of `benchmarks.voice`.
QUIET_ROOM: Final = (0.25, 0.45)
"""Probabilities of the caller's own voice between which the mouth opens, where nobody else speaks."""
FULL_ROOM: Final = (0.55, 0.85)
"""The same where the background is voices, and while no voice is heard."""
_VOICE: Final = 0.5
"""Probability of any voice from which one is heard."""
_BABBLE: Final = (0.12, 0.3)
"""Probabilities of any voice in the quietest moments, between which the room goes over from quiet to full.

Babble never lets them fall, music and noise let them fall in every pause.
"""
_MEMORY_MS: Final = 12_000.0
"""Time in ms for which these moments are remembered."""

Index = TypeVar("Index", int, NDArray[np.int64])


class Detector(Protocol):
    """Detector of speech, with a probability for every 512 samples; `models.vad.VoiceDetector` is one."""

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples (n,) at 16 kHz; return the probabilities 0..1 of the chunks now complete."""


class NearVoiceNetwork(Protocol):
    """Network that knows the caller's voice from others in the room; `models.near.onnx.NearVoice` is one."""

    def push(self, column: NDArray[np.float32], voice: float) -> float:
        """Take a mel column (80,) and the newest probability; return that of the caller's voice `AHEAD` columns ago."""


class MouthGate(Protocol):
    """Judge of how far the mouth may open; given to `SpeechPath`."""

    def push(self, samples: NDArray[np.float32], mel: Mel) -> None:
        """Take the next samples (n,) at 16 kHz and the mel columns (80, k) that they complete."""

    def opening(self, ms: float) -> float:
        """Return 0 (shut) to 1 (free) for `ms` after the first sample; past the newest decision: as there."""


class VoiceGate:
    """Decide per mel column of 12.5 ms how far the mouth may open (a `MouthGate`). Not thread-safe."""

    KEPT = 1600

    def __init__(self, detector: Detector, near: NearVoiceNetwork) -> None:
        """Ask `detector` and `near`, which become this instance's own."""
        self._detector, self._near = detector, near
        self._probabilities: deque[float] = deque(maxlen=self.KEPT)
        self._chunks = self._heard = self._decided = self._rows = 0
        self._voices: deque[float] = deque(maxlen=round(_MEMORY_MS / (_ROW * COLUMN_MS)))
        self._limits = FULL_ROOM
        self._openings: deque[float] = deque([0.0], maxlen=self.KEPT)

    def push(self, samples: NDArray[np.float32], mel: Mel) -> None:
        """Take the next samples (n,) float32 at 16 kHz and the mel columns (80, k) that they complete."""
        found = self._detector.push(samples)
        self._probabilities.extend(float(value) for value in found)
        self._chunks += len(found)
        for column in mel.T:
            near = self._near.push(column, self._newest())
            self._heard += 1
            if self._heard % _ROW == 0:
                self._remember(self._probability(self._heard - _ROW))
            if self._heard > AHEAD:
                # Where no voice is heard at all, noise is easily taken for the end of one.
                voice = self._probability(self._heard - 1 - AHEAD) > _VOICE
                self._openings.append(_between(near, self._limits if voice else FULL_ROOM))
                self._decided += 1

    def opening(self, ms: float) -> float:
        """Return 0 (shut) to 1 (free) for `ms` after the first sample; past the newest decision: as there."""
        back = self._decided - 1 - round(ms / COLUMN_MS)
        return self._openings[-1 - min(max(back, 0), len(self._openings) - 1)]

    def _newest(self) -> float:
        """Return the probability of the newest chunk that was whole when the column now heard was."""
        back = self._chunks - 1 - newest_chunk(self._heard)
        return self._probabilities[-1 - back] if 0 <= back < len(self._probabilities) else 0.0

    def _probability(self, column: int) -> float:
        """Return the probability that belongs to a column, of the newest chunk where its own is not here yet."""
        if not self._chunks:
            return 0.0
        back = self._chunks - 1 - int((column * COLUMN_MS + _LEAD_MS) // _CHUNK_MS)
        return self._probabilities[-1 - min(max(back, 0), len(self._probabilities) - 1)]

    def _remember(self, probability: float) -> None:
        """Remember how much a row of columns sounds like a voice, and set the limits for such a room."""
        self._voices.append(probability if self._rows >= _STARTUP else 1.0)
        self._rows += 1
        quietest = sorted(self._voices)[int(_QUIETEST * len(self._voices))]
        full = _between(quietest, _BABBLE)
        low, high = (quiet + full * (loud - quiet) for quiet, loud in zip(QUIET_ROOM, FULL_ROOM, strict=True))
        self._limits = low, high


def newest_chunk(column: Index) -> Index:
    """Return the index of the detector's newest whole chunk when a mel column is complete; -1: none yet."""
    return (column * HOP + WIN // 2) // _CHUNK - 1


def _between(value: float, limits: tuple[float, float]) -> float:
    """Return how far `value` has come from the lower of the limits to the upper one, 0 to 1."""
    low, high = limits
    return min(max((value - low) / (high - low), 0.0), 1.0)
