"""What a configuration of lite's training says."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from models.lite.contract import LiteConfig
from train.config import Config, DataConfig
from train.ears.config import SpoiltConfig
from train.loop.trainer import LoopConfig

_DEFAULT: Final = LiteConfig()


class ModelConfig(Config):
    """Sizes of the generator; meanings and defaults are those of models.lite.contract.LiteConfig."""

    sources: int = Field(default=_DEFAULT.sources, ge=2)
    coefficients: int = Field(default=_DEFAULT.coefficients, ge=1)
    columns: int = Field(default=_DEFAULT.columns, ge=2)
    hidden: int = Field(default=_DEFAULT.hidden, ge=4)
    lookahead_ms: float = Field(default=_DEFAULT.lookahead_ms, ge=-200.0, le=400.0)
    width: int = Field(default=_DEFAULT.width, ge=4)
    features: int = Field(default=_DEFAULT.features, ge=4)

    @property
    def lite(self) -> LiteConfig:
        """The generator's own form of these entries."""
        return LiteConfig(**self.model_dump())


class VoiceLoss(Config):
    """Weigh the losses of the voice.

    Attributes:
        shape: smooth L1 of the coefficients, each in units of its spread.
        opening: L1 of the lip gap.
        motion: L1 of the coefficients' change from frame to frame.
        correlation: 1 - correlation of how the gap moves, over a run of frames (train.losses.motion).
    """

    shape: float = Field(default=1.0, ge=0)
    opening: float = Field(default=1.0, ge=0)
    motion: float = Field(default=0.5, ge=0)
    correlation: float = Field(default=0.0, ge=0)


class CurvesConfig(Config):
    """Describe speech with curves of a face and no pictures (train.lite.curves).

    Attributes:
        folder: of NAME.flac and NAME.npy; None: there are none.
        fps: curves a second.
        columns: curves that are told; the first is what the evaluation shows.
        held_out: names that are measured on and not learned from.
        share: windows of curves, as a part of those of pictures.
        weight: of their loss.
    """

    folder: Path | None = None
    fps: float = Field(default=30.0, gt=0)
    columns: tuple[int, ...] = (0,)
    held_out: tuple[str, ...] = ()
    share: float = Field(default=0.25, gt=0, le=1)
    weight: float = Field(default=0.5, ge=0)


class VoiceTrainingConfig(Config):
    """Description of the first stage.

    Attributes:
        start: a voice that was trained along with the ears (NAME.voice.pt of `lipline train mouth`) to go on from; with
            "voice" not among the stages it is taken as it is.
        loop: steps and optimiser.
        batch: runs of frames a step and process.
        frames: frames in a row of a run, at least 2; the correlation loss needs more.
        silent: share of runs that are made silence with a closed mouth: few corpora hold any that is not a breath.
        share: of a time budget.
        spoilt: what happens to the sound on its way to the ears.
        curves: speech with curves, learned beside.
        loss: weights.
    """

    start: Path | None = None
    loop: LoopConfig = LoopConfig(steps=4000)
    batch: int = Field(default=128, ge=1)
    frames: int = Field(default=2, ge=2)
    silent: float = Field(default=0.04, ge=0, lt=1)
    share: float = Field(default=0.35, gt=0, lt=1)
    spoilt: SpoiltConfig = SpoiltConfig(renditions=3)
    curves: CurvesConfig = CurvesConfig()
    loss: VoiceLoss = VoiceLoss()


class PictureLoss(Config):
    """Weigh the losses of the pictures; those at 0 are not computed.

    Attributes:
        pixels: L1, greatest on and between the lips.
        edges: L1 of the gradients; keeps it sharp.
        sharpness: log ratio of the detail's energy.
        structure: multi-scale SSIM, the perceptual loss.
        quality: passing as real with the patch discriminator.
        temporal: L1 of changes from frame to frame; needs `frames` of at least 2.
        sync: the frozen expert's, switched on when `sync_after` of the steps are done; needs an expert and as many
            frames as it judges.
        sync_after: share of the steps.
        smooth: total variation of the learned flow.
        paint: size of the residual.
        choice: entropy of the weights, so that sources are chosen rather than averaged.
        stay: weight taken from the pose frame away from the lips, so that skin does not flicker between sources.
    """

    pixels: float = Field(default=1.0, ge=0)
    edges: float = Field(default=1.0, ge=0)
    sharpness: float = Field(default=0.0, ge=0)
    structure: float = Field(default=0.0, ge=0)
    quality: float = Field(default=0.0, ge=0)
    temporal: float = Field(default=0.0, ge=0)
    sync: float = Field(default=0.0, ge=0)
    sync_after: float = Field(default=0.6, ge=0, le=1)
    smooth: float = Field(default=0.01, ge=0)
    paint: float = Field(default=0.05, ge=0)
    choice: float = Field(default=0.01, ge=0)
    stay: float = Field(default=0.03, ge=0)


class PictureConfig(Config):
    """Description of the second stage.

    Attributes:
        loop: steps and optimiser.
        batch: windows a step and process.
        frames: target frames in a row of a window.
        apart: least frames between a target and any of its sources: nearer ones would hold the answer.
        expert: ONNX file of the expert of the sync loss; none is the bundled one.
        loss: weights.
    """

    loop: LoopConfig = LoopConfig(steps=6000)
    batch: int = Field(default=16, ge=1)
    frames: int = Field(default=1, ge=1)
    apart: int = Field(default=4, ge=1)
    expert: Path | None = None
    loss: PictureLoss = PictureLoss()


class LiteTraining(Config):
    """Description of a run.

    Attributes:
        start: a lite file to go on from instead of random weights; it fixes the model.
        ears: a file of `lipline train ears`; None takes the ears of `start`, or of the bundled generator.
        data: clips.
        model: sizes.
        voice: the first stage.
        picture: the second stage.
        stages: which of both are run, in this order.
        held_out: clips of an evaluation at most.
    """

    start: Path | None = None
    ears: Path | None = None
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    voice: VoiceTrainingConfig = VoiceTrainingConfig()
    picture: PictureConfig = PictureConfig()
    stages: tuple[Literal["voice", "picture"], ...] = ("voice", "picture")
    held_out: int = Field(default=80, ge=1)
