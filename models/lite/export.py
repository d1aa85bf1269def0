"""Write a lite network as one ONNX file, and read one back to train it on. Needs torch, onnx and onnxruntime."""

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.ears.onnx import Ears
from models.errors import ModelError
from models.lite.contract import LiteConfig
from models.lite.network import Lite
from models.lite.onnx import (
    BASIS_KEY,
    CONFIG_KEY,
    EARS_KEY,
    ENCODER_KEY,
    LAST_KEY,
    VOICE_KEY,
    contract,
    encoder_contract,
    voice_contract,
)
from models.onnx.contract import OnnxContract
from models.onnx.export import export_onnx
from models.onnx.weights import read_weights, weights_of


class _Voice(nn.Module):
    """The voice as it is exported: its hidden numbers, and the coefficients with the gain."""

    def __init__(self, lite: Lite) -> None:
        super().__init__()
        self.voice = lite.voice

    def forward(self, heard_NRC: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.voice.hidden(heard_NRC)
        return hidden, self.voice.last(hidden) * self.voice.gain


def export_lite(lite: Lite, ears: bytes, out: Path, properties: Mapping[str, str] | None = None) -> float:
    """Write `lite` to `out`, its encoder, its voice and the ears that it hears with inside the file's metadata.

    Args:
        lite: what was trained.
        ears: the content of a hearing network's file (models.ears.export).
        out: where to write.
        properties: added to the metadata.

    Returns:
        The largest absolute difference between ONNX Runtime and torch, over all parts.

    Raises:
        ModelError: a part does not run or differs by more than 1e-4; `out` stays as it was.
        OSError: when `out` cannot be written.
    """
    config = lite.config
    if Ears(ears).config.width != config.heard:
        raise ModelError(f"these ears are not those that the voice was trained with: {config.heard} numbers a frame")
    parts: dict[str, tuple[nn.Module, OnnxContract]] = {
        ENCODER_KEY: (lite.painter.encoder, encoder_contract(config)),
        VOICE_KEY: (_Voice(lite), voice_contract(config)),
    }
    extra = {
        **(properties or {}),
        CONFIG_KEY: json.dumps(config.to_json()),
        EARS_KEY: _text(ears),
        BASIS_KEY: _text(_numbers(lite.basis_BV)),
        LAST_KEY: _text(_numbers(_last_layer(lite))),
    }
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for key, (part, promised) in parts.items():
            inner = Path(folder) / "part.onnx"
            worst = max(worst, export_onnx(part, promised, inner))
            extra[key] = _text(inner.read_bytes())
    return max(worst, export_onnx(lite, contract(config), out, extra))


def _last_layer(lite: Lite) -> Tensor:
    """Return the voice's last layer with its gain, (hidden + 1, coefficients): weights, then the bias."""
    voice = lite.voice
    return torch.cat([voice.last.weight.detach().T, voice.last.bias.detach()[None]]) * voice.gain


def _numbers(values: Tensor) -> bytes:
    return values.detach().cpu().numpy().astype("<f4").tobytes()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def load_lite(path: Path) -> Lite:
    """Read the network back out of a file that `export_lite` wrote, in evaluation mode.

    Raises:
        ModelError: the file is no such file.
    """
    state, properties = read_weights(path)
    try:
        lite = Lite(LiteConfig.from_json(json.loads(properties[CONFIG_KEY])))
        for key, place in ((ENCODER_KEY, "painter.encoder."), (VOICE_KEY, "")):
            inner = weights_of(onnx.load_model_from_string(base64.b64decode(properties[key], validate=True)))
            state |= {place + name: value for name, value in inner.items()}
        # How often batch norm has counted is not exported, and of no use.
        wanted = {name for name in lite.state_dict() if not name.endswith("num_batches_tracked")}
        lite.load_state_dict({name: state[name] for name in wanted}, strict=False)
    # A foreign file can raise anything: protobuf's reader interprets its bytes.
    except Exception as error:
        raise ModelError(
            f"{path} is no lite generator to train on: give one that `lipline train lite` wrote"
        ) from error
    return lite.eval()


def ears_of(path: Path) -> bytes:
    """Return the content of the hearing network in a lite file.

    Raises:
        ModelError: the file holds none.
    """
    _, properties = read_weights(path)
    try:
        return base64.b64decode(properties[EARS_KEY], validate=True)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} holds no hearing network: give one that `lipline train lite` wrote") from error
