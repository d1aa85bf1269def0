"""What a configuration of the near-voice network's training says."""

from pydantic import Field

from models.near.network import FRONT, HIDDEN
from train.config import Config, DataConfig
from train.loop.trainer import LoopConfig


class NearNetworkConfig(Config):
    """What is trained (models.near.network.NearNet).

    Attributes:
        hidden: numbers that are remembered.
        front: features of a column.
    """

    hidden: int = Field(default=HIDDEN, ge=8)
    front: int = Field(default=FRONT, ge=8)


class VoicesConfig(Config):
    """Whose speech is mixed besides that of the shards.

    Attributes:
        synthetic: voices of espeak-ng; 0 needs none installed.
        sentences: of each.
        filmed: how much likelier than a synthetic voice a speaker of the shards is drawn; 0 leaves the shards out.
    """

    synthetic: int = Field(default=54, ge=0)
    sentences: int = Field(default=10, ge=1)
    filmed: float = Field(default=1.0, ge=0)


class MixesConfig(Config):
    """What is mixed (train.near.mixes).

    Attributes:
        count: mixes that batches are drawn from, made once.
        held_out: of these, kept for evaluation.
        seconds: of each.
        nobody: share without a caller.
        clean: share with nothing under the caller.
        noise: share with noise under them.
        music: share with music; what is left has other voices, 1 to 12.
        echo: chance that the others are heard through a room.
    """

    count: int = Field(default=1200, ge=8)
    held_out: int = Field(default=48, ge=1)
    seconds: float = Field(default=12.0, ge=2)
    nobody: float = Field(default=0.15, ge=0, le=1)
    clean: float = Field(default=0.1, ge=0, le=1)
    noise: float = Field(default=0.08, ge=0, le=1)
    music: float = Field(default=0.12, ge=0, le=1)
    echo: float = Field(default=0.5, ge=0, le=1)


class NearTraining(Config):
    """Description of a run: data, voices, mixes, network, mixes in a batch, and loop."""

    data: DataConfig = DataConfig()
    voices: VoicesConfig = VoicesConfig()
    mixes: MixesConfig = MixesConfig()
    network: NearNetworkConfig = NearNetworkConfig()
    batch: int = Field(default=24, ge=1)
    loop: LoopConfig = LoopConfig()
