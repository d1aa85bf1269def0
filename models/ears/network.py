"""The hearing network as torch trains it: causal, with keys and values of the past second as its state. Needs torch.

Its layers are those of Whisper's encoder (A. Radford et al., 2022): two convolutions, then transformer layers with the
norm first. Two things differ, so that it can hear a stream. A frame attends only to itself and the `past` frames before
it. And there are no absolute positions: a learned bias for each head and distance says how far back a key lies (as in
C. Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer", JMLR 2020).

Shape suffixes: N batch, T new frames, K keys (past + T), W width, H heads, D width of a head, L layers, P past.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.ears.contract import EarsConfig
from models.ears.layer import WhisperLayer
from models.mel import N_MELS

_HIDDEN = -1e4  # a bias that leaves nothing of a key


class EarsLayer(WhisperLayer):
    """One transformer layer that sees the past alone."""

    def __init__(self, config: EarsConfig) -> None:
        super().__init__(config.width, config.heads)
        self.past = config.past
        self.distance = nn.Parameter(torch.zeros(config.heads, config.past + 1))

    def forward(self, x_NTW: Tensor, keys_NPW: Tensor, values_NPW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new frames, and the keys and values of the newest `past` frames."""
        query_NTW, key_NTW, value_NTW = self.qkv(self.norm(x_NTW)).chunk(3, -1)
        keys_NKW, values_NKW = torch.cat([keys_NPW, key_NTW], 1), torch.cat([values_NPW, value_NTW], 1)
        query, key, value = (self.apart(one) for one in (query_NTW, keys_NKW, values_NKW))
        scale = (x_NTW.shape[-1] // self.heads) ** -0.5
        scores_NHTK = query @ key.transpose(-1, -2) * scale + self._bias(x_NTW.shape[1], keys_NKW.shape[1])
        x_NTW = self.after(x_NTW, torch.softmax(scores_NHTK, -1) @ value)
        return x_NTW, keys_NKW[:, -self.past :], values_NKW[:, -self.past :]

    def _bias(self, queries: int, keys: int) -> Tensor:
        """Return (H, T, K): what each head thinks of a key's distance, and nothing of keys it may not see."""
        device = self.distance.device
        newest = torch.arange(queries, device=device)[:, None] + self.past
        distance_TK = newest - torch.arange(keys, device=device)[None]
        hidden = (distance_TK < 0) | (distance_TK > self.past)
        bias_HTK: Tensor = self.distance[:, distance_TK.clamp(0, self.past)]
        return bias_HTK + hidden.to(bias_HTK.dtype) * _HIDDEN


class EarsNet(nn.Module):
    """Hear log-mel columns, frame by frame."""

    def __init__(self, config: EarsConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EarsConfig()
        self.conv1 = nn.Conv1d(N_MELS, config.width, 3)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, 2)
        # What is left of Whisper's positions: one place for every frame.
        self.place = nn.Parameter(torch.zeros(config.width))
        self.layers = nn.ModuleList(EarsLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, mel_NFC: Tensor, state_NL2PW: Tensor) -> tuple[Tensor, Tensor]:
        """Hear T frames.

        Args:
            mel_NFC: (N, 80, 2 T + 3) log-mel columns: two before the first frame's own, its own, and so on to two after
                the last frame's (models.ears.logmel).
            state_NL2PW: what `silence` or the call before returned.

        Returns:
            Frames (N, T, width) and the next state.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel_NFC)))).transpose(1, 2) + self.place
        kept = []
        for layer, past_N2PW in zip(self.layers, state_NL2PW.unbind(1), strict=True):
            x, keys, values = layer(x, past_N2PW[:, 0], past_N2PW[:, 1])
            kept.append(torch.stack([keys, values], 1))
        return self.norm(x), torch.stack(kept, 1)

    @torch.no_grad()
    def silence(self, floor: float) -> Tensor:
        """Return the state (L, 2, P, W) after digital silence, whose columns are `floor`: where every stream begins."""
        config = self.config
        frames = (config.layers + 1) * config.past
        quiet = self.conv1.weight.new_full((1, N_MELS, 2 * frames + 3), floor)
        _, state = self(quiet, quiet.new_zeros(1, *config.state_shape))
        first: Tensor = state[0]
        return first
