"""The sync loss of lite's pictures: a frozen expert sees the made mouth in its face and hears the window's sound."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.expert.network import SyncNet, see
from models.lite.contract import LiteConfig
from train.data.clips import FPS, Clip
from train.loop.task import Batch
from train.losses.frozen import SyncLoss


class SyncJudge:
    """The expert of a run, with windows as it takes them."""

    def __init__(self, expert: SyncNet, lite: LiteConfig) -> None:
        """Take an expert; windows must have as many frames as it judges."""
        self.frames, self.window = expert.config.frames, expert.config.window
        self._expert, self._lite = expert.config, lite
        self._loss = SyncLoss(expert)

    def hear(self, clips: Sequence[Clip], batch: Batch) -> Batch:
        """Return "mel" (N, 1, 80, columns) of the batch's windows and "speech" (N,), whether all of it is speech."""
        mels, inside = [], []
        for index, first in zip(batch["index"].tolist(), batch["first"].tolist(), strict=True):
            clip = clips[index]
            mels.append(self.window.cut(clip.mel, first * 1000.0 / FPS))
            inside.append(bool(clip.speech[first : first + self.frames].all()))
        return {"mel": torch.from_numpy(np.stack(mels))[:, None], "speech": torch.tensor(inside)}

    def __call__(self, made_NT3HW: Tensor, batch: Batch) -> Tensor:
        """Return the loss of made mouth regions, pasted into the real crops of the window."""
        left, top, right, bottom = self._lite.region
        faces = batch["targets"].clone()
        faces[..., top:bottom, left:right] = made_NT3HW
        loss: Tensor = self._loss(batch["mel"], see(faces, self._expert), batch["speech"])
        return loss
