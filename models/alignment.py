"""Where a model's mel window lies around the frame it speaks for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLUMN_MS = 12.5
"""Spacing of mel columns: 200 samples at 16 kHz."""

HALF_STFT_MS = 25.0
"""Half of the 50 ms analysis window: a column hears this far past its centre."""

SILENCE = -4.0
"""Value of every mel bin for digital silence."""


@dataclass(frozen=True, slots=True)
class MelWindow:
    """Which mel columns a frame needs.

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

    def start(self, media_ms: float) -> int:
        """Return the index of the first column for a frame at `media_ms` (audio starts at 0 ms); may be negative."""
        return int(np.floor((media_ms + self.offset_ms) / COLUMN_MS + 1e-6))

    def cut(self, mel: NDArray[np.float32], media_ms: float) -> NDArray[np.float32]:
        """Cut the window for a frame at `media_ms` out of `mel` (80, n); what lies outside is silence.

        Returns:
            float32 (80, columns).
        """
        start = self.start(media_ms)
        window = np.full((mel.shape[0], self.columns), SILENCE, dtype=np.float32)
        lo, hi = max(start, 0), min(start + self.columns, mel.shape[1])
        if lo < hi:
            window[:, lo - start : hi - start] = mel[:, lo:hi]
        return window


WAV2LIP_WINDOW = MelWindow(16, -40.0)
"""Wav2Lip's training alignment: 16 columns that start one 25 fps frame early; lookahead 172.5 ms."""
