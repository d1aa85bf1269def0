"""Speech without pictures: recordings found in folders, in pieces of one length."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from models.mel import SAMPLE_RATE
from realtime.media_file import MediaError, read_audio
from train.data.clips import Role, Split
from train.data.sounds import Sound
from train.ears.config import SpeechConfig

_SUFFIXES: Final = frozenset(
    [
        ".flac",
        ".wav",
        ".ogg",
        ".opus",
        ".mp3",
        ".m4a",
        ".mkv",
        ".mp4",
        ".mov",
        ".webm",
        ".mpg",
        ".avi",
        ".gsm",
        ".ulaw",
        ".spx",
    ]
)
_PAUSE_S: Final = 0.3  # between recordings that are joined to a piece
_QUIET_DB: Final = -60.0  # a piece below it is no speech


def recordings(config: SpeechConfig, role: Role) -> list[list[Path]]:
    """Return the files of a role, folder by folder, sorted.

    Raises:
        ValueError: a folder does not exist, or no file is left.
    """
    split = Split("clip", config.test)
    groups = []
    for folder in config.folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}: set speech.folders to folders with recordings")
        for place in sorted({path.parent for path in folder.rglob("*")}):
            files = [path for path in sorted(place.iterdir()) if path.suffix.lower() in _SUFFIXES]
            files = [path for path in files if not path.name.startswith(config.leave_out)]
            files = [path for path in files if split.role("", path.stem) == role]
            if files:
                groups.append(files)
    if not groups:
        raise ValueError(f"no recordings to {role} in speech.folders: add some ({' '.join(sorted(_SUFFIXES))})")
    return groups


def origin_of(config: SpeechConfig, role: Role, most: int | None = None) -> str:
    """Return what decides the pieces of a role, the first `most` of them, as text: files with their sizes, lengths.

    Raises:
        ValueError: as `recordings`.
    """
    files = [[(str(path), path.stat().st_size) for path in group] for group in recordings(config, role)]
    return json.dumps([files, config.piece_s, config.most_min, most])


def pieces(config: SpeechConfig, role: Role) -> Iterator[Sound]:
    """Yield the speech of a role in pieces of `piece_s`, (n,) each; short recordings of one folder are joined.

    Files that cannot be read are left out.

    Raises:
        ValueError: as `recordings`.
    """
    length = round(config.piece_s * SAMPLE_RATE)
    for files in recordings(config, role):
        kept: Sound = np.empty(0, np.float32)
        left = round(config.most_min * 60.0 / config.piece_s)
        for path in files:
            if not left:
                break
            try:
                heard = read_audio(path, SAMPLE_RATE)
            except MediaError:
                continue
            kept = np.concatenate([kept, heard, np.zeros(round(_PAUSE_S * SAMPLE_RATE), np.float32)])
            while len(kept) >= length and left:
                if _level_db(kept[:length]) > _QUIET_DB:
                    yield kept[:length].copy()
                    left -= 1
                kept = kept[length:]


def _level_db(sound: Sound) -> float:
    return float(10.0 * np.log10(np.mean(np.square(sound)) + 1e-12))
