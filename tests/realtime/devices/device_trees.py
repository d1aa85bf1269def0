"""Made-up sysfs and /proc trees."""

import os
from pathlib import Path


def video(root: Path, number: int, name: str, *, node: int = 0, place: str = "", loopback: bool = False) -> None:
    """Add /sys/class/video4linux/videoN below `root`."""
    folder = root / f"video{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "index").write_text(f"{node}\n")
    if place:
        target = root.parent / "devices" / place
        target.mkdir(parents=True, exist_ok=True)
        (folder / "device").unlink(missing_ok=True)
        (folder / "device").symlink_to(target)
    if loopback:
        (folder / "max_openers").write_text("10\n")


def process(root: Path, pid: int, name: str, opened: dict[str, int]) -> None:
    """Add /proc/PID below `root`; `opened` says for each path with which flags."""
    folder = root / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "fdinfo").mkdir()
    (folder / "comm").write_text(f"{name}\n")
    for number, (path, flags) in enumerate(opened.items(), 3):
        (folder / "fd" / str(number)).symlink_to(path)
        (folder / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t{oct(flags | os.O_CLOEXEC)[2:]}\nmnt_id:\t9\n")
