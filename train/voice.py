"""First stage of lite: mouth shapes from mel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.alignment import COLUMN_MS, SILENCE, MelWindow
from models.lite import Voice
from models.lite_contract import GAP, LiteConfig
from train.npz import FPS, Clip
from train.oldloop import LoopConfig, train

Batch = tuple[Tensor, Tensor]

SILENT = 0.04
"""Share of training pairs that are made silence: few corpora hold any that is not a breath."""


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """Hold every frame of some clips as (mel window, coefficients) pairs, frames of a clip in a row."""

    mel: Tensor
    truth: Tensor
    gaps: NDArray[np.float32]
    speech: NDArray[np.bool_]
    chance: Tensor


def frames_of(clips: Sequence[Clip], basis: NDArray[np.float32], config: LiteConfig) -> SpeechFrames:
    """Cut windows and project shapes; a speaker's chance grows as the square root of its frames."""
    mel, truth, gaps, speech, follows, owner = [], [], [], [], [], []
    for clip in clips:
        count = len(clip.shapes)
        mel += [config.window.cut(clip.mel, i * 1000.0 / FPS) for i in range(count)]
        truth.append((clip.shapes - clip.neutral).reshape(count, -1) @ basis.T)
        gaps.append(clip.gaps)
        speech.append(clip.speech)
        follows += [False] + [True] * (count - 1)
        owner += [clip.speaker] * count
    _, index, counts = np.unique(np.array(owner), return_inverse=True, return_counts=True)
    chance = np.sqrt(counts)[index] / counts[index] * np.where(np.concatenate(speech), 1.0, 0.4)
    chance[~np.array(follows)] = 0.0
    return SpeechFrames(
        torch.from_numpy(np.stack(mel)),
        torch.from_numpy(np.concatenate(truth).astype(np.float32)),
        np.concatenate(gaps),
        np.concatenate(speech),
        torch.from_numpy(chance),
    )


def augment(mel_NFT: Tensor, generator: torch.Generator) -> Tensor:
    """Make other voices and rooms: formant shift, loudness, spectral tilt, background noise."""
    batch, bins, _ = mel_NFT.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(batch, 1, 1, generator=generator) * (high - low) + low

    stretch, offset = uniform(0.85, 1.18), uniform(-2.0, 2.0)
    place = (torch.arange(bins)[None, :, None] * stretch + offset).clamp(0, bins - 1)
    low = place.floor().long().expand_as(mel_NFT)
    high = (low + 1).clamp(max=bins - 1)
    mel = mel_NFT.gather(1, low) + (mel_NFT.gather(1, high) - mel_NFT.gather(1, low)) * (place - low)
    tilt = torch.linspace(-1, 1, bins)[None, :, None] * uniform(-0.5, 0.5)
    # 1.6 in mel units is 20 dB: +-16 dB of level, noise 30 to 70 dB below full scale.
    mel = mel + uniform(-1.3, 1.0) + tilt
    noise = uniform(-6.0, -1.5) + 0.25 * torch.randn(mel.shape, generator=generator)
    return torch.maximum(mel, noise).clamp(SILENCE, 4.0)


def batches(frames: SpeechFrames, size: int, seed: int) -> Iterator[Batch]:
    """Draw adjacent pairs of frames for ever: mel (N, 2, 80, T) and truth (N, 2, B), augmented alike within a pair."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        last = torch.multinomial(frames.chance, size, replacement=True, generator=generator)
        pair = torch.stack([last - 1, last], 1)
        mel, truth = frames.mel[pair], frames.truth[pair]
        # Whatever the room sounds like, nobody speaking means a closed mouth.
        silent = torch.rand(size, generator=generator) < SILENT
        mel[silent], truth[silent] = SILENCE, 0.0
        # The two windows side by side get one and the same voice and noise.
        yield augment(torch.cat([mel[:, 0], mel[:, 1]], -1), generator), truth


def gap_of_basis(basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far each coefficient of `basis` (B, 110) opens the inner lips, (B,) in eye distances."""
    upper, lower = GAP
    table = basis.reshape(len(basis), -1, 2)
    return np.asarray(table[:, lower, 1] - table[:, upper, 1])


def train_voice(
    clips: Sequence[Clip],
    basis: NDArray[np.float32],
    lite: LiteConfig,
    checkpoint: Path,
    config: LoopConfig,
    seed: int,
    size: int = 128,
) -> Voice:
    """Train a `Voice` on `clips` and set its gain so that lips open as wide as the speakers' do."""
    frames = frames_of(clips, basis, lite)
    scale = frames.truth[torch.from_numpy(frames.speech)].std(0)
    gap_B = torch.from_numpy(gap_of_basis(basis))

    def loss_of(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        mel, truth = batch
        windows = torch.stack(mel.chunk(2, -1), 1).flatten(0, 1)[:, None]
        said = network(windows).reshape(truth.shape)
        error = (said - truth) / scale.clamp(min=scale.max() * 0.1)
        shape = torch.nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.5)
        opening = ((said - truth) @ gap_B).abs().mean() * 20.0
        motion = ((said[:, 1] - said[:, 0]) - (truth[:, 1] - truth[:, 0])).abs().div(scale.max() * 0.3).mean()
        return {"loss": shape + opening + 0.5 * motion, "shape": shape, "opening": opening, "motion": motion}

    voice = Voice(lite)
    trained = train(voice, batches(frames, size, seed), loss_of, checkpoint, config)
    assert isinstance(trained, Voice)
    set_gain(trained, frames)
    return trained


@torch.no_grad()
def hear(voice: Voice, mel_NFT: Tensor) -> Tensor:
    """Return coefficients (N, B) for many windows (N, 80, T), before the gain."""
    return torch.cat([voice(part[:, None]) for part in torch.split(mel_NFT, 1024)])


def set_gain(voice: Voice, frames: SpeechFrames, most: float = 1.8) -> None:
    """Set the gain to truth's standard deviation over the prediction's, inside speech, between 1 and `most`."""
    inside = torch.from_numpy(frames.speech)
    ratio = frames.truth[inside].std(0) / hear(voice.eval(), frames.mel)[inside].std(0).clamp(min=1e-6)
    voice.gain.copy_(ratio.clamp(1.0, most))


def measure_voice(
    voice: Voice, frames: SpeechFrames, basis: NDArray[np.float32], window: MelWindow
) -> dict[str, float]:
    """Return correlation and ratio of standard deviations of the lip gap inside speech, and the best lag in ms.

    "loudness" is the control: the correlation of a mouth that opens as far as the speech around the frame is loud.

    Truth and prediction are both taken from the basis; frames are compared speaker by speaker where the caller wants
    that by passing one speaker's frames.
    """
    gap_B = gap_of_basis(basis)
    said = (hear(voice.eval(), frames.mel) * voice.gain).numpy() @ gap_B
    real, inside = frames.truth.numpy() @ gap_B, frames.speech
    lags = {lag: _correlation(np.roll(said, lag)[inside], real[inside]) for lag in range(-5, 6)}
    best = max(lags, key=lambda lag: lags[lag])
    now = round(-window.offset_ms / COLUMN_MS)
    loud = frames.mel[:, :, now : now + 4].mean((1, 2)).numpy()
    control = _correlation(loud[inside], real[inside])
    spread = float(said[inside].std() / real[inside].std())
    lag_ms = -best * 1000.0 / FPS
    return {"correlation": lags[0], "loudness": control, "spread": spread, "lag_ms": lag_ms}


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
