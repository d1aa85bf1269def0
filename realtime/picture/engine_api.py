"""What the parts of the engine have in common: how it is set, what it says it shows, what it asks about the speech."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Speech(Protocol):
    """Tell about the speech at a media time; `realtime.speech.audio.SpeechPath` is one."""

    def window(self, media_ms: float) -> NDArray[np.float32] | None:
        """Return the model's mel window for the frame at `media_ms`; None while its sound is not here."""

    def complete(self, media_ms: float) -> bool:
        """Say whether all the sound of the window for `media_ms` is here."""

    def speech(self, media_ms: float) -> bool:
        """Say whether lips may move at `media_ms`."""


class Output(Enum):
    """What the engine shows; unlike `VideoState` it speaks of the moment T, not of the moment of arrival."""

    REAL = "real"
    SYNTH = "synth"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Set the picture.

    Attributes:
        fps: frames out per second.
        hand_back_extra_ms: how much longer a hand-back lasts, at most, for a head that is not home at its natural pace.
        frames_first: real frames that must have been shown before the first synthetic one.
        lead_ms: pictures depict a moment so much later (negative: earlier) than the sound stamped alike was said to be
            of, for what codecs add to sound.
        heard_late_ms: sound is heard here so much later than its stamp says: lips follow what is stamped later by that.
        real_ahead_ms: a real frame may leave so long before its moment; None is half an interval.
    """

    fps: float = 25.0
    hand_back_extra_ms: float = 240.0
    frames_first: int = 10
    lead_ms: float = 0.0
    heard_late_ms: float = 0.0
    real_ahead_ms: float | None = None

    @property
    def interval_ms(self) -> float:
        """Return the time between ticks."""
        return 1000.0 / self.fps
