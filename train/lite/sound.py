"""What the voice hears in training: windows of runs of pictures, as they were said and in other rooms."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from train.data.clips import Clip, balanced
from train.lite.basis import coefficients_of
from train.lite.heard import ClipHearing
from train.loop.task import Batch

_OUTSIDE = 0.4  # chance of a picture before and after the speech, against one inside


def draw_runs(
    clips: Sequence[Clip],
    basis: NDArray[np.float32],
    hearing: ClipHearing,
    count: int,
    frames: int,
    silent: float,
    rng: np.random.Generator,
) -> Batch:
    """Draw runs of pictures in a row: "heard" (N, T, rows, columns) and "truth" (N, T, B).

    A speaker's chance grows as the square root of their pictures; a share `silent` of the runs is silence.
    """
    windows, truths = [], []
    for index in rng.choice(len(clips), count, p=balanced(clips)):
        clip = clips[index]
        weight = np.where(clip.speech[frames - 1 :], 1.0, _OUTSIDE)
        first = int(rng.choice(len(weight), p=weight / weight.sum()))
        run = np.arange(first, first + frames)
        windows.append(hearing.windows(clip, run, int(rng.integers(hearing.renditions))))
        truths.append(coefficients_of(clip, basis)[run])
    heard, truth = torch.from_numpy(np.stack(windows)), torch.from_numpy(np.stack(truths).astype(np.float32))
    # Whatever the room sounds like, nobody speaking means a closed mouth.
    quiet = torch.from_numpy(rng.random(count) < silent)
    heard[quiet], truth[quiet] = torch.from_numpy(hearing.hearing.silence), 0.0
    return {"heard": heard, "truth": truth}
