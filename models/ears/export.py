"""Write a hearing network as ONNX, and prove that it hears the same, streamed too. Needs torch, onnx, onnxruntime."""

import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import torch

from models.ears.contract import AFTER, BEFORE, EarsConfig
from models.ears.logmel import FLOOR
from models.ears.network import EarsNet
from models.ears.onnx import CONFIG_KEY, KIND, SILENCE_KEY, Ears, state_to_text
from models.errors import ModelError
from models.mel import N_MELS, SAMPLE_RATE
from models.onnx.contract import OnnxContract
from models.onnx.export import TOLERANCE, export_onnx
from models.onnx.weights import read_weights

_FREE: Final = {"mel": {2: "C"}, "frames": {1: "T"}}
_SECONDS: Final = 3.0


def contract(config: EarsConfig, frames: int = 1) -> OnnxContract:
    """Return names and shapes of a hearing file for a call of `frames` frames; any number of them may be heard."""
    columns = 2 * frames - 1 + BEFORE + AFTER
    return OnnxContract(
        kind=KIND,
        inputs={"mel": (N_MELS, columns), "state": config.state_shape},
        outputs={"frames": (frames, config.width), "next": config.state_shape},
    )


def export_ears(ears: EarsNet, out: Path) -> float:
    """Write `ears` to `out`, its weights in half precision, and compare it with torch, at once and frame by frame.

    The weights of `ears` are rounded to what the file holds. ONNX Runtime computes in float32 all the same.

    Returns:
        The largest absolute difference seen.

    Raises:
        ModelError: the file differs from torch by more than 1e-4; `out` stays as it was.
        OSError: `out` cannot be written.
    """
    ears.eval()
    with torch.no_grad():
        for parameter in ears.parameters():
            parameter.copy_(parameter.half().float())
    quiet = ears.silence(FLOOR)
    extra = {CONFIG_KEY: json.dumps(ears.config.to_json()), SILENCE_KEY: state_to_text(quiet.numpy())}
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        draft = Path(folder) / out.name
        difference = export_onnx(ears, contract(ears.config, 3), draft, extra, free=_FREE, half=True)
        apart = _streamed_apart(Ears(draft))
        if not apart <= TOLERANCE:
            raise ModelError(
                f"the exported ears hear another thing streamed (by {apart:.2g}): export with lookback of whole frames"
            )
        draft.replace(out)
    return max(difference, apart)


def _streamed_apart(ears: Ears) -> float:
    """Return the largest absolute difference between noise heard in blocks of 20 ms and heard at once."""
    sound = (0.1 * np.random.default_rng(0).standard_normal(round(_SECONDS * SAMPLE_RATE))).astype(np.float32)
    stream = ears.stream()
    joined = np.concatenate([stream.push(block) for block in np.array_split(sound, round(_SECONDS * 50))], 1)
    return float(np.abs(joined - ears.hear(sound)[:, : joined.shape[1]]).max())


def load_ears(path: Path) -> EarsNet:
    """Read the network back out of a file that `export_ears` wrote, in evaluation mode.

    Raises:
        ModelError: the file is no such file.
    """
    state, properties = read_weights(path)
    try:
        ears = EarsNet(EarsConfig.from_json(json.loads(properties[CONFIG_KEY])))
        ears.load_state_dict({name: state[name].float() for name in ears.state_dict()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no hearing network: give one that `lipline train ears` wrote") from error
    return ears.eval()
