"""What a configuration of the expert's training says."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from models.expert.contract import ExpertConfig
from train.config import Config, DataConfig
from train.loop.trainer import LoopConfig

Kind = Literal["hard", "near", "same", "speaker", "other"]


class NetworkConfig(Config):
    """What is trained (models.expert.contract.ExpertConfig).

    Attributes:
        frames: 1, 3 or 5 frames of one judgement.
        width: factor of the published network's channels.
        region: left, top, right, bottom of what is seen of an aligned crop, shares of its size.
        start: expert whose weights training begins with, of the same sizes; none means from scratch.
    """

    frames: int = 5
    width: float = 0.25
    region: tuple[float, float, float, float] = ExpertConfig().region
    start: Path | None = None

    @property
    def expert(self) -> ExpertConfig:
        """The network's own config; raises ValueError for what it cannot be."""
        return ExpertConfig(self.frames, self.width, self.region)

    @field_validator("frames")
    @classmethod
    def _known(cls, frames: int) -> int:
        return ExpertConfig(frames).frames


class Negatives(Config):
    """Weigh the kinds of pairs that do not belong together; 0 leaves a kind out.

    Attributes:
        hard: same clip, 1 or 2 frames apart: less than the ear tells apart.
        near: same clip, 3 or 4 frames apart.
        same: same clip, 5 frames or more apart.
        speaker: other clips of the same speaker.
        other: other speakers.
    """

    hard: float = Field(default=0.0, ge=0)
    near: float = Field(default=1.0, ge=0)
    same: float = Field(default=1.0, ge=0)
    speaker: float = Field(default=1.0, ge=0)
    other: float = Field(default=0.5, ge=0)


class PairsConfig(Config):
    """Which windows meet in a batch and what they teach.

    Every mouth of a batch meets every sound of it: one pair is in sync, the others are negatives.

    Attributes:
        clips: clips of a batch.
        windows: moments drawn from each of them; half of them lie within `within` frames of another.
        within: distance of such neighbours, frames.
        silent: chance that a drawn moment of silence is kept: closed mouths are alike, and teach little.
        negatives: weights of the kinds of negatives.
        contrast: weight of the multi-way loss (which of all sounds belongs to this mouth?) beside BCE; 0 is the
            published recipe.
        temperature: factor of the cosines in it.
        shapes: weight of telling the mouth's measures from either embedding, which shows both encoders early what to
            look and listen for; 0 is the published recipe.
    """

    clips: int = Field(default=16, ge=2)
    windows: int = Field(default=4, ge=2)
    within: int = Field(default=8, ge=1)
    silent: float = Field(default=0.3, ge=0, le=1)
    negatives: Negatives = Negatives()
    contrast: float = Field(default=0.5, ge=0)
    temperature: float = Field(default=16.0, gt=0)
    shapes: float = Field(default=0.5, ge=0)


class AugmentConfig(Config):
    """How windows are varied; every frame of a window alike.

    Attributes:
        scale: standard deviation of the crop's scale.
        shift: standard deviation of its place, as a share of the crop.
        turn: standard deviation of its angle, degrees.
        mirror: chance of a mirrored face.
        light: strength of changes of gamma, brightness and colour, 0 (none) to 1.
        sound: chance of another voice, level and background noise (train.data.augment.augment_mel).
    """

    scale: float = Field(default=0.02, ge=0, le=0.3)
    shift: float = Field(default=0.004, ge=0, le=0.2)
    turn: float = Field(default=1.0, ge=0, le=30)
    mirror: float = Field(default=0.5, ge=0, le=1)
    light: float = Field(default=0.5, ge=0, le=1)
    sound: float = Field(default=0.3, ge=0, le=1)


class ExpertTraining(Config):
    """Description of a run: data, network, pairs, augmentation and loop; the split's role "judge" is trained on."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    pairs: PairsConfig = PairsConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()
