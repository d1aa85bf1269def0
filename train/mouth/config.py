"""What a configuration of the joint training of ears and voice says."""

from pathlib import Path
from typing import Final

from pydantic import Field

from train.config import Config, DataConfig
from train.ears.config import SpoiltConfig
from train.lite.config import ModelConfig, VoiceTrainingConfig
from train.loop.trainer import LoopConfig

_VOICE: Final = VoiceTrainingConfig(
    loop=LoopConfig(steps=800, learning_rate=1e-3, warmup=100, weight_decay=1e-2, ema=0.99), batch=64, frames=4
)


class MouthTraining(Config):
    """Description of a run.

    Attributes:
        ears: the configuration of a run of `lipline train ears` that is complete.
        ears_run: its folder: what was learned there, and the speech that it was learned from.
        data: which clips are used.
        model: sizes of the voice: those of the lite generator that it is for.
        most: clips at most.
        labellers: voices on the teacher's hearing, whose mean labels all speech.
        voice: how these, and the first voice on the ears, are trained.
        spoilt: what happens to the sound of clips.
        batch: stretches of speech a step and process.
        clips: clips a step and process.
        frames: of a clip, 20 ms each; an even number.
        labelled: weight of the loss on labels; the teacher's weighs 1.
        filmed: weight of the loss on clips.
        cut: chance that a stretch falls silent at once.
        loop: steps and optimiser.
    """

    ears: Path
    ears_run: Path
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    most: int = Field(default=800, ge=2)
    labellers: int = Field(default=3, ge=1)
    voice: VoiceTrainingConfig = _VOICE
    spoilt: SpoiltConfig = SpoiltConfig(renditions=4, voice=1.3)
    batch: int = Field(default=14, ge=1)
    clips: int = Field(default=10, ge=1)
    frames: int = Field(default=150, ge=20, multiple_of=2)
    labelled: float = Field(default=0.5, ge=0)
    filmed: float = Field(default=0.35, ge=0)
    cut: float = Field(default=0.15, ge=0, le=1)
    loop: LoopConfig = LoopConfig(steps=2400, learning_rate=2.5e-4, warmup=100, weight_decay=1e-2, ema=0.995)
