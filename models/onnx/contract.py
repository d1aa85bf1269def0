"""Names, shapes and metadata of the ONNX files that lipline writes and opens. No torch, no onnx here.

A file says what it is in three metadata properties: `lipline.kind`, `lipline.version` and, where a network hears sound,
`lipline.window` (JSON: columns, offset_ms). Files without them are recognised by their shapes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.alignment import WAV2LIP_WINDOW, MelWindow
from models.errors import ModelError

KIND_KEY: Final = "lipline.kind"
VERSION_KEY: Final = "lipline.version"
WINDOW_KEY: Final = "lipline.window"

VERSION: Final = 1
"""Version of the contract below; a file with a newer one is refused."""

Shape = tuple[int, ...]
"""Sizes behind the batch dimension."""


@dataclass(frozen=True, slots=True)
class OnnxContract:
    """Fix the outside of one kind of network.

    Attributes:
        kind: value of `lipline.kind`.
        inputs: name and shape (without batch) of each input, in order, float32.
        outputs: the same for the outputs.
        window: mel window that the network hears, or None.
    """

    kind: str
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    window: MelWindow | None = None

    def metadata(self) -> dict[str, str]:
        """Return the metadata properties of such a file."""
        properties = {KIND_KEY: self.kind, VERSION_KEY: str(VERSION)}
        if self.window is not None:
            properties[WINDOW_KEY] = window_to_json(self.window)
        return properties


WAV2LIP: Final = OnnxContract(
    kind="wav2lip",
    inputs={"mel": (1, 80, 16), "face": (6, 96, 96)},
    outputs={"frame": (3, 96, 96)},
    window=WAV2LIP_WINDOW,
)
"""Stock generator: `face` is BGR 0..1, the pose with its lower half zeroed, then the reference."""

SYNCNET: Final = OnnxContract(
    kind="syncnet",
    inputs={"mel": (1, 80, 16), "face": (15, 48, 96)},
    outputs={"audio": (512,), "video": (512,)},
    window=MelWindow(16, 0.0),
)
"""Colour SyncNet expert: `face` is five BGR lower halves from the window's start on, outputs are L2-normalised."""


def window_to_json(window: MelWindow) -> str:
    """Write a mel window as a metadata value."""
    return json.dumps({"columns": window.columns, "offset_ms": window.offset_ms})


def window_from_json(text: str) -> MelWindow:
    """Read what `window_to_json` wrote.

    Raises:
        ModelError: when the text is not such a value.
    """
    try:
        values = json.loads(text)
        return MelWindow(int(values["columns"]), float(values["offset_ms"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{WINDOW_KEY} is {text!r}, not a mel window: export the model again") from error


def check_version(metadata: Mapping[str, str]) -> None:
    """Refuse a file of a newer contract.

    Raises:
        ModelError: when `lipline.version` is not a number up to VERSION; a file without it passes.
    """
    text = metadata.get(VERSION_KEY, str(VERSION))
    if not text.isdecimal() or not 1 <= int(text) <= VERSION:
        raise ModelError(f"{VERSION_KEY} is {text!r}, this lipline reads up to {VERSION}: update lipline")
