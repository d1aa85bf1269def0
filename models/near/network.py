"""The near-voice network as torch trains it: does the caller speak, or only others in the room? Column by column."""

from typing import Final

import torch
from torch import Tensor, nn

from models.mel import N_MELS
from models.onnx.contract import OnnxContract

KIND: Final = "near"
HIDDEN: Final = 64
FRONT: Final = 48
AHEAD: Final = 5
"""Columns of sound heard after the one that an output speaks about: 62.5 ms."""


class NearNet(nn.Module):
    """Hear mel columns and a voice detector's probability one after another; a gated recurrent unit remembers.

    What tells the caller from babble is contrast: one voice's harmonics and gaps above the smear of many, and its level
    against what the room sounded like before.
    Source of the unit: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
    """

    def __init__(self, hidden: int = HIDDEN, front: int = FRONT) -> None:
        super().__init__()
        self.front = nn.Linear(N_MELS + 1, front)
        self.memory = nn.GRU(front, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    @property
    def hidden(self) -> int:
        """Numbers that are remembered."""
        return self.memory.hidden_size

    def heard(self, mel: Tensor, voice: Tensor) -> Tensor:
        """Return logits (N, T): whether the caller spoke `AHEAD` columns before each.

        Args:
            mel: (N, T, 80) of `models.mel`.
            voice: (N, T) the newest probability of `models.vad` that was known when the column was.
        """
        remembered, _ = self.memory(self._front(mel, voice))
        return torch.Tensor(self.head(remembered)[..., 0])

    def forward(self, mel: Tensor, voice: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability (N, 1) and the next state (N, hidden), for a column (N, 80), (N, 1) and the state."""
        heard, remembered, heard_bias, remembered_bias = self.memory.all_weights[0]
        ours = nn.functional.linear(self._front(mel, voice[:, 0]), heard, heard_bias)
        kept = nn.functional.linear(state, remembered, remembered_bias)
        (reset, update, new), (reset_kept, update_kept, new_kept) = ours.chunk(3, -1), kept.chunk(3, -1)
        share = torch.sigmoid(update + update_kept)
        fresh = torch.tanh(new + torch.sigmoid(reset + reset_kept) * new_kept)
        after = fresh + share * (state - fresh)
        return torch.sigmoid(self.head(after)), after

    def contract(self) -> OnnxContract:
        """Return what the exported file promises: one column a call, the state handed round by the caller."""
        return OnnxContract(
            KIND,
            {"mel": (N_MELS,), "voice": (1,), "state": (self.hidden,)},
            {"near": (1,), "next": (self.hidden,)},
        )

    def _front(self, mel: Tensor, voice: Tensor) -> Tensor:
        # Both about -1..1: mel of speech lies around -1.5, silence at -4.
        heard = torch.cat(((mel + 1.5) / 1.5, 2.0 * voice[..., None] - 1.0), -1)
        return torch.relu(self.front(heard))
