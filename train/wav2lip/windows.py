"""Windows of five frames as Wav2Lip's generator learns from them, cut out of aligned clips."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.alignment import WAV2LIP_WINDOW
from models.expert.contract import FRAME_MS, ExpertConfig, cut_sound
from models.landmarks import Matrix, box_matrix
from models.wav2lip.onnx import SIZE
from train.data.clips import Clip, balanced
from train.loop.task import Batch

FRAMES: Final = 5
"""Frames of a window."""

FEWEST: Final = 16
"""Frames that a clip must have, as in the public code."""


def draw_windows(clips: Sequence[Clip], count: int, expert: ExpertConfig, rng: np.random.Generator) -> Batch:
    """Draw `count` windows, each with a reference window of the same clip that does not overlap it.

    Returns:
        mel (N, 5, 1, 80, 16); face (N, 6, 5, 96, 96) uint8, target with its lower half black, then reference; truth
        (N, 3, 5, 96, 96) uint8; crops (N, 5, 3, S, S) uint8, the aligned crops of the target; boxes (N, 2, 3) float32
        from crop px to box px; sound (N, W, 1, 80, columns) and speech (N, W) bool of the expert's W windows in it.
        Pictures are BGR.

    Raises:
        ValueError: no clip is long enough.
    """
    usable = [clip for clip in clips if last_start(clip) >= 1]
    if not usable:
        raise ValueError(f"no clip has {FEWEST} frames with their sound: prepare longer videos")
    chosen = rng.choice(len(usable), count, p=balanced(usable))
    parts = [_draw_window(usable[index], expert, rng) for index in chosen]
    return {key: torch.from_numpy(np.stack([part[key] for part in parts])) for key in parts[0]}


def last_start(clip: Clip) -> int:
    """Return the last frame a target window may begin at so that all it is told of is in the clip; below 1 is none.

    Windows begin at frame 1: the mel of frame 0 would begin before the clip.
    """
    if len(clip) < FEWEST:
        return 0
    columns = clip.mel.shape[1] - WAV2LIP_WINDOW.columns
    heard = sum(1 for frame in range(1, len(clip)) if WAV2LIP_WINDOW.start(frame * FRAME_MS) <= columns)
    return min(len(clip), 1 + heard) - FRAMES


def pick_starts(clip: Clip, rng: np.random.Generator) -> tuple[int, int]:
    """Return the first frames of a target and of a reference window that share no frame."""
    target = int(rng.integers(1, last_start(clip) + 1))
    starts = np.arange(len(clip) - FRAMES + 1)
    return target, int(rng.choice(starts[np.abs(starts - target) >= FRAMES]))


def window_box(clip: Clip, reference: int) -> Matrix:
    """Return the one box of a sample: that of the mean landmarks of its reference window, (2, 3) crop px to box px.

    Not of the target: a box ends at the chin, so its height tells how far the jaw is open (r 0.82 with the lip gap on
    GRID speaker 1), and a network reads the answer off the upper half's scale. At run time that half comes from a pose
    frame that says something else. In an aligned clip the reference's box fits the target too, apart from what the jaw
    does, which is what the network must learn. One box for five frames leaves no jitter.
    """
    return box_matrix(clip.landmarks[reference : reference + FRAMES].mean(axis=0), SIZE)


def cut_box(crops: NDArray[np.uint8], box: Matrix) -> NDArray[np.uint8]:
    """Cut a box out of crops (T, S, S, 3) as `models.wav2lip.onnx` does at run time: (3, T, 96, 96) uint8.

    No box reaches out of its crop on GRID, CREMA-D and rendered heads at 128 px (left 11, top 0.5, right 116, bottom
    124 at most); where one does, the crop's rim goes on.
    """
    cut = [
        cv2.warpAffine(crop, box, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for crop in crops
    ]
    return np.ascontiguousarray(np.asarray(cut, dtype=np.uint8).transpose(3, 0, 1, 2))


def _draw_window(clip: Clip, expert: ExpertConfig, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    target, reference = pick_starts(clip, rng)
    box = window_box(clip, reference)
    crops = clip.crops[target : target + FRAMES]
    truth = cut_box(crops, box)
    masked = truth.copy()
    masked[:, :, SIZE // 2 :] = 0
    judged = np.arange(target, target + FRAMES - expert.frames + 1)
    said = [clip.speech[start : start + expert.frames].any() for start in judged]
    frames = range(target, target + FRAMES)
    return {
        "mel": np.stack([WAV2LIP_WINDOW.cut(clip.mel, frame * FRAME_MS) for frame in frames])[:, None],
        "face": np.concatenate([masked, cut_box(clip.crops[reference : reference + FRAMES], box)]),
        "truth": truth,
        "crops": np.ascontiguousarray(crops.transpose(0, 3, 1, 2)),
        "boxes": box.astype(np.float32),
        "sound": cut_sound(clip.mel, judged, expert),
        "speech": np.array(said),
    }
