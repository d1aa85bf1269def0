"""A voice that was trained along with its ears: the file that `lipline train mouth` writes beside theirs."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ModelError
from models.lite.contract import LiteConfig
from models.lite.voice import VoiceNetwork


def voice_path(ears: Path) -> Path:
    """Return where the voice of the hearing network `ears` lies."""
    return ears.with_suffix(".voice.pt")


def save_voice(voice: VoiceNetwork, basis_BV: Tensor, config: LiteConfig, path: Path) -> None:
    """Write a voice, the basis that its coefficients are of, and its sizes.

    Raises:
        OSError: `path` cannot be written.
    """
    state = {name: value.detach().cpu() for name, value in voice.state_dict().items()}
    sizes = {"heard": config.heard, "columns": config.columns, "hidden": config.hidden}
    draft = path.with_suffix(".draft")
    torch.save({"voice": state, "basis": basis_BV.cpu(), "lookahead_ms": config.lookahead_ms, **sizes}, draft)
    draft.replace(path)


def load_voice(path: Path, config: LiteConfig) -> tuple[dict[str, Tensor], Tensor]:
    """Read the state of a voice and its basis (B, 110) for a lite of `config`.

    Raises:
        ModelError: it is no such file, or its sizes are not those of `config`.
    """
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        sizes = {name: kept[name] for name in ("heard", "columns", "hidden", "lookahead_ms")}
        voice, basis = kept["voice"], kept["basis"]
        wanted = {name: tuple(value.shape) for name, value in VoiceNetwork(config).state_dict().items()}
        found = {name: tuple(value.shape) for name, value in voice.items()}
    # A foreign file can raise anything while it is taken apart.
    except Exception as error:
        raise ModelError(f"{path} is no voice of `lipline train mouth` ({error})") from error
    if found != wanted or sizes["lookahead_ms"] != config.lookahead_ms or len(basis) != config.coefficients:
        raise ModelError(f"the voice of {path.name} has other sizes than the model: set model.* to {sizes}")
    return voice, basis
