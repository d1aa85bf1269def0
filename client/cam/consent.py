"""Whose face it is: a photo or clip is used only after the person who runs lipline says that they may."""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from client.errors import UsageError

FILE_NAME: Final = "consent.json"
_CHUNK: Final = 1 << 20
_YES: Final = ("y", "yes")


def data_folder(platform: str = sys.platform) -> Path:
    """Return the folder in which programs keep this person's data on `platform` (as `sys.platform`)."""
    home = Path.home()
    if platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "lipline"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "lipline"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "lipline"


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file in hex; another file, or a changed one, is another face."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class ConsentStore:
    """A store of the files that may be used, by SHA-256: no names, no paths, no pictures."""

    def __init__(self, folder: Path | None = None) -> None:
        """Store answers in `folder`, by default the user's data folder; created by the first `confirm`."""
        self.path = (folder or data_folder()) / FILE_NAME

    def confirmed(self, sha256: str) -> bool:
        """Return whether the person has said that they may use the file with this SHA-256."""
        entry = self._read().get(sha256)
        return isinstance(entry, dict) and entry.get("may_use") is True

    def confirm(self, sha256: str, how: str) -> None:
        """Store that they may use it; `how` says how they said so. Written whole or not at all, for this user only."""
        entries = self._read()
        entries[sha256] = {"may_use": True, "how": how, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp gives 0600 from the start.
        handle, partial = tempfile.mkstemp(dir=self.path.parent, prefix=FILE_NAME)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file, indent=2)
            os.replace(partial, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            # A file that is no JSON says nothing: ask again.
            return {}
        return entries if isinstance(entries, dict) else {}


def require_consent(
    path: Path,
    *,
    said_so: bool = False,
    store: ConsentStore | None = None,
    ask: Callable[[str], str] = input,
    terminal: TextIO | None = None,
) -> None:
    """Return when `path` may be used: it was confirmed before, `said_so`, or the person says yes now.

    Args:
        path: a photo or clip.
        said_so: the flag --i-may-use-this was given.
        store: where answers are kept.
        ask: shows a question and returns the answer.
        terminal: what tells whether somebody can be asked; default stdin.

    Raises:
        UsageError: they may not, nobody can be asked, or there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    store = store or ConsentStore()
    sha256 = fingerprint(path)
    if store.confirmed(sha256):
        return
    if said_so:
        store.confirm(sha256, "flag")
        return
    if not (terminal or sys.stdin).isatty():
        raise UsageError(
            f"nobody can be asked whether {path.name} may be used: run this once in a terminal, "
            "or add --i-may-use-this if the face is yours or its person agreed"
        )
    question = f"{path.name} will be made to speak. Is it you, or did the person in it agree? [y/N] "
    try:
        answer = ask(question)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in _YES:
        raise UsageError(f"{path.name} is not used: take a picture of yourself, or ask the person in it")
    store.confirm(sha256, "asked")
