"""Off-sync accuracy of an expert: how often it tells a mouth's own sound from another moment's.

Accuracy is balanced as in Wav2Lip's thesis: pairs in sync and pairs off sync count half each. Pairs are anchored at
windows inside speech; a closed mouth fits every silence, which is why "silence too" lies below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.expert.contract import cut_sound, lower_faces, stack_frames
from models.expert.network import SyncNet
from train.data.clips import Clip

DISTANCES: Final = {
    "1 frame": (1, 1),
    "2 frames": (2, 2),
    "3 frames": (3, 3),
    "4 frames": (4, 4),
    "5 to 7": (5, 7),
    "8 to 15": (8, 15),
    "over 15": (16, 10**6),
}
"""Rows of the table: how far the other sound of the same clip lies from the mouth's own, frames."""

FAR: Final = "5 or more"
"""The row that the thesis' figure is compared with."""

OTHER: Final = "other clip"
SILENCE_TOO: Final = "5 or more, silence too"
HALF: Final = 0.5

Embed = Callable[[Clip], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Return the unit embeddings of a clip's mouths and sounds, (W, E) each."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What an expert thinks of one clip.

    Attributes:
        own: (W, W) cosine of the mouth of window i with the sound of window j.
        other: (W, V) cosine with the sounds of another clip; None when there is none.
        speech: (W,) bool, windows whose middle lies inside speech.
    """

    own: NDArray[np.float32]
    other: NDArray[np.float32] | None
    speech: NDArray[np.bool_]

    def in_sync(self, silence: bool = False) -> NDArray[np.float32]:
        """Return the cosines of the pairs that belong together."""
        return self.own.diagonal() if silence else self.own.diagonal()[self.speech]

    def off_sync(self, low: int, high: int, silence: bool = False) -> NDArray[np.float32]:
        """Return the cosines of pairs `low` to `high` frames apart."""
        index = np.arange(len(self.own))
        apart = np.abs(index[:, None] - index[None])
        rows = np.full(len(self.own), True) if silence else self.speech
        return np.asarray(self.own[(apart >= low) & (apart <= high) & rows[:, None]])


def judge_clips(embed: Embed, clips: Sequence[Clip], frames: int) -> list[Judged]:
    """Compare all mouths of each clip with all its sounds, and with the next clip's; `frames` is the expert's."""
    usable = [clip for clip in clips if len(clip) >= frames]
    embedded = [embed(clip) for clip in usable]
    judged = []
    for number, (clip, (video, audio)) in enumerate(zip(usable, embedded, strict=True)):
        stranger = embedded[(number + 1) % len(embedded)][1] if len(embedded) > 1 else None
        middle = np.arange(len(video)) + frames // 2
        other = None if stranger is None else video @ stranger.T
        judged.append(Judged(video @ audio.T, other, clip.speech[middle]))
    return judged


def accuracy(in_sync: NDArray[np.float32], off_sync: NDArray[np.float32], threshold: float) -> float:
    """Return the share of pairs told right, half of it for each side; NaN where a side has no pairs."""
    if not in_sync.size or not off_sync.size:
        return float("nan")
    return 0.5 * (float(np.mean(in_sync > threshold)) + float(np.mean(off_sync <= threshold)))


def best_threshold(judged: Sequence[Judged]) -> float:
    """Return the threshold in 0.01..0.99 with the best accuracy on pairs 5 frames apart or more."""
    together, apart = _join([j.in_sync() for j in judged]), _join([j.off_sync(5, 10**6) for j in judged])
    steps = np.arange(1, 100) / 100.0
    return float(steps[int(np.argmax([accuracy(together, apart, float(step)) for step in steps]))])


def accuracies(judged: Sequence[Judged], threshold: float) -> dict[str, float]:
    """Return off-sync accuracy by the distance of the other sound (DISTANCES, FAR, OTHER, SILENCE_TOO)."""
    together = _join([j.in_sync() for j in judged])
    rows = {
        name: accuracy(together, _join([j.off_sync(low, high) for j in judged]), threshold)
        for name, (low, high) in DISTANCES.items()
    }
    rows[FAR] = accuracy(together, _join([j.off_sync(5, 10**6) for j in judged]), threshold)
    strangers = [j.other[j.speech] for j in judged if j.other is not None]
    rows[OTHER] = accuracy(together, _join(strangers), threshold)
    rows[SILENCE_TOO] = accuracy(
        _join([j.in_sync(silence=True) for j in judged]),
        _join([j.off_sync(5, 10**6, silence=True) for j in judged]),
        threshold,
    )
    return rows


def torch_embed(network: SyncNet) -> Embed:
    """Return what embeds a clip with a network in evaluation mode, on the device it is on."""
    device = next(network.parameters()).device

    @torch.no_grad()
    def embed(clip: Clip) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        config = network.config
        starts = np.arange(len(clip) - config.frames + 1)
        mel = torch.from_numpy(cut_sound(clip.mel, starts, config))
        face = torch.from_numpy(stack_frames(lower_faces(clip.crops, config), starts, config.frames))
        audio, video = network(mel.to(device), face.to(device))
        return video.cpu().numpy(), audio.cpu().numpy()

    return embed


def _join(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0, dtype=np.float32)
