"""Find the videos of a corpus, and who speaks in them, in the layouts in which the known corpora come.

| corpus | path | speaker |
|---|---|---|
| GRID | s1/bbaf2n.mpg, s1/video/mpg_6000/bbaf2n.mpg | s1 |
| Lombard GRID | front/s2_l_bbim3a.mov; what lies in a folder of side views is left out | s2 |
| CREMA-D | VideoFlash/1001_DFA_ANG_XX.flv | 1001 |
| LRS2, LRS3 | main/5535415699068794046/00001.mp4, trainval/0d6iSvF1UmA/00009.mp4 | the folder |
| AVSpeech and any other | someone/talk.mp4 | the folder |
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

SUFFIXES: Final = frozenset(
    [".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"]
)  # fmt: skip
"""What is taken for a video inside a folder; a file that is named itself may be called anything."""

_NAMED: Final = (
    re.compile(r"(s\d+)_[lp]_\w+"),  # Lombard GRID: Lombard or plain speech
    re.compile(r"(\d{4})_[A-Z]{3}_[A-Z]{3}_[A-Z]{2}"),  # CREMA-D
)
_STORAGE: Final = re.compile(r"(?i)video[s_]?|mpe?g\w*|front|clips?|mp4|mov")
"""Folders that say how something is stored, not who speaks."""

_SIDE: Final = re.compile(r"(?i)(\w+_)?side(_\w+)?")

By = Literal["folder", "file"]


class CorpusError(ValueError):
    """Which input cannot be used."""


@dataclass(frozen=True, slots=True)
class Video:
    """Name a file and who speaks in it."""

    path: Path
    speaker: str

    @property
    def source(self) -> str:
        """Stem of its name."""
        return self.path.stem


def find_videos(inputs: Sequence[Path], speaker: str | None = None, by: By = "folder") -> tuple[list[Video], list[str]]:
    """Return the videos in files and folders, each once, by speaker and path, and the names of side views left out.

    Args:
        inputs: videos, or folders that are searched to any depth.
        speaker: who speaks in all of them; None tells by the layout.
        by: what names the speaker in a layout that is not known: the folder, or each file for itself.

    Raises:
        CorpusError: an input does not exist, or there is no video at all.
    """
    videos: dict[Path, Video] = {}
    sides: list[str] = []
    for given in inputs:
        if not given.exists():
            raise CorpusError(f"there is no file or folder {given}: check the path")
        for path in [given] if given.is_file() else _inside(given):
            if any(_SIDE.fullmatch(part) for part in path.parts[len(given.parts) : -1]):
                sides.append(path.name)
            else:
                videos[path.resolve()] = Video(path, speaker or speaker_of(path.resolve(), by))
    if not videos:
        raise CorpusError(f"no videos in {', '.join(map(str, inputs))}: give files, or folders that hold some")
    return sorted(videos.values(), key=lambda video: (video.speaker, str(video.path))), sides


def speaker_of(path: Path, by: By = "folder") -> str:
    """Return who speaks in the video at an absolute `path`, by its corpus' layout."""
    for pattern in _NAMED:
        if match := pattern.fullmatch(path.stem):
            return match[1]
    if by == "file":
        return path.stem
    folders = [folder.name for folder in path.parents if folder.name]
    return next((name for name in folders if not _STORAGE.fullmatch(name)), path.stem)


def _inside(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path
