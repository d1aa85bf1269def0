"""Decide which clips of a video are kept, and by how much their sound is moved. Pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from models.expert.onnx import REACH
from train.data.clips import FPS
from train.prepare.cache import CandidateClip
from train.prepare.offset import Curve, joined
from train.prepare.settings import Choice

WRONG_PERSON: Final = "not the person of the reference"
NOT_HEARD: Final = "sound and picture do not go together"
ADRIFT: Final = "offset differs from the rest of the video"
MOVED_OUT: Final = "no sound left after it was moved"
SOMEBODY_ELSE: Final = "somebody else in view is kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """A clip that is kept.

    Attributes:
        candidate: which.
        offset: frames by which the picture comes after its sound; the sound is taken from so many frames earlier.
        offset_ms: the same in ms; None when no expert listened.
        confidence: of the offset; None likewise.
    """

    candidate: CandidateClip
    offset: int = 0
    offset_ms: float | None = None
    confidence: float | None = None

    def within(self, sound_frames: int) -> tuple[int, int]:
        """Return (first, end) of its frames in the video that still have sound when that is moved."""
        first, end = self.candidate.first, self.candidate.first + self.candidate.frames
        return max(first, self.offset), min(end, sound_frames + self.offset)


def choose(
    candidates: Sequence[CandidateClip],
    choice: Choice,
    curves: Mapping[str, Curve] | None = None,
    likeness: Mapping[str, float] | None = None,
) -> tuple[list[Kept], Counter[str]]:
    """Return the clips to keep, in order, and how many frames of clips are left out, by reason.

    Args:
        candidates: all clips of one video.
        choice: the limits.
        curves: what the expert heard in each; without them the largest face is kept and no sound is moved.
        likeness: of each to the reference face; None keeps anybody.
    """
    lost: Counter[str] = Counter()
    right = [one for one in candidates if likeness is None or likeness[one.key] >= choice.likeness]
    lost[WRONG_PERSON] += sum(one.frames for one in candidates) - sum(one.frames for one in right)
    kept: list[Kept] = []
    for _, part in groupby(sorted(right, key=lambda one: one.part), key=lambda one: one.part):
        members = list(part)
        rated = [(one.eyes, Kept(one)) for one in members] if curves is None else _heard(members, choice, curves, lost)
        kept += _apart(rated, lost)
    return sorted(kept, key=lambda one: one.candidate.first), +lost


def fitting(kept: Sequence[Kept], sound_frames: int, shortest: int) -> tuple[list[Kept], Counter[str]]:
    """Return those that keep `shortest` frames with sound when their sound is moved, and the frames lost, by reason."""
    lost: Counter[str] = Counter()
    fit = []
    for one in kept:
        first, end = one.within(sound_frames)
        long_enough = end - first >= shortest
        fit += [one] if long_enough else []
        lost[MOVED_OUT] += one.candidate.frames - (max(end - first, 0) if long_enough else 0)
    return fit, +lost


def _heard(
    part: Sequence[CandidateClip], choice: Choice, curves: Mapping[str, Curve], lost: Counter[str]
) -> list[tuple[float, Kept]]:
    """Find the offset of a part of a video; return how surely each clip goes with its sound, and the clip."""
    sure = {one.key: curves[one.key].confidence(curves[one.key].offset) for one in part}
    # Those who listen would blur the offset of the one who speaks.
    speaking = _apart([(sure[one.key], Kept(one)) for one in part], Counter())
    whole = joined([curves[one.candidate.key] for one in speaking])
    offset, confidence = whole.offset, whole.confidence(whole.offset)
    if confidence < choice.least_confidence or abs(offset) == REACH:
        lost[NOT_HEARD] += sum(one.frames for one in part)
        return []
    mended = offset if abs(offset) > choice.tolerance else 0
    heard = []
    for one in part:
        own = curves[one.key].confidence(offset, choice.tolerance)
        if own >= choice.least_confidence / 2:
            heard.append((own, Kept(one, mended, mended * 1000.0 / FPS, round(own, 4))))
        else:
            lost[ADRIFT if sure[one.key] >= choice.least_confidence else NOT_HEARD] += one.frames
    return heard


def _apart(rated: Sequence[tuple[float, Kept]], lost: Counter[str]) -> list[Kept]:
    """Return the best rated clips, so that no two show the same moment."""
    kept: list[Kept] = []
    for _, one in sorted(rated, key=lambda pair: (-pair[0], pair[1].candidate.key)):
        if any(_overlap(one.candidate, other.candidate) for other in kept):
            lost[SOMEBODY_ELSE] += one.candidate.frames
        else:
            kept.append(one)
    return kept


def _overlap(one: CandidateClip, other: CandidateClip) -> bool:
    return one.first < other.first + other.frames and other.first < one.first + one.frames
