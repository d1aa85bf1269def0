"""First stage of lite: mouth shapes from what the ears hear."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.lite.network import Lite
from models.lite.voice import VoiceNetwork
from train.data.clips import Clip
from train.data.pool import ClipSource
from train.lite.basis import coefficients_of, gap_of_basis
from train.lite.config import VoiceTrainingConfig
from train.lite.curves import draw_curves, measure_curves, read_curves
from train.lite.heard import ClipHearing
from train.lite.lip_gap import hear, measure_speakers
from train.lite.sound import draw_runs
from train.loop.task import Batch, Evaluation, Stateless
from train.losses.motion import correlation_loss

_SAMPLED = 200  # clips that spreads are measured on

GAIN_MOST = 1.8
"""Largest gain: more would open the mouth for noise."""


class VoiceAndCurves(nn.Module):
    """What is trained: the voice, and the layer that tells curves from its hidden numbers, which is dropped."""

    def __init__(self, voice: VoiceNetwork, hidden: int, curves: int) -> None:
        super().__init__()
        self.voice = voice
        self.curves = nn.Linear(hidden, curves)


class VoiceTask(Stateless):
    """Bring the voice of a lite, clips and losses together (a train.loop.task.Task)."""

    def __init__(
        self,
        lite: Lite,
        pool: ClipSource,
        sample: Sequence[Clip],
        held_out: Sequence[Clip],
        config: VoiceTrainingConfig,
        hearing: ClipHearing,
        seed: int = 1,
    ) -> None:
        """Train `lite.voice`, whose basis is set already; spreads are those of `sample`, equal in all processes."""
        self.networks: dict[str, nn.Module] = {
            "model": VoiceAndCurves(lite.voice, lite.config.hidden, len(config.curves.columns))
        }
        self._recordings, self._held_recordings = (read_curves(config.curves, held_out=held) for held in (False, True))
        self._pool, self._held_out, self._config, self._seed = pool, list(held_out), config, seed
        self._hearing = hearing
        self._basis = lite.basis_BV.numpy()
        self._gap_B = torch.from_numpy(gap_of_basis(self._basis))
        self._scale_B = torch.from_numpy(spread_of(sample, self._basis))

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return runs of frames (train.lite.sound.draw_runs)."""
        rng = np.random.default_rng((self._seed, step, rank))
        clips, config = self._pool.at(step), self._config
        batch = draw_runs(clips, self._basis, self._hearing, config.batch, config.frames, config.silent, rng)
        if self._recordings:
            count = max(1, round(config.batch * config.frames * config.curves.share))
            batch["curve_heard"], batch["curves"] = draw_curves(self._recordings, self._hearing, count, rng)
        return batch

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return the weighted sum as "loss", and its parts."""
        weights, truth = self._config.loss, batch["truth"]
        model = nets[name]
        assert isinstance(model, VoiceAndCurves)
        told = model.voice(batch["heard"].flatten(0, 1)).float().reshape(truth.shape)
        parts = mouth_losses(told, truth, self._scale_B.to(truth.device), self._gap_B.to(truth.device))
        if weights.correlation:
            gap = self._gap_B.to(truth.device)
            parts["correlation"] = correlation_loss(truth @ gap, told @ gap)
        loss = torch.stack([getattr(weights, part) * value for part, value in parts.items()]).sum()
        if "curves" in batch:
            curves = model.curves(model.voice.drop(model.voice.hidden(batch["curve_heard"])))
            spread = batch["curves"].std(0).clamp(min=1e-3)
            parts["curves"] = F.smooth_l1_loss(curves / spread, batch["curves"] / spread, beta=0.5)
            loss = loss + self._config.curves.weight * parts["curves"]
        return {"loss": loss, **parts}

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Measure the lip gap of held-out speech (train.lite.lip_gap.measure_speakers)."""
        assert isinstance(average, VoiceAndCurves)
        figures = measure_speakers(average.voice, self._held_out, self._basis, self._hearing)
        if self._held_recordings:
            figures["curve"] = measure_curves(average.voice, average.curves, self._held_recordings, self._hearing)
        return Evaluation(figures)


def mouth_losses(
    told: Tensor, truth: Tensor, scale_B: Tensor, gap_B: Tensor, weight: Tensor | None = None
) -> dict[str, Tensor]:
    """Compare mouths of runs of pictures (train.lite.config.VoiceLoss says what each part is).

    Args:
        told: (N, T, B) coefficients.
        truth: of the same pictures.
        scale_B: (B,) spread of each; small ones count as a tenth of the largest.
        gap_B: (B,) how far each opens the lips.
        weight: (N, T) of each picture; all alike when None.
    """
    weight = torch.ones_like(truth[..., 0]) if weight is None else weight
    both = torch.minimum(weight[:, 1:], weight[:, :-1])
    error = (told - truth) / scale_B.clamp(min=float(scale_B.max()) * 0.1)
    shape = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.5, reduction="none").mean(-1)
    motion = (told.diff(dim=1) - truth.diff(dim=1)).abs().div(scale_B.max() * 0.3).mean(-1)
    return {
        "shape": _mean(shape, weight),
        "opening": _mean(((told - truth) @ gap_B).abs(), weight) * 20.0,
        "motion": _mean(motion, both),
    }


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def spread_of(clips: Sequence[Clip], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviation (B,) of the coefficients inside speech, over some of `clips`."""
    some = list(clips)[:: max(1, len(clips) // _SAMPLED)]
    inside = np.concatenate([coefficients_of(clip, basis)[clip.speech] for clip in some])
    return np.asarray(inside.std(0), dtype=np.float32)


def set_range(voice: VoiceNetwork, clips: Sequence[Clip], hearing: ClipHearing) -> None:
    """Set what the voice takes for the mean and the spread of what is heard, from some of `clips`."""
    mean, scale = hearing.spread(list(clips)[:: max(1, len(clips) // _SAMPLED)])
    voice.mean_R.copy_(torch.from_numpy(mean))
    voice.scale_R.copy_(torch.from_numpy(scale))


def set_gain(lite: Lite, clips: Sequence[Clip], hearing: ClipHearing) -> None:
    """Set the voice's gain to the spread of the truth over that of the prediction, inside speech, 1 to GAIN_MOST.

    Regression opens the mouth too little, by its own correlation with the truth.
    """
    some = list(clips)[:: max(1, len(clips) // _SAMPLED)]
    basis = lite.basis_BV.numpy()
    heard = np.concatenate([hear(lite.voice, clip, hearing)[clip.speech] for clip in some])
    ratio = torch.from_numpy(spread_of(clips, basis) / np.maximum(heard.std(0), 1e-6))
    lite.voice.gain.copy_(ratio.clamp(1.0, GAIN_MOST))
