"""Speech with curves of a face in place of pictures: a second thing for the voice to tell from what is heard.

Curves are weights of blend shapes that were solved from somebody's face. They share no points with the basis of lite,
so a layer of their own tells them from the voice's hidden numbers; it is dropped after training. What remains is that
those numbers know another mouth, voice and language.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.lite.voice import VoiceNetwork
from models.mel import SAMPLE_RATE
from realtime.media_file import read_audio
from train.lite.config import CurvesConfig
from train.lite.heard import ClipHearing

_FLOOR_DB = 20.0  # below the loud moments of a recording: what is quieter is no speech


@dataclass(frozen=True, slots=True, eq=False)
class CurveRecording:
    """Speech and its curves.

    Attributes:
        key: unique among recordings and clips.
        samples: (n,) int16 mono at 16 kHz.
        curves: (T, C) float32, `fps` of them a second.
        fps: curves a second.
    """

    key: str
    samples: NDArray[np.int16]
    curves: NDArray[np.float32]
    fps: float

    def times(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when curves are shown, in ms."""
        return np.asarray(indices * (1000.0 / self.fps), np.float64)

    @property
    def speech(self) -> NDArray[np.bool_]:
        """(T,) curves at which somebody is heard."""
        step = round(SAMPLE_RATE / self.fps)
        padded = np.pad(self.samples.astype(np.float32), (0, len(self.curves) * step))[: len(self.curves) * step]
        level = 10.0 * np.log10(np.square(padded.reshape(-1, step)).mean(1) + 1.0)
        return np.asarray(level > np.percentile(level, 95) - _FLOOR_DB)


def read_curves(config: CurvesConfig, *, held_out: bool) -> list[CurveRecording]:
    """Read the recordings to learn from, or those held out: NAME.flac with NAME.npy (T, all curves) beside it.

    Raises:
        ValueError: the folder holds no such pair, or a file has fewer curves than `columns` names.
    """
    if config.folder is None:
        return []
    found = []
    for path in sorted(config.folder.glob("*.npy")):
        if (path.stem in config.held_out) != held_out:
            continue
        curves = np.load(path, allow_pickle=False).astype(np.float32)
        if curves.ndim != 2 or curves.shape[1] <= max(config.columns):
            raise ValueError(
                f"{path.name} is {curves.shape}: give (frames, curves) with more than {max(config.columns)}"
            )
        sound = read_audio(path.with_suffix(".flac"), SAMPLE_RATE)
        samples = np.clip(sound * 32767.0, -32768, 32767).astype(np.int16)
        count = min(len(curves), round(len(samples) / SAMPLE_RATE * config.fps))
        found.append(CurveRecording(f"curves-{path.stem}", samples, curves[:count, list(config.columns)], config.fps))
    if not found and not held_out:
        raise ValueError(f"there are no recordings with curves in {config.folder}: NAME.flac and NAME.npy")
    return found


def draw_curves(
    recordings: Sequence[CurveRecording], hearing: ClipHearing, count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw moments: windows (N, rows, columns) and curves (N, C)."""
    lengths = np.array([len(one.curves) for one in recordings], dtype=np.float64)
    windows, curves = [], []
    for index in rng.choice(len(recordings), count, p=lengths / lengths.sum()):
        one = recordings[index]
        at = np.array([rng.integers(len(one.curves))])
        windows.append(
            hearing.windows_at(one.key, one.samples, one.times(at), int(rng.integers(hearing.renditions)))[0]
        )
        curves.append(one.curves[at[0]])
    return torch.from_numpy(np.stack(windows)), torch.from_numpy(np.stack(curves))


@torch.no_grad()
def measure_curves(
    voice: VoiceNetwork, layer: torch.nn.Linear, recordings: Sequence[CurveRecording], hearing: ClipHearing
) -> float:
    """Return the correlation inside speech of the first curve that is told with the true one, mean over recordings."""
    found = []
    for one in recordings:
        windows = hearing.windows_at(one.key, one.samples, one.times(np.arange(len(one.curves))))
        told = layer(voice.hidden(torch.from_numpy(windows)))[:, 0].numpy()
        inside = one.speech
        found.append(float(np.corrcoef(told[inside], one.curves[inside, 0])[0, 1]))
    return float(np.mean(found))
