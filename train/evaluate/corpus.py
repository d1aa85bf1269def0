"""The clips that are measured: those of one role in prepared shards, read where they lie when they are needed."""

import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal

from train.data.clips import Clip, Split
from train.data.shards import Sample, SampleInfo, ShardError, decode_sample, sample_info, shard_paths
from train.evaluate.pairs import Pair
from train.evaluate.protocol import Scene

Part = Literal["test", "train", "judge", "all"]

SHORTEST: Final = 25
"""Frames a clip must have: both halves of it need a mouth that opens and closes."""

_Places = dict[str, tuple[int, int]]
"""Offset and length in the shard of each member, by its ending."""


class Corpus:
    """Where the clips of one role of some speakers lie. Cheap to send to another process."""

    def __init__(
        self, folders: Sequence[Path], role: Part, split: Split, speakers: Collection[str] | None = None
    ) -> None:
        """Look through the shards without decoding anything.

        Raises:
            ShardError: a shard cannot be read, or there is none of the clips wanted.
        """
        self.infos: dict[str, SampleInfo] = {}
        self._places: dict[str, tuple[Path, _Places]] = {}
        self.short = 0
        for path in shard_paths(folders):
            for key, places in _index(path).items():
                info = sample_info(key, _read(path, {"json": places["json"]} if "json" in places else {}))
                wanted = role == "all" or split.role(info.speaker, info.source) == role
                if not wanted or (speakers is not None and info.speaker not in speakers):
                    continue
                if info.frames < SHORTEST:
                    self.short += 1
                    continue
                self.infos[key], self._places[key] = info, (path, places)
        if not self.infos:
            raise ShardError(self._complaint(role, split, speakers))

    @property
    def clips(self) -> list[tuple[str, str]]:
        """Key and speaker of every clip, sorted."""
        return sorted((key, info.speaker) for key, info in self.infos.items())

    def folder(self, key: str) -> str:
        """Return the name of the folder that a clip lies in."""
        return self._places[key][0].parent.resolve().name

    def sample(self, key: str) -> Sample:
        """Return a clip as its shard holds it."""
        path, places = self._places[key]
        return decode_sample(key, _read(path, places))

    def scene(self, pair: Pair) -> Scene:
        """Return the clips of a pair, decoded."""
        speech, pose, other = (Clip.of(self.sample(key)) for key in (pair.speech, pair.pose, pair.other))
        return Scene(speech, pose, other)

    def _complaint(self, role: Part, split: Split, speakers: Collection[str] | None) -> str:
        who = "" if speakers is None else f" of {', '.join(sorted(speakers))}"
        if self.short:
            return f"all {self.short} clips{who} have fewer than {SHORTEST} frames: prepare longer ones"
        return (
            f"no clips{who} for the role {role!r} (split by {split.by}): --role all measures every clip, which is "
            "right for speakers that the model was not trained on"
        )


def _index(path: Path) -> dict[str, _Places]:
    """Return where the members of each sample lie in a shard."""
    found: dict[str, _Places] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                key, _, ending = Path(entry.name).name.partition(".")
                found.setdefault(key, {})[ending] = (entry.offset_data, entry.size)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ShardError(f"{path} cannot be read ({error}): prepare it again") from error
    return found


def _read(path: Path, places: _Places) -> dict[str, bytes]:
    members = {}
    with path.open("rb") as file:
        for ending, (offset, size) in places.items():
            file.seek(offset)
            members[ending] = file.read(size)
    return members
