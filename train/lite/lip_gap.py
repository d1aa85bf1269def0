"""How well a voice hears: the lip gap that it predicts against the real one, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.alignment import MelWindow
from models.lite.voice import VoiceNetwork
from train.data.clips import FPS, Clip
from train.lite.basis import coefficients_of, gap_of_basis
from train.lite.heard import ClipHearing

_NOW = MelWindow(4, 0.0)  # the sound of the frame itself and a little more
_REACH = 5  # frames that a lag is looked for


@dataclass(frozen=True, slots=True)
class LipGap:
    """What was measured inside speech.

    Attributes:
        correlation: of the predicted lip gap with the real one.
        loudness: the control: of a mouth that opens as far as the speech around the frame is loud.
        spread: standard deviation of the predicted gap over that of the real one.
        lag_ms: delay of the prediction at which it correlates best; positive is late.
    """

    correlation: float
    loudness: float
    spread: float
    lag_ms: float


@torch.no_grad()
def hear(voice: VoiceNetwork, clip: Clip, hearing: ClipHearing) -> NDArray[np.float32]:
    """Return the coefficients (T, B) of a clip's pictures, before the gain. The voice must be in evaluation mode."""
    heard = torch.from_numpy(hearing.windows(clip, np.arange(len(clip))))
    device = next(voice.parameters()).device
    return np.asarray(voice(heard.to(device)).cpu().numpy(), dtype=np.float32)


def measure(voice: VoiceNetwork, clips: Sequence[Clip], basis: NDArray[np.float32], hearing: ClipHearing) -> LipGap:
    """Compare predicted and real lip gaps over all frames inside speech of `clips` (one speaker's, for a fair r).

    Truth and prediction are both taken from the basis.
    """
    gap_B = gap_of_basis(basis)
    columns: list[tuple[NDArray[Any], ...]] = []
    for clip in clips:
        said = (hear(voice, clip, hearing) * voice.gain.cpu().numpy()) @ gap_B
        loud = np.array([_NOW.cut(clip.mel, at * 1000.0 / FPS).mean() for at in range(len(clip))])
        columns.append((said, coefficients_of(clip, basis) @ gap_B, loud, clip.speech))
    said, real, loud, inside = (np.concatenate(column) for column in zip(*columns, strict=True))
    lags = {lag: correlation(np.roll(said, -lag)[inside], real[inside]) for lag in range(-_REACH, _REACH + 1)}
    best = max(lags, key=lambda lag: lags[lag])
    spread = float(said[inside].std() / max(float(real[inside].std()), 1e-9))
    return LipGap(lags[0], correlation(loud[inside], real[inside]), spread, best * 1000.0 / FPS)


def measure_speakers(
    voice: VoiceNetwork, clips: Sequence[Clip], basis: NDArray[np.float32], hearing: ClipHearing
) -> dict[str, float]:
    """Return the medians over speakers of what `measure` says of each; nothing when there are no clips."""
    if not clips:
        return {}
    speakers = sorted({clip.speaker for clip in clips})
    each = [measure(voice, [clip for clip in clips if clip.speaker == who], basis, hearing) for who in speakers]
    return {
        name: float(np.median([getattr(one, name) for one in each]))
        for name in ("correlation", "loudness", "spread", "lag_ms")
    }


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return Pearson's correlation; 0 when one of them does not move."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
