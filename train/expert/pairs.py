"""Batches of the expert's trainer: windows of several clips, and how the sound of each relates to the mouth of each."""

from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from models.expert.contract import ExpertConfig, cut_sound
from train.data.augment import augment_mel
from train.data.clips import Clip, balanced
from train.expert.config import AugmentConfig, Kind, PairsConfig
from train.expert.windows import draw_view, look, measures
from train.loop.task import Batch

IN_SYNC: Final = 0
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Kinds of negatives; their codes in a batch are 1, 2, ... in this order."""

SILENT: Final = 1 + len(KINDS)
"""Code of two silent moments: closed mouths fit each other's silence, so the pair teaches nothing."""

_TRIES: Final = 50


def draw_batch(
    clips: Sequence[Clip], expert: ExpertConfig, pairs: PairsConfig, varied: AugmentConfig, rng: np.random.Generator
) -> Batch:
    """Draw windows of some clips.

    Returns:
        With N = clips x windows: face (N, 3 frames, 48, 96) uint8; mel (N, 1, 80, columns); kinds (N, N) int64, how
        the sound of column j relates to the mouth of row i: IN_SYNC, 1 + index in KINDS, or SILENT; measures
        (N, 3 frames) of the mouths (train.expert.windows.measures).

    Raises:
        ValueError: no clip is as long as a window.
    """
    usable = [clip for clip in clips if len(clip) >= expert.frames]
    if not usable:
        raise ValueError(f"no clip has {expert.frames} frames: prepare longer videos")
    chosen = _choose(usable, pairs.clips, rng)
    faces, sounds, told, places, silent = [], [], [], [], []
    for number, clip in enumerate(chosen):
        starts = draw_starts(clip, expert.frames, pairs, rng)
        known = measures(clip)
        for start in starts:
            shown = slice(start, start + expert.frames)
            faces.append(look(clip.crops[shown], draw_view(expert, varied, clip.crops.shape[1], rng)))
            told.append(known[shown].reshape(-1))
            silent.append(not clip.speech[shown].any())
        sounds.append(cut_sound(clip.mel, starts, expert))
        places += [(number, start) for start in starts]
    where = np.array(places)
    people = np.unique([clip.speaker for clip in chosen], return_inverse=True)[1][where[:, 0]]
    return {
        "face": torch.from_numpy(np.stack(faces)),
        "mel": _vary_sound(np.concatenate(sounds), varied, rng),
        "kinds": torch.from_numpy(relate(where, people, np.array(silent))),
        "measures": torch.from_numpy(np.stack(told)),
    }


def _choose(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    # A clip twice would meet its own moments as another clip's.
    picked = rng.choice(len(clips), min(count, len(clips)), replace=False, p=balanced(clips))
    return [clips[index] for index in picked]


def draw_starts(clip: Clip, frames: int, pairs: PairsConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the first frames of `pairs.windows` windows; they are different ones where the clip is long enough."""
    last = len(clip) - frames
    starts: list[int] = []
    for tried in range(_TRIES * pairs.windows):
        if len(starts) == pairs.windows:
            break
        near = bool(starts) and len(starts) % 2 == 1
        start = starts[-1] + int(rng.integers(-pairs.within, pairs.within + 1)) if near else int(rng.integers(last + 1))
        heard = clip.speech[max(start, 0) : start + frames].any() or rng.random() < pairs.silent
        if 0 <= start <= last and ((start not in starts and heard) or tried >= (_TRIES - 1) * pairs.windows):
            starts.append(start)
    starts += [int(start) for start in rng.integers(last + 1, size=pairs.windows - len(starts))]
    return np.array(starts)


def relate(places: NDArray[np.int64], people: NDArray[np.int64], silent: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the code of every pair of windows, (N, N).

    Args:
        places: (N, 2) clip and first frame of each window.
        people: (N,) who is seen.
        silent: (N,) whether nothing is said in the window.
    """
    clip, start = places.T
    apart = np.abs(start[:, None] - start[None])
    within = np.select([apart >= 5, apart >= 3], [_code("same"), _code("near")], _code("hard"))
    across = np.where(people[:, None] == people[None], _code("speaker"), _code("other"))
    codes = np.where(clip[:, None] == clip[None], within, across)
    codes[silent[:, None] & silent[None]] = SILENT
    # The same moment drawn twice is in sync with itself, but once is enough.
    codes[(clip[:, None] == clip[None]) & (apart == 0)] = SILENT
    np.fill_diagonal(codes, np.where(silent, SILENT, IN_SYNC))
    return np.asarray(codes, dtype=np.int64)


def _code(kind: Kind) -> int:
    return 1 + KINDS.index(kind)


def _vary_sound(mel: NDArray[np.float32], varied: AugmentConfig, rng: np.random.Generator) -> torch.Tensor:
    heard = torch.from_numpy(mel)
    other = augment_mel(heard[:, 0], torch.Generator().manual_seed(int(rng.integers(2**62))))[:, None]
    chosen = torch.from_numpy(rng.random(len(mel)) < varied.sound)
    return torch.where(chosen[:, None, None, None], other, heard)
