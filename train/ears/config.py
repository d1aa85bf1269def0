"""What a configuration of the hearing network's training says."""

from pathlib import Path

from pydantic import Field

from models.ears.contract import EarsConfig
from train.config import Config
from train.loop.trainer import LoopConfig

_DEFAULT = EarsConfig()


class EarsModelConfig(Config):
    """Sizes of the network; meanings and defaults are those of models.ears.contract.EarsConfig."""

    layers: int = Field(default=_DEFAULT.layers, ge=1)
    past: int = Field(default=_DEFAULT.past, ge=5)


class SpeechConfig(Config):
    """Whose speech is heard.

    Attributes:
        folders: of recordings, videos too, with sub-folders; nothing else is needed of them.
        leave_out: beginnings of file names that are not used.
        test: share of the files, by a hash of their names, that nothing is learned from (train.data.clips.Split).
        piece_s: length of a piece, in s.
        most_min: minutes taken of one folder at most, so that no voice outweighs the others.
        held_out: pieces of an evaluation at most, from the files that were left out of training by `test`.
    """

    folders: tuple[Path, ...] = ()
    leave_out: tuple[str, ...] = ()
    test: float = Field(default=0.06, gt=0, lt=1)
    piece_s: float = Field(default=6.0, ge=2, le=28)
    most_min: float = Field(default=20.0, gt=0)
    held_out: int = Field(default=48, ge=1)


class SpoiltConfig(Config):
    """What happens to speech on its way to the ears, each a chance.

    Attributes:
        renditions: voices that each piece is spoken in: itself, then others by pitch and formants together.
        voice: largest change of pitch and formants, a factor.
        room: reverberation.
        microphone: other frequency response.
        noise: noise, music or other voices, at `snr_db`.
        snr_db: least and largest ratio of speech to noise.
        codec: Opus at 12 to 24 kbit/s, with lost packets.
        lost: largest share of lost packets.
        gain_db: largest change of level, either way.
    """

    renditions: int = Field(default=1, ge=1)
    voice: float = Field(default=1.25, ge=1, lt=2)
    room: float = Field(default=0.4, ge=0, le=1)
    microphone: float = Field(default=0.5, ge=0, le=1)
    noise: float = Field(default=0.6, ge=0, le=1)
    snr_db: tuple[float, float] = (0.0, 30.0)
    codec: float = Field(default=0.4, ge=0, le=1)
    lost: float = Field(default=0.1, ge=0, le=0.5)
    gain_db: float = Field(default=14.0, ge=0)


class EarsTraining(Config):
    """Description of a run.

    Attributes:
        teacher: Whisper's tiny.en.pt, or an .npz of its encoder's arrays.
        speech: what is heard.
        spoilt: what is done to it.
        model: sizes of the student; it starts from the teacher's weights.
        batch: stretches a step and process.
        frames: of a stretch, 20 ms each.
        settle: first frames of a stretch, cut out of speech, that are not judged.
        delays: frames after which the student says what the teacher heard; each has a linear map of its own.
        loop: steps and optimiser.
    """

    teacher: Path
    speech: SpeechConfig = SpeechConfig()
    spoilt: SpoiltConfig = SpoiltConfig()
    model: EarsModelConfig = EarsModelConfig()
    batch: int = Field(default=24, ge=1)
    frames: int = Field(default=200, ge=20)
    settle: int = Field(default=25, ge=0)
    delays: tuple[int, ...] = (0, 2, 4)
    loop: LoopConfig = LoopConfig(steps=4000, learning_rate=5e-4, ema=0.998)
