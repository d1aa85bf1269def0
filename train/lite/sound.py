"""What the voice hears in training: mel windows of runs of frames, in other voices and rooms."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.alignment import SILENCE, MelWindow
from train.data.augment import augment_mel
from train.data.clips import FPS, Clip, balanced
from train.lite.basis import coefficients_of
from train.loop.task import Batch

_OUTSIDE = 0.4  # chance of a frame before and after the speech, against one inside


def windows_of(clip: Clip, frames: NDArray[np.int64], window: MelWindow) -> NDArray[np.float32]:
    """Return the mel windows (n, 80, columns) of some frames of a clip."""
    return np.stack([window.cut(clip.mel, float(frame) * 1000.0 / FPS) for frame in frames])


def draw_runs(
    clips: Sequence[Clip],
    basis: NDArray[np.float32],
    window: MelWindow,
    count: int,
    frames: int,
    silent: float,
    rng: np.random.Generator,
) -> Batch:
    """Draw runs of frames in a row: "mel" (N, T, 80, columns), augmented, and "truth" (N, T, B).

    A speaker's chance grows as the square root of their frames; a share `silent` of the runs is silence.
    """
    mels, truths = [], []
    for index in rng.choice(len(clips), count, p=balanced(clips)):
        clip = clips[index]
        weight = np.where(clip.speech[frames - 1 :], 1.0, _OUTSIDE)
        first = int(rng.choice(len(weight), p=weight / weight.sum()))
        run = np.arange(first, first + frames)
        mels.append(windows_of(clip, run, window))
        truths.append(coefficients_of(clip, basis)[run])
    mel, truth = torch.from_numpy(np.stack(mels)), torch.from_numpy(np.stack(truths).astype(np.float32))
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    # Whatever the room sounds like, nobody speaking means a closed mouth.
    quiet = torch.rand(count, generator=generator) < silent
    mel[quiet], truth[quiet] = SILENCE, 0.0
    # The windows of a run side by side get one and the same voice and noise.
    joined = augment_mel(torch.cat(list(mel.unbind(1)), -1), generator)
    return {"mel": torch.stack(joined.chunk(frames, -1), 1), "truth": truth}
