"""Find and open a generator by name or path, whatever its kind."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from models.errors import ModelError
from models.generator import Generator
from models.onnx.contract import KIND_KEY, SYNCNET, WAV2LIP, check_version
from models.runtime import open_session
from models.wav2lip.onnx import Wav2LipGenerator, describe_inputs, looks_like_wav2lip

WEIGHTS: Final = Path(__file__).parent / "weights"
"""Folder of the bundled models; a model's name is its file's stem."""

EXPERT: Final = "expert"
"""Stem of the bundled lip-sync expert, which judges and is no generator."""

NEAR: Final = "near"
"""Stem of the bundled near-voice network, which listens and is no generator."""


def bundled_models() -> list[str]:
    """Return the names of the bundled generators, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.onnx") if path.stem not in (EXPERT, NEAR))


def model_path(name_or_path: str | Path) -> Path:
    """Return the file of a bundled name or a path.

    What ends in .onnx, names a folder, or is a file is a path; all else is a bundled name.

    Raises:
        ModelError: when there is no such model.
    """
    text = os.fspath(name_or_path)
    path = Path(text)
    if text in bundled_models():
        return WEIGHTS / f"{text}.onnx"
    if path.is_file():
        return path
    if path.suffix == ".onnx" or len(path.parts) > 1 or isinstance(name_or_path, Path):
        raise ModelError(f"there is no model file {text}: check the path, or write one with `lipline convert`")
    names = ", ".join(bundled_models()) or "none"
    raise ModelError(
        f"there is no bundled model {text!r} (bundled: {names}): name one of them or a path to an .onnx file"
    )


def open_generator(name_or_path: str | Path, provider: str = "cpu", threads: int = 2) -> Generator:
    """Open a mouth generator.

    Args:
        name_or_path: a bundled name (`bundled_models`) or a path to an ONNX file: `lipline convert`'s, or anybody's
            Wav2Lip with a 96 px face.
        provider: "cpu" or "cuda"; never falls back silently.
        threads: most CPU threads of one frame, at least 1.

    Raises:
        ModelError: when the model is missing, damaged, not a generator, or the provider does not start.
        ValueError: when `provider` or `threads` is out of range.
    """
    path = model_path(name_or_path)
    session = open_session(path, provider, threads)
    metadata = session.get_modelmeta().custom_metadata_map
    kind = metadata.get(KIND_KEY) or (WAV2LIP.kind if looks_like_wav2lip(session) else None)
    try:
        check_version(metadata)
        if kind in _OPENERS:
            return _OPENERS[kind](session, path)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if kind == SYNCNET.kind:
        raise ModelError(f"{path} is a SyncNet expert, it judges lips and makes none: give a generator")
    raise ModelError(
        f"{path} is no generator that lipline knows ({describe_inputs(session)}): give a Wav2Lip or lite file"
    )


def _open_wav2lip(session: Any, path: Path) -> Generator:
    return Wav2LipGenerator(session, path.stem)


def _open_lite(session: Any, _path: Path) -> Generator:
    from models.lite.onnx import LiteGenerator

    return LiteGenerator(session)


_OPENERS: Final[dict[str | None, Callable[[Any, Path], Generator]]] = {
    WAV2LIP.kind: _open_wav2lip,
    "lite": _open_lite,
}
