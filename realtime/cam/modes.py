"""The modes of a local call: what it shows and which voice is heard. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Mode(Enum):
    """What is shown; the person may change it at any moment."""

    THROUGH = "through"
    """The camera as it is; made frames only while it gives none."""
    PHOTO = "photo"
    """A photo, or a clip of oneself, that speaks with the microphone."""
    DUB = "dub"
    """The camera, with lips that speak another sound."""
    AWAY = "away"
    """The last seconds again and again, the mouth closed, nothing heard."""


class Voice(Enum):
    """Which sound is heard and moves the lips."""

    MICROPHONE = "microphone"
    DUB = "dub"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ModeRule:
    """The rule of a mode.

    Attributes:
        voice: the sound that is heard.
        made: whether frames are synthetic even while the camera gives pictures.
    """

    voice: Voice
    made: bool


RULES: Final = {
    Mode.THROUGH: ModeRule(Voice.MICROPHONE, made=False),
    Mode.PHOTO: ModeRule(Voice.MICROPHONE, made=True),
    Mode.DUB: ModeRule(Voice.DUB, made=True),
    Mode.AWAY: ModeRule(Voice.NONE, made=True),
}
