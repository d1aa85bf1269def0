"""The mouth that speaks in past frames: made by a generator, put into the frame, eased to silence and back."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.generator import FaceImage, Generator, Image, Landmarks
from realtime.face.compose import Compositor
from realtime.face.history import History
from realtime.face.pastframe import PastFrame

_CLOSING: Final = 0.5  # of the way to a closed mouth, per frame


class MouthPainter:
    """Make mouths with one generator and paint them into past frames. One thread."""

    def __init__(self, generator: Generator, history: History) -> None:
        """Paint with `generator`; what it computes for a frame of `history` is kept there."""
        self._generator, self._history, self._compositor = generator, history, Compositor()
        hearing = generator.hearing
        self.silence: NDArray[np.float32] = np.repeat(hearing.silence, hearing.columns, 1)
        """The window of silence, float32 (rows, columns)."""

    @property
    def references_wanted(self) -> int:
        """How many references the generator makes use of."""
        return self._generator.references_wanted

    def features(self, frame: PastFrame) -> Any:
        """Return what the generator computes for `frame`, once for each frame."""
        if frame.features is not None:
            return frame.features
        features = self._generator.prepare(FaceImage(frame.image, frame.landmarks))
        self._history.keep_features(frame, features)
        return features

    def paint(self, window: NDArray[np.float32], pose: PastFrame, references: Sequence[Any]) -> tuple[Image, Landmarks]:
        """Return the frame of `pose` with the mouth for `window`, float32 (rows, columns), and its landmarks."""
        patch = self._generator.generate(window, self.features(pose), references)
        return self._compositor.paste(pose.image, patch, pose.landmarks), patch.landmarks


class Mouth:
    """Speak frame after frame: the teeth stay the same, and lips close and open by degrees.

    Attributes:
        points: where the face is in the frame spoken last, (468, 2) px; None before the first.
    """

    def __init__(self, painter: MouthPainter, references: Sequence[PastFrame]) -> None:
        """Speak with what `references` show of the mouth, at least one frame."""
        self.points: Landmarks | None = None
        self._painter = painter
        self._references = [painter.features(frame) for frame in references]
        self._heard: NDArray[np.float32] | None = None
        self._closed = 0.0

    def speak(self, pose: PastFrame, window: NDArray[np.float32] | None, *, speech: bool) -> tuple[Image, Landmarks]:
        """Return the frame of `pose` with the mouth for `window`, float32 (rows, columns), and its landmarks.

        Without window or speech the mouth closes within two frames.
        """
        image, self.points = self._painter.paint(self._eased(window, speech), pose, self._references)
        return image, self.points

    def _eased(self, window: NDArray[np.float32] | None, speech: bool) -> NDArray[np.float32]:
        """Return the window to speak with: eased to silence when there is no speech, and back."""
        talking = speech and window is not None
        self._closed = min(max(self._closed + (-_CLOSING if talking else _CLOSING), 0.0), 1.0)
        silence = self._painter.silence
        if window is not None:
            self._heard = window
        if self._heard is None:
            self._heard = silence
        if self._closed == 0.0:
            return self._heard
        eased = self._heard + np.float32(self._closed) * (silence - self._heard)
        return np.asarray(eased, dtype=np.float32)
