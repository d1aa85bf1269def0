"""Where a model's mel window lies around the frame it speaks for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.hearing import cut_window
from models.mel import N_MELS, SILENCE, Mel, Samples, melspectrogram
from models.melstream import StreamingMel

__all__ = ["COLUMN_MS", "HALF_STFT_MS", "SILENCE", "WAV2LIP_WINDOW", "MelWindow"]

COLUMN_MS = 12.5
"""Spacing of mel columns: 200 samples at 16 kHz."""

HALF_STFT_MS = 25.0
"""Half of the 50 ms analysis window: a column hears this far past its centre."""


@dataclass(frozen=True, slots=True)
class MelWindow:
    """Which mel columns a frame needs (a models.hearing.Hearing).

    Attributes:
        columns: width of the window in mel columns.
        offset_ms: centre of the first column relative to the frame's media time, in ms (negative is the past).
    """

    columns: int = 16
    offset_ms: float = -40.0

    @property
    def lookahead_ms(self) -> float:
        """Audio needed after the frame's time, in ms: centre of the last column plus half an STFT window."""
        return self.offset_ms + (self.columns - 1) * COLUMN_MS + HALF_STFT_MS

    @classmethod
    def for_lookahead(cls, lookahead_ms: float, columns: int = 16) -> "MelWindow":
        """Place a window of `columns` columns so that it needs exactly `lookahead_ms` of audio after the frame."""
        return cls(columns, lookahead_ms - HALF_STFT_MS - (columns - 1) * COLUMN_MS)

    @property
    def step_ms(self) -> float:
        """Spacing of columns, in ms."""
        return COLUMN_MS

    @property
    def silence(self) -> Mel:
        """A column (80, 1) of digital silence."""
        return np.full((N_MELS, 1), SILENCE, dtype=np.float32)

    def start(self, media_ms: float) -> int:
        """Return the index of the first column for a frame at `media_ms` (audio starts at 0 ms); may be negative."""
        return int(np.floor((media_ms + self.offset_ms) / COLUMN_MS + 1e-6))

    def place(self, media_ms: float) -> tuple[int, float]:
        """Return the index of the first column for a frame at `media_ms`, and 0: windows begin at whole columns."""
        return self.start(media_ms), 0.0

    def stream(self) -> StreamingMel:
        """Return a new mel stream."""
        return StreamingMel()

    def hear(self, samples: Samples) -> Mel:
        """Return the mel (80, 1 + n // 200) of a whole recording."""
        return melspectrogram(samples)

    def cut(self, heard: NDArray[np.float32], media_ms: float) -> NDArray[np.float32]:
        """Cut the window (80, columns) for a frame at `media_ms` out of mel (80, n); what lies outside is silence."""
        return cut_window(self, heard, media_ms)


WAV2LIP_WINDOW = MelWindow(16, -40.0)
"""Wav2Lip's training alignment: 16 columns that start one 25 fps frame early; lookahead 172.5 ms."""
