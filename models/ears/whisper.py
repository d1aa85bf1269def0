"""The encoder of OpenAI's Whisper in torch: the teacher of the hearing network. Needs torch.

Published architecture and weights: A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
2022; openai/whisper, MIT. It reads the official file (`tiny.en.pt`) or the encoder's arrays as CTranslate2 names them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.ears.layer import WhisperLayer
from models.errors import ModelError
from models.mel import N_MELS

HEAD: Final = 64
"""Width of an attention head in every size of Whisper."""


class EncoderLayer(WhisperLayer):
    """One transformer layer in which every frame sees all others."""

    def forward(self, x_NTW: Tensor) -> Tensor:
        """Return frames of the same shape."""
        query, key, value = (self.apart(one) for one in self.qkv(self.norm(x_NTW)).chunk(3, -1))
        return self.after(x_NTW, F.scaled_dot_product_attention(query, key, value))


class WhisperEncoder(nn.Module):
    """Turn log-mel (N, 80, 2 T) of at most 30 s into frames (N, T, width), 20 ms each."""

    def __init__(self, width: int = 384, layers: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(N_MELS, width, 3, 1, 1)
        self.conv2 = nn.Conv1d(width, width, 3, 2, 1)
        self.positions_TW: Tensor
        self.register_buffer("positions_TW", torch.zeros(1500, width))
        self.layers = nn.ModuleList(EncoderLayer(width, width // HEAD) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    @property
    def width(self) -> int:
        """Numbers that describe a frame."""
        return self.norm.normalized_shape[0]

    def forward(self, mel_NFC: Tensor) -> Tensor:
        """Return the frames (N, T, width) of log-mel (N, 80, 2 T), normalised as `whisper_log_mel` does."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel_NFC)))).transpose(1, 2)
        x = x + self.positions_TW[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return torch.Tensor(self.norm(x))


def load_whisper(path: Path) -> WhisperEncoder:
    """Read the encoder from a file, in evaluation mode.

    Args:
        path: an official checkpoint (`tiny.en.pt`, loaded with `weights_only`), or an .npz of the encoder's arrays.

    Raises:
        ModelError: the file is missing or holds no such encoder.
    """
    try:
        state = _from_arrays(path) if path.suffix == ".npz" else _from_checkpoint(path)
        width = len(state["norm.weight"])
        layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers."))
        encoder = WhisperEncoder(width, layers)
        encoder.load_state_dict(state)
    except FileNotFoundError:
        raise ModelError(f"there is no {path}: give Whisper's tiny.en.pt") from None
    # A foreign file can raise anything while it is taken apart.
    except Exception as error:
        raise ModelError(f"{path.name} holds no encoder of Whisper's: give tiny.en.pt ({error})") from error
    return encoder.eval()


def _from_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return our names' tensors of an official checkpoint, whose parts are q, k and v apart; k has no bias."""
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    theirs: Mapping[str, Tensor] = loaded.get("model_state_dict", loaded)
    found = {name.removeprefix("encoder."): value.float() for name, value in theirs.items() if "encoder." in name[:8]}
    state = {name: found[name] for name in found if name.startswith("conv")}
    state |= {"positions_TW": found["positional_embedding"]}
    state |= {f"norm.{end}": found[f"ln_post.{end}"] for end in ("weight", "bias")}
    renamed = {"attn_ln": "norm", "attn.out": "out", "mlp_ln": "ffn_norm", "mlp.0": "up", "mlp.2": "down"}
    for at in range(sum(name.endswith(".attn_ln.weight") for name in found)):
        for end in ("weight", "bias"):
            for old, new in renamed.items():
                state[f"layers.{at}.{new}.{end}"] = found[f"blocks.{at}.{old}.{end}"]
        query, key, value = (found[f"blocks.{at}.attn.{part}.weight"] for part in ("query", "key", "value"))
        query_bias, value_bias = (found[f"blocks.{at}.attn.{part}.bias"] for part in ("query", "value"))
        state[f"layers.{at}.qkv.weight"] = torch.cat([query, key, value])
        state[f"layers.{at}.qkv.bias"] = torch.cat([query_bias, torch.zeros_like(query_bias), value_bias])
    return state


def _from_arrays(path: Path) -> dict[str, Tensor]:
    """Return our names' tensors of the arrays that CTranslate2 keeps."""
    with np.load(path, allow_pickle=False) as arrays:
        found: dict[str, Any] = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    norms = {"gamma": "weight", "beta": "bias"}
    renamed = {
        "self_attention.layer_norm": "norm",
        "self_attention.linear_0": "qkv",
        "self_attention.linear_1": "out",
        "ffn.layer_norm": "ffn_norm",
        "ffn.linear_0": "up",
        "ffn.linear_1": "down",
    }
    state = {}
    for name, value in found.items():
        place, _, end = name.rpartition(".")
        if place == "position_encodings":
            state["positions_TW"] = value
        elif place.startswith("layer_") and place != "layer_norm":
            layer, _, part = place.removeprefix("layer_").partition(".")
            state[f"layers.{layer}.{renamed[part]}.{norms.get(end, end)}"] = value
        elif place:
            state[f"{place.replace('layer_norm', 'norm')}.{norms.get(end, end)}"] = value
    return state
