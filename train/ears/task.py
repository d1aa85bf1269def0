"""Teach the hearing network to hear at once what the teacher hears with the whole recording before it."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.ears.contract import EarsConfig
from models.ears.logmel import FLOOR
from models.ears.network import EarsNet
from models.ears.whisper import WhisperEncoder
from train.ears.config import EarsTraining
from train.ears.heard import Lessons
from train.loop.task import Batch, Evaluation, Stateless

_CLEAN: Final = 0.25  # share of stretches that are heard as they were said
_FRESH: Final = 20  # steps after which the state after silence is computed anew
_TILT: Final = 0.15  # largest slope over the bands, in units of log-mel (10 dB are 0.25)


class EarsStudent(nn.Module):
    """The network and the maps from what it hears to what the teacher heard some frames before."""

    def __init__(self, teacher: WhisperEncoder, config: EarsTraining) -> None:
        super().__init__()
        width = teacher.width
        self.ears = EarsNet(EarsConfig(config.model.layers, width, width // 64, config.model.past))
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in config.delays)
        begin(self.ears, teacher)
        for one in self.maps:
            assert isinstance(one, nn.Linear)
            nn.init.eye_(one.weight)
            nn.init.zeros_(one.bias)


def begin(ears: EarsNet, teacher: WhisperEncoder) -> None:
    """Give `ears` the teacher's first layers, its last norm, and the mean of its positions."""
    ours = dict(teacher.state_dict())
    wanted = ears.state_dict()
    ears.load_state_dict({name: ours.get(name, value) for name, value in wanted.items()})
    with torch.no_grad():
        ears.place.copy_(teacher.positions_TW.mean(0))


class EarsTask(Stateless):
    """Bring student, speech and loss together (a train.loop.task.Task)."""

    def __init__(
        self, student: EarsStudent, heard: Lessons, held_out: Lessons, config: EarsTraining, seed: int = 1
    ) -> None:
        """Teach `student` from `heard`; evaluate on `held_out`."""
        self.networks: dict[str, nn.Module] = {"model": student}
        self._heard, self._held_out, self._config, self._seed = heard, held_out, config, seed
        some = torch.from_numpy(heard.taught[:: max(1, len(heard.taught) // 200)].astype(np.float32)).flatten(0, 1)
        self._mean_W, self._scale_W = some.mean(0), some.std(0).clamp(min=1e-3)
        self._quiet: tuple[int, Tensor] | None = None

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return "mel" (N, 80, 2 T + 3), "taught" (N, T, W) and "judged" (N, T)."""
        rng = np.random.default_rng((self._seed, step, rank))
        config, heard = self._config, self._heard
        taken = [
            stretched(heard, int(at), config, rng)[:3] for at in rng.integers(len(heard.taught), size=config.batch)
        ]
        mels, taught, judged = zip(*taken, strict=True)
        return {
            "mel": torch.from_numpy(np.stack(mels)),
            "taught": torch.from_numpy(np.stack(taught)),
            "judged": torch.from_numpy(np.stack(judged)),
            "step": torch.tensor(step),
        }

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return "loss" over all delays, and its part for each."""
        student = nets[name]
        assert isinstance(student, EarsStudent)
        return self.compare(student, self.hear(student, batch["mel"], int(batch["step"])), batch)

    def hear(self, student: EarsStudent, mel_NFC: Tensor, step: int) -> Tensor:
        """Return what `student` hears (N, T, W) in stretches that silence lies before."""
        state = self._silence(student.ears, step).to(mel_NFC.device)
        heard: Tensor = student.ears(mel_NFC, state[None].expand(len(mel_NFC), -1, -1, -1, -1))[0]
        return heard

    def compare(self, student: EarsStudent, heard_NTW: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return how far what `student` tells of the teacher is off: "loss" over all delays, and each one's part."""
        parts = {
            f"delay {delay}": self._apart(mapping(heard_NTW), batch["taught"], batch["judged"], delay).mean()
            for delay, mapping in zip(self._config.delays, student.maps, strict=True)
        }
        return {"loss": torch.stack(list(parts.values())).mean(), **parts}

    def _apart(self, told_NTW: Tensor, taught_NTW: Tensor, judged_NT: Tensor, delay: int) -> Tensor:
        """Return smooth L1 between what is told `delay` frames late and the teacher, in units of its spread."""
        told, taught = told_NTW[:, delay:], taught_NTW[:, : taught_NTW.shape[1] - delay]
        mean, scale = self._mean_W.to(told.device), self._scale_W.to(told.device)
        judged = judged_NT[:, delay:]
        return F.smooth_l1_loss(
            (told.float() - mean)[judged] / scale, (taught - mean)[judged] / scale, reduction="none"
        )

    def _silence(self, ears: EarsNet, step: int) -> Tensor:
        """Return the state after silence, of weights that are a few steps old."""
        if self._quiet is None or self._quiet[0] != step // _FRESH:
            self._quiet = step // _FRESH, ears.silence(FLOOR)
        return self._quiet[1]

    @torch.no_grad()
    def evaluate(self, average: nn.Module) -> Evaluation:
        """Return how much of the teacher's variance is told, for clean and spoilt speech held out, at each delay."""
        assert isinstance(average, EarsStudent)
        taught = torch.from_numpy(self._held_out.taught.astype(np.float32))
        state = average.ears.silence(FLOOR)[None].expand(len(taught), -1, -1, -1, -1)
        figures = {}
        for kind in ("clean", "spoilt"):
            mel = torch.from_numpy(getattr(self._held_out, kind).astype(np.float32))
            heard, _ = average.ears(mel, state)
            for delay, mapping in zip(self._config.delays, average.maps, strict=True):
                wanted = taught[:, : taught.shape[1] - delay] - self._mean_W
                missed = (mapping(heard)[:, delay:] - self._mean_W - wanted) / self._scale_W
                figures[f"{kind} {delay}"] = float(
                    1.0 - missed.square().mean() / (wanted / self._scale_W).square().mean()
                )
        return Evaluation(figures)


def stretched(
    heard: Lessons, index: int, config: EarsTraining, rng: np.random.Generator, even: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], int]:
    """Cut a stretch of T frames out of piece `index`: log-mel (80, 2 T + 3), taught (T, W), judged (T,), first frame.

    The first frame is a multiple of `even`.
    """
    total = heard.taught.shape[1]
    length = min(config.frames, total)
    first = max(int(rng.integers(-config.settle, total - length + 1)), 0) // even * even
    source = heard.clean if rng.random() < _CLEAN else heard.spoilt
    mel = source[index, :, 2 * first : 2 * (first + length) + 3].astype(np.float32)
    # Another level and another microphone, on what lies above the floor.
    change = rng.uniform(-0.2, 0.2) + rng.uniform(-_TILT, _TILT) * np.linspace(-1, 1, 80, dtype=np.float32)
    mel = np.where(mel > FLOOR, np.maximum(mel + change[:, None], FLOOR), mel).astype(np.float32)
    taught = heard.taught[index, first : first + length].astype(np.float32)
    # A stretch that begins in the middle of a word lacks what the stream would remember.
    return mel, taught, np.arange(length) >= (config.settle if first else 0), first
