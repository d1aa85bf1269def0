"""What a configuration of Wav2Lip's training says."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from train.config import Config, DataConfig
from train.loop.trainer import LoopConfig


class ExpertFile(Config):
    """Who judges lip-sync.

    Attributes:
        file: the expert's weights: a public SyncNet checkpoint, or the checkpoint of `lipline train expert`.
        sees: "crop" gives the expert the aligned crop with the made box pasted into it, which is what `lipline train
            expert` trains on, so that one expert serves every generator; "box" gives it the lower half of the face
            box, which is what the public expert was trained on.
    """

    file: Path
    sees: Literal["crop", "box"] = "crop"


class LossConfig(Config):
    """Weigh the losses; what is left of 1 is the weight of L1.

    Attributes:
        sync: weight of the expert's loss once it is switched on.
        sync_below: held-out sync loss under which it is, for good; before, its weight is 0.
        quality: weight of passing as real with the quality discriminator; 0 trains without one.
    """

    sync: float = Field(default=0.01, ge=0, lt=1)
    sync_below: float = Field(default=0.75, ge=0)
    quality: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _leave_room(self) -> "LossConfig":
        if self.sync + self.quality >= 1.0:
            raise ValueError("sync and quality together leave nothing for L1: keep their sum below 1")
        return self


class Wav2LipTraining(Config):
    """Description of a run.

    Attributes:
        expert: who judges.
        data: clips.
        loss: weights.
        loop: steps and optimiser.
        batch: windows of five frames a step and process.
        width: factor of the generator's channels; 1 is the stock network, key for key.
        held_out: windows of held-out clips in an evaluation.
    """

    expert: ExpertFile
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    loop: LoopConfig = LoopConfig()
    batch: int = Field(default=16, ge=1)
    width: float = Field(default=1.0, gt=0, le=2)
    held_out: int = Field(default=160, ge=1)
