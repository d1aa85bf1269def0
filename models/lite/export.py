"""Write a lite network as one ONNX file, and read one back to train it on. Needs torch, onnx and onnxruntime."""

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

from models.errors import ModelError
from models.lite.contract import LiteConfig
from models.lite.network import Lite
from models.lite.onnx import CONFIG_KEY, ENCODER_KEY, contract, encoder_contract
from models.onnx.export import export_onnx
from models.onnx.weights import read_weights, weights_of


def export_lite(lite: Lite, out: Path, properties: Mapping[str, str] | None = None) -> float:
    """Write `lite` to `out`, its encoder inside the file's metadata; `properties` are added to that.

    Returns:
        The largest absolute difference between ONNX Runtime and torch, over both parts.

    Raises:
        ModelError: a part does not run or differs by more than 1e-4; `out` stays as it was.
        OSError: when `out` cannot be written.
    """
    config = lite.config
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "encoder.onnx"
        difference = export_onnx(lite.painter.encoder, encoder_contract(config), inner)
        extra = {
            **(properties or {}),
            CONFIG_KEY: json.dumps(config.to_json()),
            ENCODER_KEY: base64.b64encode(inner.read_bytes()).decode("ascii"),
        }
    return max(difference, export_onnx(lite, contract(config), out, extra))


def load_lite(path: Path) -> Lite:
    """Read the network back out of a file that `export_lite` wrote, in evaluation mode.

    Raises:
        ModelError: the file is no such file.
    """
    state, properties = read_weights(path)
    try:
        lite = Lite(LiteConfig.from_json(json.loads(properties[CONFIG_KEY])))
        inner = weights_of(onnx.load_model_from_string(base64.b64decode(properties[ENCODER_KEY], validate=True)))
        state |= {f"painter.encoder.{name}": value for name, value in inner.items()}
        # How often batch norm has counted is not exported, and of no use.
        wanted = {name for name in lite.state_dict() if not name.endswith("num_batches_tracked")}
        lite.load_state_dict({name: state[name] for name in wanted}, strict=False)
    # A foreign file can raise anything: protobuf's reader interprets its bytes.
    except Exception as error:
        raise ModelError(
            f"{path} is no lite generator to train on: give one that `lipline train lite` wrote"
        ) from error
    return lite.eval()
