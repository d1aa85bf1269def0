"""Bring a lite generator to one person: first its voice, then its pictures."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from models.lite.network import Lite
from train.enroll.config import EnrolConfig
from train.enroll.parts import Fixed, Parts
from train.enroll.tune import Tuned, tune
from train.lite.heard import ClipHearing
from train.lite.picture import PictureTask
from train.lite.voice import VoiceAndCurves, VoiceTask, set_gain

Report = Callable[[str], None]

_LEAST_S: Final = 1.0  # of time for a stage, so that a spent budget gives a short one and no division by nothing


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A personal generator and what each stage came to."""

    lite: Lite
    voice: Tuned
    picture: Tuned


def enrol(
    lite: Lite,
    hearing: ClipHearing,
    parts: Parts,
    config: EnrolConfig,
    report: Report,
    *,
    ends_at: float | None = None,
    seed: int = 1,
) -> Enrolled:
    """Return a copy of `lite` that was fine-tuned on `parts.learn` and chosen by `parts.choose`.

    Args:
        lite: where to start; stays as it is.
        hearing: with its ears.
        parts: of one person; `held` is not looked at.
        config: how.
        report: takes a line of progress.
        ends_at: monotonic time when it must be done, s; None: the steps alone say when, and every run is the same.
        seed: of the order of data and dropout.
    """
    own = copy.deepcopy(lite).eval()
    learn = Fixed(parts.learn)
    voice_task = VoiceTask(own, learn, parts.learn, parts.choose, config.voice, hearing, seed)
    voice = tune(
        voice_task,
        config.voice.loop,
        config.voice_stage,
        _hears,
        budget_s=_budget_s(ends_at, config.voice_stage.share),
        seed=seed,
        show=_shown("voice", "correlation", 1.0, report),
    )
    assert isinstance(voice.network, VoiceAndCurves)
    own.voice.load_state_dict(voice.network.voice.state_dict())
    if voice.step:
        # Of what was not learned from: the network knows that by heart, and would seem to open the mouth enough.
        set_gain(own.cpu().eval(), parts.choose, hearing)
    picture = tune(
        PictureTask(own.painter, learn, parts.choose, config.picture, seed=seed),
        config.picture.loop,
        config.picture_stage,
        _draws,
        budget_s=_budget_s(ends_at, config.picture_stage.share),
        seed=seed,
        show=_shown("pictures", "error on the lips", -1.0, report),
    )
    own.painter.load_state_dict(picture.network.state_dict())
    return Enrolled(own.cpu().eval(), voice, picture)


def _budget_s(ends_at: float | None, share: float) -> float | None:
    return None if ends_at is None else max(ends_at - time.monotonic(), _LEAST_S) * share


def _hears(figures: Mapping[str, float]) -> float:
    return figures["correlation"]


def _draws(figures: Mapping[str, float]) -> float:
    return -figures["lips L1"]


def _shown(stage: str, what: str, sign: float, report: Report) -> Callable[[float, float, float], None]:
    def show(share: float, now: float, best: float) -> None:
        report(f"{stage}: {min(share, 1.0):4.0%}  {what} {sign * now:.4f}, best {sign * best:.4f}")

    return show
