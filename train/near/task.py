"""Train the near-voice network: does the caller speak, or only the room?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.near.network import AHEAD, NearNet
from train.loop.task import Batch, Evaluation, Stateless
from train.near.config import NearTraining
from train.near.heard import VoiceHeard
from train.near.mixes import Mixer
from train.near.voices import Speaker, filmed, synthetic

_MADE: Final = 24  # mixes made at a time
_WARM: Final = 20  # columns in which the detector warms up: not judged
_SHIFT: Final = 80  # columns by which a mix may begin later
_GAIN: Final = 0.8  # units of mel, 10 dB: louder or softer by so much
_FLOOR: Final = -3.95  # mel below it is silence and stays so


class NearTask(Stateless):
    """Bring the network, mixes and the loss together (a train.loop.task.Task)."""

    def __init__(self, config: NearTraining, shards: Sequence[Path], seed: int = 1) -> None:
        """Collect the voices.

        Raises:
            ShardError: there are no shards, or none to train on.
            SpeechUnavailableError: synthetic voices are wanted and espeak-ng is not installed.
            ModelError: the voice detector is not installed.
            ValueError: neither shards nor synthetic voices are to be used.
        """
        self._config, self._seed = config, seed
        self.networks: dict[str, nn.Module] = {"model": NearNet(config.network.hidden, config.network.front)}
        voices = config.voices
        self.speakers: list[Speaker] = [
            *(filmed(shards, config.data, voices.filmed) if voices.filmed else ()),
            *(synthetic(voices, seed) if voices.synthetic else ()),
        ]
        if not self.speakers:
            raise ValueError("nobody speaks: set voices.filmed or voices.synthetic above 0")
        self._hearing = VoiceHeard()
        self._mixes: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Return "mel" (N, T, 80), "voice" (N, T) and "speech" (N, T)."""
        mel, voice, speech = self._made(rank)
        rng = np.random.default_rng((self._seed, step, rank))
        kept = self._config.mixes.held_out
        chosen = torch.from_numpy(rng.integers(kept, len(mel), self._config.batch))
        begin = int(rng.integers(_SHIFT))
        gain = torch.from_numpy(rng.uniform(-_GAIN, _GAIN, (len(chosen), 1, 1)).astype(np.float32))
        heard = mel[chosen, begin:].float()
        heard = torch.where(heard > _FLOOR, (heard + gain).clamp(-4.0, 4.0), heard)
        return {"mel": heard, "voice": voice[chosen, begin:].float(), "speech": speech[chosen, begin:].float()}

    def losses(self, name: str, nets: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Return "loss", binary cross-entropy per column."""
        network = nets[name]
        assert isinstance(network, NearNet)
        told = network.heard(batch["mel"], batch["voice"])[:, _WARM + AHEAD :]
        return {"loss": functional.binary_cross_entropy_with_logits(told, batch["speech"][:, _WARM:-AHEAD])}

    def evaluate(self, average: nn.Module) -> Evaluation:
        """Return, of mixes held out, how often it opens in pauses and shuts in speech."""
        assert isinstance(average, NearNet)
        kept = slice(0, self._config.mixes.held_out)
        mel, voice, speech = (part[kept] for part in self._made(0))
        with torch.no_grad():
            told = average.heard(mel.float(), voice.float())[:, _WARM + AHEAD :] > 0.0
        truth = speech[:, _WARM:-AHEAD]
        return Evaluation(
            {
                "open in pauses": float(told[~truth].float().mean()),
                "shut in speech": float((~told[truth]).float().mean()),
            }
        )

    def _made(self, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return this process's mixes as the network hears them; the first time they are made."""
        if rank not in self._mixes:
            config = self._config.mixes
            mixer = Mixer(self.speakers, config, seed=self._seed + 1000 * rank)
            parts = []
            for begin in range(0, config.count, _MADE):
                parts.append(self._hearing([mixer.mix() for _ in range(min(_MADE, config.count - begin))]))
            mel, voice, speech = (np.concatenate(one) for one in zip(*parts, strict=True))
            self._mixes[rank] = torch.from_numpy(mel), torch.from_numpy(voice), torch.from_numpy(speech)
        return self._mixes[rank]
