"""The parameters that a layer of Whisper's encoder has, and what teacher and student do alike with them. Needs torch.

A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022: the norm first, then attention,
the norm again, then two linear layers with a GELU between. How frames attend is each network's own.

Shape suffixes: N batch, T frames, K keys, W width, H heads, D width of a head.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class WhisperLayer(nn.Module):
    """The base of a transformer layer of `width` numbers and `heads` heads; its subclasses attend."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ffn_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def apart(self, x_NKW: Tensor) -> Tensor:
        """Return what each head sees, (N, H, K, D)."""
        apart: Tensor = x_NKW.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return apart

    def after(self, x_NTW: Tensor, seen_NHTD: Tensor) -> Tensor:
        """Return the frames (N, T, W) after attention, which saw `seen` in each head."""
        x_NTW = x_NTW + self.out(seen_NHTD.transpose(1, 2).flatten(2))
        after: Tensor = x_NTW + self.down(F.gelu(self.up(self.ffn_norm(x_NTW))))
        return after
