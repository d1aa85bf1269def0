"""Which frames speak which speech: fixed random lists, made once by a seeded command and kept with the code.

Source of the protocol: the Wav2Lip thesis (R. Mukhopadhyay, IIIT Hyderabad): speech and frames are from different
moments, and the lists are fixed so that figures compare.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

_FORMAT: Final = "lipline pairs 1"


class PairsError(ValueError):
    """Why a list of pairs does not fit, and what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Name the clips of one measurement by their keys.

    Attributes:
        speech: whose sound is spoken, and whose real video is the truth.
        pose: a clip of the same speaker whose frames are shown; equal to `speech` when there is no other: then each
            half is spoken over the frames of the other half.
        other: whose sound drives the control with random speech; equal to `speech` in a corpus of one clip: then the
            sound is shifted by half its length.
    """

    speech: str
    pose: str
    other: str


@dataclass(frozen=True, slots=True)
class PairList:
    """The pairs for one corpus; `name` says which, `keys_sha256` (`keys_digest`) recognises it."""

    name: str
    seed: int
    keys_sha256: str
    pairs: tuple[Pair, ...]


def keys_digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 of the sorted keys of a corpus."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def draw_pairs(clips: Sequence[tuple[str, str]], name: str, seed: int = 1) -> PairList:
    """Draw a pose clip of the same speaker and other speech for each clip, in random order.

    Args:
        clips: (key, speaker) of every clip.
        name: of the list.
        seed: same clips and seed, same list.
    """
    random = np.random.default_rng(seed)
    clips = sorted(clips)
    pose: dict[str, str] = {}
    for speaker in sorted({speaker for _, speaker in clips}):
        pose |= _moved_on([key for key, who in clips if who == speaker], random)
    other = _moved_on([key for key, _ in clips], random)
    keys = [clips[index][0] for index in random.permutation(len(clips))]
    return PairList(name, seed, keys_digest(keys), tuple(Pair(key, pose[key], other[key]) for key in keys))


def _moved_on(keys: Sequence[str], random: np.random.Generator) -> dict[str, str]:
    """Assign to each key the next one of a random circle: every key once, none to itself unless it is alone."""
    circle = [keys[index] for index in random.permutation(len(keys))]
    return dict(zip(circle, [*circle[1:], circle[0]], strict=True))


def write_pairs(path: Path, pairs: PairList) -> None:
    """Write a list as JSON, one pair a line."""
    rows = ",\n".join("  " + json.dumps(asdict(pair)) for pair in pairs.pairs)
    head = {"format": _FORMAT, "name": pairs.name, "seed": pairs.seed, "keys_sha256": pairs.keys_sha256}
    path.write_text(json.dumps(head)[:-1] + ', "pairs": [\n' + rows + "\n]}\n")


def read_pairs(path: Path) -> PairList:
    """Read a list; raises PairsError when the file is missing or none."""
    try:
        return _parse(json.loads(path.read_text()))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise PairsError(
            f"{path} is no list of pairs ({error}): make one with `lipline evaluate --draw FILE`"
        ) from error


def _parse(values: dict[str, Any]) -> PairList:
    if values["format"] != _FORMAT:
        raise ValueError(f"format {values['format']!r}")
    pairs = tuple(Pair(**pair) for pair in values["pairs"])
    return PairList(values["name"], values["seed"], values["keys_sha256"], pairs)


def committed(keys: Collection[str]) -> PairList | None:
    """Return the list kept with the code whose corpus has exactly these keys, or None."""
    digest = keys_digest(keys)
    folder = resources.files("train.evaluate")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            found = _parse(json.loads(entry.read_text()))
            if found.keys_sha256 == digest:
                return found
    return None


def choose(clips: Sequence[tuple[str, str]], file: Path | None, seed: int) -> PairList:
    """Return the pairs to measure: of `file`, else the committed list for these clips, else newly drawn ones.

    Raises:
        PairsError: `file` is for another corpus.
    """
    keys = [key for key, _ in clips]
    if file is None:
        return committed(keys) or draw_pairs(clips, "drawn", seed)
    pairs = read_pairs(file)
    if pairs.keys_sha256 != keys_digest(keys):
        missing = sorted({pair.speech for pair in pairs.pairs} - set(keys))
        what = f"it lacks {len(missing)} of the list's clips" if missing else "it has clips that the list lacks"
        raise PairsError(
            f"{file} was drawn for other data ({what}): give that data, or draw a list with `lipline evaluate --draw`"
        )
    return pairs
