"""Find the generator of the person who calls: DIR/NAME.onnx, for names that can be nothing but a file in DIR."""

import logging
import re
from pathlib import Path
from typing import Final

from models.errors import ModelError
from models.generator import Generator

_LOG = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def personal_file(folder: Path, name: str) -> Path | None:
    """Return the file of the caller called `name` in `folder`; None when there is none.

    The name comes from the network: it must be letters, digits, `_` and `-` alone, and the file must lie in the folder
    itself, also when it is a link.
    """
    if not _NAME.fullmatch(name):
        return None
    path = (folder / f"{name}.onnx").resolve()
    return path if path.parent == folder.resolve() and path.is_file() else None


def open_personal(folder: Path, name: str, provider: str = "cpu", threads: int = 2) -> Generator | None:
    """Open the generator of the caller called `name`; None when there is none or it cannot be used.

    A file that cannot be used is reported in the log, and its person gets the default.
    """
    from models.catalog import open_generator

    path = personal_file(folder, name)
    if path is None:
        return None
    try:
        return open_generator(path, provider, threads)
    except ModelError as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())
        _LOG.warning("%s cannot be used, its caller gets the default model: %s", path.name, reason)
        return None
