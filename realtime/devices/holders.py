"""Which processes have a device open, read from /proc. Linux only; elsewhere nobody is found."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open; `writes` means that it cannot be a reader."""

    pid: int
    name: str
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def who_holds(paths: Iterable[str], proc: Path = Path("/proc")) -> list[Holder]:
    """Return the processes that have one of `paths` open, by process number; only root sees those of other users."""
    wanted = {os.path.realpath(path) for path in paths}
    found = []
    for folder in sorted((f for f in proc.glob("[0-9]*") if f.name.isdigit()), key=lambda f: int(f.name)):
        modes = list(_modes(folder, wanted))
        if modes:
            found.append(Holder(int(folder.name), _name(folder), any(modes)))
    return found


def _modes(folder: Path, wanted: set[str]) -> Iterator[bool]:
    """Yield for each open handle of the process on `wanted` whether it was opened for writing only."""
    try:
        handles = list((folder / "fd").iterdir())
    except OSError:  # another user's, or gone
        return
    for handle in handles:
        try:
            if os.readlink(handle) in wanted:
                yield _write_only(folder / "fdinfo" / handle.name)
        except OSError:
            continue


def _write_only(info: Path) -> bool:
    try:
        for line in info.read_text().splitlines():
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE == os.O_WRONLY
    except (OSError, ValueError, IndexError):
        pass
    return False


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(errors="replace").strip() or "?"
    except OSError:
        return "?"


def held_by(paths: Iterable[str], proc: Path = Path("/proc")) -> str:
    """Return in words who has one of `paths` open; "another program" where that cannot be seen."""
    holders = [str(holder) for holder in who_holds(paths, proc) if holder.pid != os.getpid()]
    return ", ".join(holders) or "another program"
