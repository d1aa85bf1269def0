"""Teach ears and a voice on them together: to imitate the teacher, and what mouths do (train.mouth.lessons)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.ears.contract import AFTER, BEFORE, FRAME_MS, newest_frame
from models.ears.logmel import FLOOR
from models.ears.whisper import WhisperEncoder
from models.lite.contract import LiteConfig
from models.lite.voice import VoiceNetwork
from train.data.clips import Clip, balanced
from train.ears.config import EarsTraining
from train.ears.heard import Lessons
from train.ears.task import EarsStudent, EarsTask, stretched
from train.lite.basis import gap_of_basis
from train.lite.voice import mouth_losses
from train.loop.task import Batch, Evaluation, Stateless
from train.mouth.config import MouthTraining
from train.mouth.lessons import PICTURE_FRAMES, Filmed

_REGRESSED: Final = 0.6  # spread of labels against that of filmed mouths, for the scale of their loss
_MOTION: Final = 0.3
_ALONE: Final = 0.04  # share of the steps in which the voice gets used to the ears before it teaches them
_JOINED: Final = 0.12  # share after which it teaches them in full
_FOLLOW: Final = 0.05
_CLOSING: Final = 2.0  # pictures in which a mouth closes when the sound is cut


class MouthStudent(EarsStudent):
    """Ears that imitate the teacher, and the voice that reads them."""

    def __init__(self, teacher: WhisperEncoder, config: EarsTraining, lite: LiteConfig) -> None:
        super().__init__(teacher, config)
        self.lite = lite
        self.voice = VoiceNetwork(lite)

    def told(self, heard_NTW: Tensor, phase: float = 0.0) -> Tensor:
        """Return the coefficients (N, T / 2, B) of pictures at the frames phase, phase + 2, ..., 0 <= phase < 2.

        They are those that the voice tells of each picture's window (models.ears.onnx.EarsHearing), all computed at
        once; beyond the ends lies the mean of what is heard.
        """
        voice, columns = self.voice, self.lite.columns
        if self.training:
            self._follow(heard_NTW.detach().float().flatten(0, 1))
        linear = voice.body[2]
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.reshape(linear.out_features, heard_NTW.shape[2], columns)
        # Copies: what follows the next call must not change what this one's gradient needs.
        rows = ((heard_NTW - voice.mean_R.clone()) / voice.scale_R.clone()).transpose(1, 2)
        newest, share = newest_frame(phase * FRAME_MS, self.lite.lookahead_ms)
        rows = F.pad(rows, (columns - 1 - newest, newest + PICTURE_FRAMES + 1))
        rows = (1.0 - share) * rows[..., :-1] + share * rows[..., 1:]
        hidden = F.relu(F.conv1d(rows, weight, linear.bias, stride=PICTURE_FRAMES)).transpose(1, 2)
        coefficients: Tensor = voice.last(voice.drop(hidden[:, : (heard_NTW.shape[1] + 1) // PICTURE_FRAMES]))
        return coefficients

    def _follow(self, heard_MW: Tensor) -> None:
        """Move what the voice takes for mean and spread: ears that drift while they learn would silence its units."""
        self.voice.mean_R.lerp_(heard_MW.mean(0), _FOLLOW)
        self.voice.scale_R.lerp_(heard_MW.std(0).clamp(min=1e-3), _FOLLOW)


class Mouths(NamedTuple):
    """What is taught beside the teacher's hearing.

    Attributes:
        labels: (M, T / 2, B), mouths of all speech (train.mouth.lessons.label).
        clips: filmed people.
        filmed: hearings of each clip, with its mouth.
        basis: (B, 110), which the coefficients are of.
        spread: (B,), their standard deviation in the clips.
    """

    labels: NDArray[np.float32]
    clips: Sequence[Clip]
    filmed: Sequence[Sequence[Filmed]]
    basis: NDArray[np.float32]
    spread: NDArray[np.float32]


class MouthTask(Stateless):
    """Bring student, speech with labels, clips and losses together (a train.loop.task.Task)."""

    def __init__(
        self,
        student: MouthStudent,
        ears: EarsTask,
        heard: Lessons,
        mouths: Mouths,
        ears_config: EarsTraining,
        config: MouthTraining,
        seed: int = 1,
    ) -> None:
        """Teach `student` from the speech `heard` and from `mouths`; `ears` compares it with the teacher."""
        self.networks: dict[str, nn.Module] = {"model": student}
        self._ears, self._heard, self._mouths = ears, heard, mouths
        self._chance = balanced(mouths.clips)
        self._ears_config, self._config, self._seed = ears_config, config, seed
        self._gap_B = torch.from_numpy(gap_of_basis(mouths.basis))
        self._scale_B = torch.from_numpy(mouths.spread)

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return the speech of train.ears.task.EarsTask with "mouth" (N, T / 2, B), and "filmed ..." of clips."""
        rng = np.random.default_rng((self._seed, step, rank))
        taken = [self._speech(rng) for _ in range(self._config.batch)]
        clips = [self._clip(int(at), rng) for at in rng.choice(len(self._chance), self._config.clips, p=self._chance)]
        phase = float(rng.uniform(0.0, PICTURE_FRAMES))
        batch = _stacked(("mel", "taught", "judged", "mouth", "weight"), taken)
        batch |= _stacked(("filmed mel", "filmed mouth", "filmed weight"), clips)
        for name in ("mouth", "weight", "filmed mouth", "filmed weight"):
            batch[name] = shifted(batch[name], phase / PICTURE_FRAMES)
        return batch | {"step": torch.tensor(step), "phase": torch.tensor(phase)}

    def _speech(self, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        at = int(rng.integers(len(self._heard.taught)))
        mel, taught, judged, first = stretched(self._heard, at, self._ears_config, rng, even=PICTURE_FRAMES)
        pictures = slice(first // PICTURE_FRAMES, (first + len(taught) + 1) // PICTURE_FRAMES)
        mouth = self._mouths.labels[at, pictures].copy()
        weight = judged[::PICTURE_FRAMES].astype(np.float32)
        if rng.random() < self._config.cut:
            judged[silence_from(mel, mouth, rng) :] = False
        return mel, taught, judged, mouth, weight

    def _clip(self, at: int, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        some = self._mouths.filmed[at]
        one = some[int(rng.integers(len(some)))]
        mel, mouth = one.mel.astype(np.float32), one.mouth.copy()
        if rng.random() < self._config.cut:
            silence_from(mel, mouth, rng)
        return mel, mouth, one.weight

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return "loss" and its parts: "teacher", "labels" and "filmed"."""
        student = nets[name]
        assert isinstance(student, MouthStudent)
        heard = self._ears.hear(student, batch["mel"], int(batch["step"]))
        seen = self._ears.hear(student, batch["filmed mel"], int(batch["step"]))
        flow = self._flow(int(batch["step"]))
        taught = self._ears.compare(student, heard, batch)
        device = heard.device
        gap, scale = self._gap_B.to(device), self._scale_B.to(device)
        phase = float(batch["phase"])
        told = student.told(held(heard, flow), phase).float()[:, :-1]
        labels = _sum(mouth_losses(told, batch["mouth"], scale * _REGRESSED, gap, batch["weight"]))
        told = student.told(held(seen, flow), phase).float()[:, :-1]
        filmed = _sum(mouth_losses(told, batch["filmed mouth"], scale, gap, batch["filmed weight"]))
        loss = taught["loss"] + self._config.labelled * labels + self._config.filmed * filmed
        return {"loss": loss, "teacher": taught["loss"], "labels": labels, "filmed": filmed}

    def _flow(self, step: int) -> float:
        """Return the share of the mouth's gradient that reaches the ears: a voice that knows nothing spoils them."""
        done = step / self._config.loop.steps
        return min(1.0, max(0.0, (done - _ALONE) / (_JOINED - _ALONE)))

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Return what is told of the teacher (train.ears.task.EarsTask.evaluate)."""
        return self._ears.evaluate(average)


def _stacked(names: Sequence[str], rows: Sequence[tuple[NDArray[Any], ...]]) -> Batch:
    columns = zip(*rows, strict=True)
    return {name: torch.from_numpy(np.stack(column)) for name, column in zip(names, columns, strict=True)}


def shifted(values: Tensor, share: float) -> Tensor:
    """Return (N, T - 1, ...): what lies `share` of the way from each of `values` (N, T, ...) to the next."""
    return values[:, :-1] * (1.0 - share) + values[:, 1:] * share


def held(heard: Tensor, flow: float) -> Tensor:
    """Return `heard`, of whose gradient the share `flow` passes."""
    return heard.detach() + flow * (heard - heard.detach())


def silence_from(mel: NDArray[np.float32], mouth: NDArray[np.float32], rng: np.random.Generator) -> int:
    """Cut sound and mouth off in place, at a frame that is returned: a muted microphone, a lost connection.

    From there on the log-mel is digital silence and the mouth closes within two pictures.
    """
    frames = (mel.shape[1] - BEFORE - AFTER + 1) // 2
    at = int(rng.integers(frames // 5, max(frames * 9 // 10, frames // 5 + 1)))
    mel[:, 2 * at + BEFORE :] = FLOOR
    picture = min((at + 1) // PICTURE_FRAMES, len(mouth) - 1)
    share = 1.0 - (np.arange(len(mouth)) - picture) / _CLOSING
    mouth[picture:] = mouth[picture] * share[picture:, None].clip(0.0, 1.0)
    return at


def _sum(parts: dict[str, Tensor]) -> Tensor:
    return parts["shape"] + parts["opening"] + _MOTION * parts["motion"]
