"""A renderer that hears beeps: in an outage it lights the patch when the mel window says that the beep sounds now.

It stands where the generator stands, so that the whole way is measured: speech, mel, window, job, thread, frame, wire.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.avskew.film import BEEP_AMPLITUDE, TONES_HZ, paint
from models.alignment import COLUMN_MS, MelWindow
from models.generator import Image
from models.mel import SAMPLE_RATE, melspectrogram
from realtime.picture.synth_api import Drawn, HeardFrame, Learned, Seen

MARK_SYNTH, MARK_RETURNING = 0.5, 1.0
_VALUES_PER_DECADE = 1.6
_FLOOR = 0.1


class BeaconRenderer:
    """A `FaceRenderer`. Patch 2 says where a frame is from: dark is real, grey synthetic, lit returning.

    `window` is the one that the node cuts: only with it is the column of the frame's own time known.

    Attributes:
        missing_ms: for each synthetic frame, the part of its window that had not arrived and was made up, in ms.
    """

    def __init__(self, window: MelWindow) -> None:
        # A window begins at the column before its place, on average half a column early.
        self._column = (COLUMN_MS / 2 - window.offset_ms) / COLUMN_MS
        if not 0 <= self._column <= window.columns - 1:
            raise ValueError("the window does not hold the frame's own time")
        self._bands = [_band(hz) for hz in TONES_HZ]
        self._face: Image | None = None
        self.missing_ms: list[float] = []

    def observe(self, image: Image, media_ms: float) -> Seen:
        """Keep the picture."""
        self._face = image
        return Seen(True, None, None)

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        """Learn nothing."""
        return Learned()

    def start(self, media_ms: float) -> None:
        """Begin an outage; RuntimeError before any picture."""
        if self._face is None:
            raise RuntimeError("no picture was observed")

    def render(self, mel_window: NDArray[np.float32] | None, media_ms: float, *, speech: bool) -> Drawn:
        """Return the last picture with both patches as bright as their tone is loud at `media_ms`."""
        if self._face is None:
            raise RuntimeError("no picture was observed")
        image = self._face.copy()
        if mel_window is not None:
            # MelHistory.window_so_far: what is not here repeats the newest column.
            same = np.all(mel_window[:, :-1] == mel_window[:, -1:], axis=0)
            self.missing_ms.append(COLUMN_MS * int(np.argmin(same[::-1])))
        for patch, (row, full) in enumerate(self._bands):
            heard = mel_window is not None and speech
            paint(image, patch, self._loudness(mel_window[row], full) if heard and mel_window is not None else 0.0)
        paint(image, 2, MARK_SYNTH)
        return Drawn(image, image)

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        """Return the real frame, marked."""
        image = real_image.copy()
        paint(image, 2, MARK_RETURNING)
        return Drawn(image, image)

    def stop(self) -> None:
        """End the outage."""

    def close(self) -> None:
        """Forget the picture."""
        self._face = None

    def _loudness(self, values: NDArray[np.float32], full: float) -> float:
        amplitude = 10.0 ** ((values.astype(np.float64) - full) / _VALUES_PER_DECADE)
        here = float(np.interp(self._column, np.arange(len(values)), amplitude))
        return min(here, 1.0) if here > _FLOOR else 0.0


def _band(hz: float) -> tuple[int, float]:
    """Return the mel band that hears a beep of `hz` best, and its value while the beep lasts."""
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    mel = melspectrogram(np.asarray(BEEP_AMPLITUDE * np.sin(2 * np.pi * hz * t), np.float32))
    column = mel[:, mel.shape[1] // 2]
    row = int(np.argmax(column))
    return row, float(column[row])
