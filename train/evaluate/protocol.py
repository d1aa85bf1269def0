"""What is shown for a pair: the real video, the generator's, and the controls that any figure must be read against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator
from train.data.clips import Clip
from train.data.shards import FRAME_SAMPLES
from train.evaluate.talker import Gallery, SpokenFrame, Talker

REAL: Final = "real video"
FROZEN: Final = "frozen face"
LOUDNESS: Final = "loudness alone"
OTHER: Final = ", other speech"
"""Ending of the row of a generator that hears the wrong speech."""

_COLUMNS_PER_FRAME: Final = 3.2
_LOUD_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class Scene:
    """The clips of a pair: the one whose speech is spoken, whose frames are shown, whose sound is wrong."""

    speech: Clip
    pose: Clip
    other: Clip


@dataclass(frozen=True, slots=True)
class Setting:
    """Fix how pictures are rebuilt.

    Attributes:
        away: frames between a rebuilt frame and anything it may be made from, at least.
        targets: frames of a clip that are rebuilt, at most; evenly spaced.
    """

    away: int = 4
    targets: int = 15


def moments(scene: Scene, away: int) -> list[tuple[range, range]]:
    """Return which frames of the speech are spoken over which frames of the pose clip.

    All over all for two clips; for one clip each half over the other, `away` frames off at least.
    """
    count = len(scene.speech)
    if scene.speech.key != scene.pose.key:
        return [(range(count), range(len(scene.pose)))]
    middle = count // 2
    return [(range(middle), range(middle + away, count)), (range(middle, count), range(middle - away))]


def spoken_over(scene: Scene, generators: Mapping[str, Generator], setting: Setting) -> dict[str, SpokenFrame]:
    """Show the speech of a pair over the pose clip: real, controls, and each generator with right and wrong speech."""
    parts = moments(scene, setting.away)
    shown = {
        REAL: SpokenFrame(scene.speech.crops, np.arange(len(scene.speech))),
        FROZEN: _chosen(scene.pose, [parts[0][1][-1]] * len(scene.speech)),
        LOUDNESS: _chosen(scene.pose, _by_loudness(scene, parts)),
    }
    gallery = Gallery(scene.pose)
    speech = scene.speech.samples, wrong_speech(scene)
    for name, generator in generators.items():
        talker = Talker(generator, gallery)
        for row, samples in zip((name, name + OTHER), speech, strict=True):
            heard = talker.hear(samples)
            shown[row] = _joined([talker.talk(heard, frames, sources) for frames, sources in parts])
    return shown


def rebuilt(
    scene: Scene, generators: Mapping[str, Generator], setting: Setting
) -> tuple[NDArray[np.int64], dict[str, SpokenFrame]]:
    """Show single frames of the speech clip, made from frames of it `away` or more off; return which, and them.

    The pose is the frame `away` before, so that the head is nearly where it was while the mouth has moved on.
    """
    clip, away = scene.speech, setting.away
    count = len(clip)
    frames = np.unique(np.linspace(0, count - 1, min(setting.targets, count)).round().astype(int))
    poses = [int(frame - away if frame >= away else frame + away) for frame in frames]
    ranks = _ranks(clip.gaps)
    louds = _ranks(loudness(clip.mel, range(count)))
    shown = {
        REAL: _chosen(clip, frames),
        FROZEN: _chosen(clip, poses),
        LOUDNESS: _chosen(clip, [_nearest(ranks, louds[frame], int(frame), away) for frame in frames]),
    }
    gallery = Gallery(clip)
    speech = clip.samples, wrong_speech(scene)
    for name, generator in generators.items():
        talker = Talker(generator, gallery)
        for row, samples in zip((name, name + OTHER), speech, strict=True):
            shown[row] = talker.rebuild(talker.hear(samples), [int(frame) for frame in frames], poses, away)
    return frames, shown


def silenced(scene: Scene, generator: Generator, after: int, count: int, away: int = 4) -> SpokenFrame:
    """Speak up to frame `after` of the speech, then digital silence; show `count` frames from `after` on.

    Frame `after` is the last with sound.
    """
    samples = scene.speech.samples.copy()
    samples[(after + 1) * FRAME_SAMPLES :] = 0
    samples = np.pad(samples, (0, count * FRAME_SAMPLES))
    sources = next(sources for frames, sources in moments(scene, away) if after in frames)
    talker = Talker(generator, Gallery(scene.pose))
    return talker.talk(talker.hear(samples), range(after, after + count), sources)


def wrong_speech(scene: Scene) -> NDArray[np.int16]:
    """Return the sound of the `other` clip, as long as the right one; a clip's own is shifted by half its length."""
    samples, wanted = scene.other.samples, len(scene.speech.samples)
    if scene.other.key == scene.speech.key:
        return np.roll(samples, wanted // 2)
    return np.resize(samples, wanted)


def loudness(mel: NDArray[np.float32], frames: Sequence[int]) -> NDArray[np.float64]:
    """Return how loud the sound of each frame is: the mean over its 40 ms of mel (80, M)."""
    starts = [round(frame * _COLUMNS_PER_FRAME) for frame in frames]
    last = mel.shape[1] - 1
    return np.array([mel[:, min(start, last) : start + _LOUD_COLUMNS].mean() for start in starts], dtype=np.float64)


def _by_loudness(scene: Scene, parts: Sequence[tuple[range, range]]) -> list[int]:
    """Return for each frame of the speech the pose frame whose mouth ranks in opening as the sound does in loudness."""
    chosen: list[int] = []
    for frames, sources in parts:
        order = np.argsort(scene.pose.gaps[sources.start : sources.stop], kind="stable")
        places = _ranks(loudness(scene.speech.mel, frames)) * (len(order) - 1)
        chosen += [sources[int(order[round(float(place))])] for place in places]
    return chosen


def _ranks(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, 0 for the smallest to 1 for the largest."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.linspace(0.0, 1.0, len(values))
    return ranks


def _nearest(ranks: NDArray[np.float64], wanted: float, frame: int, away: int) -> int:
    cost = np.abs(ranks - wanted)
    cost[max(0, frame - away + 1) : frame + away] = np.inf
    return int(np.argmin(cost))


def _chosen(clip: Clip, frames: Sequence[int] | NDArray[np.int64]) -> SpokenFrame:
    indices = np.asarray(frames, dtype=np.int64)
    return SpokenFrame(clip.crops[indices], indices)


def _joined(parts: Sequence[SpokenFrame]) -> SpokenFrame:
    planned = [part.planned for part in parts if part.planned is not None]
    return SpokenFrame(
        np.concatenate([part.crops for part in parts]),
        np.concatenate([part.poses for part in parts]),
        np.concatenate(planned) if len(planned) == len(parts) else None,
    )
