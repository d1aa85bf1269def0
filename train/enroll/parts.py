"""Part one person's recording in time: stretches to learn from, to choose by, and to report on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from train.data.clips import FPS, Clip
from train.data.shards import FRAME_SAMPLES
from train.enroll.config import PartsConfig

Part = Literal["learn", "choose", "held"]

_SNAP_S: Final = 2.0
"""A stretch grows to the end of a clip that is as near: a sentence is not cut for less."""


@dataclass(frozen=True, eq=False)
class Stretch(Clip):
    """Some frames of a clip; the closed mouth is that of the whole clip.

    Attributes:
        rest: (55, 2) the clip's neutral shape.
    """

    rest: NDArray[np.float32]

    @cached_property
    def neutral(self) -> NDArray[np.float32]:
        """(55, 2) shape with the mouth closed, in the clip that it was cut from."""
        return self.rest


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces of a recording; no frame is in two of them.

    Attributes:
        learn: what is trained on.
        choose: what the best weights are chosen by.
        held: what the report is measured on.
    """

    learn: tuple[Clip, ...]
    choose: tuple[Clip, ...]
    held: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Give the same clips at every step (a train.data.pool.ClipSource)."""

    clips: Sequence[Clip]

    def at(self, step: int) -> Sequence[Clip]:
        """Return the clips."""
        return self.clips


def seconds_of(clips: Sequence[Clip]) -> float:
    """Return the length of `clips` in s."""
    return sum(len(clip) for clip in clips) / FPS


def part(clips: Sequence[Clip], config: PartsConfig) -> Parts:
    """Part `clips`, in the order they were filmed, into contiguous stretches.

    In each cycle come: learn, held, learn, choose. So held and choose never touch, and both lie all over the recording.
    """
    lengths = [len(clip) for clip in clips]
    roles = _grown(planned(sum(lengths), config), lengths)
    found: dict[Part, list[Clip]] = {"learn": [], "choose": [], "held": []}
    begin = 0
    for clip in clips:
        for name, first, end in _runs(roles[begin : begin + len(clip)], config):
            found[name].append(cut(clip, first, end))
        begin += len(clip)
    return Parts(tuple(found["learn"]), tuple(found["choose"]), tuple(found["held"]))


def planned(frames: int, config: PartsConfig) -> list[Part]:
    """Return what each of `frames` frames is for, before clips are looked at."""
    cycles = max(1, int(frames / (config.cycle_s * FPS)))
    roles: list[Part] = []
    for number in range(cycles):
        length = frames * (number + 1) // cycles - frames * number // cycles
        held = min(round(max(config.held * length, config.held_s * FPS)), length)
        choose = min(round(max(config.choose * length, config.choose_s * FPS)), length - held)
        learn = length - held - choose
        before = learn // 2
        order: list[tuple[Part, int]] = [
            ("learn", before), ("held", held), ("learn", learn - before), ("choose", choose)
        ]  # fmt: skip
        roles += [name for name, count in order for _ in range(count)]
    return roles


def cut(clip: Clip, first: int, end: int) -> Clip:
    """Return the frames `first` to `end` (exclusive) of a clip with their sound; the clip itself when that is all."""
    if (first, end) == (0, len(clip)):
        return clip
    sound = slice(first * FRAME_SAMPLES, end * FRAME_SAMPLES)
    frames = slice(first, end)
    key = f"{clip.key}-{first}"
    crops, landmarks, samples = clip.crops[frames], clip.landmarks[frames], clip.samples[sound]
    return Stretch(key, clip.speaker, clip.source, crops, landmarks, samples, clip.neutral, mesh=clip.mesh)


def _grown(roles: list[Part], lengths: Sequence[int]) -> list[Part]:
    """Let what is not learned from grow to ends of clips nearby."""
    grown, begin, near = list(roles), 0, round(_SNAP_S * FPS)
    for length in lengths:
        end = begin + length
        for place in range(begin, end):
            if roles[place] != "learn" and place - begin <= near and set(roles[begin:place]) == {"learn"}:
                grown[begin:place] = [roles[place]] * (place - begin)
            if roles[place] != "learn" and end - 1 - place <= near and set(roles[place + 1 : end]) == {"learn"}:
                grown[place + 1 : end] = [roles[place]] * (end - 1 - place)
        begin = end
    return grown


def _runs(roles: Sequence[Part], config: PartsConfig) -> Iterator[tuple[Part, int, int]]:
    """Yield (part, first, end) of the stretches of one clip, with a gap on the side that is learned from."""
    guard, shortest = round(config.guard_s * FPS), round(config.shortest_s * FPS)
    edges = [0, *(i for i in range(1, len(roles)) if roles[i] != roles[i - 1]), len(roles)]
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        name, begin, stop = roles[first], first, end
        if name == "learn":
            begin += guard if first > 0 else 0
            stop -= guard if end < len(roles) else 0
        if stop - begin >= shortest:
            yield name, begin, stop
