"""What a configuration of an enrolment says; train/configs/enroll.toml holds the defaults."""

from pydantic import Field

from train.config import Config
from train.lite.config import PictureConfig, PictureLoss, VoiceTrainingConfig
from train.loop.trainer import LoopConfig


class PartsConfig(Config):
    """How a recording is parted in time (train.enroll.parts).

    Attributes:
        held: share that the report is measured on, and nothing else.
        choose: share by which the best weights are chosen.
        held_s: least length of a stretch that is held out, s.
        choose_s: least length of a stretch to choose by, s.
        cycle_s: a stretch of each kind is taken from so much of the recording, s.
        guard_s: is thrown away where training borders on one of them, s; longer than a mel window.
        shortest_s: what is left of a clip is not used when it is shorter, s.
    """

    held: float = Field(default=0.2, gt=0, lt=0.5)
    choose: float = Field(default=0.12, gt=0, lt=0.4)
    held_s: float = Field(default=5.0, gt=0)
    choose_s: float = Field(default=3.0, gt=0)
    cycle_s: float = Field(default=25.0, gt=0)
    guard_s: float = Field(default=0.4, ge=0)
    shortest_s: float = Field(default=1.0, gt=0)


class StageConfig(Config):
    """How far one of both networks may go from where it starts.

    Attributes:
        stay: weight of the squared distance from the start's weights.
        enough: evaluations in a row without a better one after which the stage ends.
        share: of the time that is left when the stage begins.
    """

    stay: float = Field(default=0.0, ge=0)
    enough: int = Field(default=4, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)


class EnrolConfig(Config):
    """Description of an enrolment.

    Attributes:
        least_s: usable speech below which nothing is learned, s.
        gain: by how much the correlation on held-out speech must rise.
        worse: by what share the error of the pictures may rise.
        parts: parting of the recording.
        voice, picture: the trainer's own entries (train.lite.config); `voice.share` is not used.
        voice_stage, picture_stage: how far each may go.
    """

    least_s: float = Field(default=20.0, gt=0)
    gain: float = Field(default=0.01, ge=0)
    worse: float = Field(default=0.02, ge=0)
    parts: PartsConfig = PartsConfig()
    voice: VoiceTrainingConfig = VoiceTrainingConfig(
        loop=LoopConfig(steps=400, learning_rate=3e-4, warmup=20, ema=0.98, evaluate_every=20), batch=32, silent=0.06
    )
    picture: PictureConfig = PictureConfig(
        loop=LoopConfig(steps=200, learning_rate=2e-4, warmup=20, ema=0.98, evaluate_every=25),
        batch=6,
        loss=PictureLoss(sharpness=0.05),
    )
    voice_stage: StageConfig = StageConfig(stay=0.01, enough=6, share=0.6)
    picture_stage: StageConfig = StageConfig(stay=0.01, enough=3)
