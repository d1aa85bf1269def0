"""Videos of one person to clips: prepared on this machine; refused when they are too little or of several people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.data.clips import Clip, Split
from train.data.pool import Pool
from train.data.shards import ShardError
from train.enroll.parts import Parts, seconds_of
from train.prepare.choice import SOMEBODY_ELSE
from train.prepare.corpus import find_videos
from train.prepare.reference import describe, likeness
from train.prepare.report import PreparationReport
from train.prepare.run import Preparation, prepare
from train.prepare.settings import Choice, Settings

WHO: Final = "person"
"""Name of the speaker in the shards: whose name it is matters to nobody."""

_STRANGE: Final = 0.1  # share of the recording that may show somebody else before it is refused
_UNLIKE: Final = 0.7  # likeness below which two clips show two people (docs/design/data.md, "Limits")


class FootageError(ValueError):
    """Why a recording cannot be learned from, and what to record."""


def read_person(
    videos: Sequence[Path],
    folder: Path,
    size: int,
    workers: int,
    expert: Path | None = None,
    reference: NDArray[np.float16] | None = None,
) -> list[Clip]:
    """Prepare `videos` into `folder` and return their clips in order.

    Args:
        videos: files, or folders that hold some.
        folder: takes crops and speech; the caller removes it.
        size: side of the crops, px.
        workers: processes.
        expert: finds the offset of sound and picture; None takes them as recorded.
        reference: descriptor of the person; None is whoever is alone.

    Raises:
        FootageError: nobody can be seen speaking, or several people without a reference.
        CorpusError: a file is missing.
    """
    found, _ = find_videos(videos, WHO)
    report = PreparationReport({}, videos=len(found))
    plan = Preparation(
        folder / "shards", folder / "cache", Settings(size=size), Choice(), min(workers, len(found)), expert, reference
    )
    prepare(found, plan, report)
    try:
        clips = list(Pool([plan.out], Split("clip", 0.0), ["train"]).at(0))
    except ShardError as error:
        raise FootageError(f"no speech of a visible face is in the video{_lost(report)}") from error
    if reference is None:
        _refuse_several(clips, report)
    return clips


def refuse_little(clips: Sequence[Clip], least_s: float) -> None:
    """Raise FootageError when `clips` are shorter than `least_s` seconds."""
    seconds = seconds_of(clips)
    if seconds < least_s:
        raise FootageError(
            f"only {seconds:.0f} s of usable speech: at least {least_s:.0f} s are needed, one to three minutes are "
            "good; speak on, in light, the face towards the camera"
        )


def refuse_gaps(parts: Parts) -> None:
    """Raise FootageError when a part of the recording has no clip that is long enough."""
    if not (parts.learn and parts.choose and parts.held):
        raise FootageError("the usable speech is cut too small: film a minute in one go, the face towards the camera")


def strangers(clips: Sequence[Clip]) -> float:
    """Return the share of frames whose clip does not look like the clip that looks most like all of them."""
    seen = [describe(clip.crops) for clip in clips]
    alike = np.array([[likeness(one, other) for other in seen] for one in seen])
    frames = np.array([len(clip) for clip in clips], dtype=np.float64)
    middle = int(np.argmax(alike @ frames))
    return float(frames[alike[middle] < _UNLIKE].sum() / frames.sum())


def _refuse_several(clips: Sequence[Clip], report: PreparationReport) -> None:
    beside = report.to_json()["left_out"].get(SOMEBODY_ELSE, {"minutes": 0.0})["minutes"]
    if beside > _STRANGE * report.minutes or strangers(clips) > _STRANGE:
        raise FootageError("several people are in view: film one alone, or say who is meant with --reference FACE.jpg")


def _lost(report: PreparationReport) -> str:
    reasons = list(report.to_json()["left_out"])[:3]
    return f" ({'; '.join(reasons)}): film one face towards the camera, speaking, with sound" if reasons else ""
