"""The clips that are measured: those of one role in prepared shards, decoded when they are needed."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal

from train.clips import Clip, Split
from train.evaluate.pairs import Pair
from train.evaluate.protocol import Scene
from train.shards import SampleInfo, ShardError, decode_sample, read_infos, read_members, shard_paths

Part = Literal["test", "train", "judge", "all"]

SHORTEST: Final = 25
"""Frames a clip must have: both halves of it need a mouth that opens and closes."""


class Corpus:
    """Hold the clips of one role of some speakers."""

    def __init__(
        self, folders: Sequence[Path], role: Part, split: Split, speakers: Collection[str] | None = None
    ) -> None:
        """Look through the shards.

        Raises:
            ShardError: no shards, or none of the clips wanted.
        """
        self._paths = shard_paths(folders)
        self.infos: dict[str, SampleInfo] = {}
        short = 0
        for path in self._paths:
            for key, info in read_infos(path):
                wanted = role == "all" or split.role(info.speaker, info.source) == role
                if wanted and (speakers is None or info.speaker in speakers):
                    short += info.frames < SHORTEST
                    if info.frames >= SHORTEST:
                        self.infos[key] = info
        if not self.infos:
            raise ShardError(self._complaint(role, split, speakers, short))
        self._clips: dict[str, Clip] = {}

    @property
    def clips(self) -> list[tuple[str, str]]:
        """Key and speaker of every clip, sorted."""
        return sorted((key, info.speaker) for key, info in self.infos.items())

    def load(self, keys: Collection[str]) -> None:
        """Decode these clips."""
        wanted = set(keys) - set(self._clips)
        for path in self._paths if wanted else ():
            for key, members in read_members(path):
                if key in wanted:
                    self._clips[key] = Clip.of(decode_sample(key, members))

    def scene(self, pair: Pair) -> Scene:
        """Return the clips of a pair whose keys were loaded."""
        return Scene(self._clips[pair.speech], self._clips[pair.pose], self._clips[pair.other])

    @staticmethod
    def _complaint(role: Part, split: Split, speakers: Collection[str] | None, short: int) -> str:
        who = "" if speakers is None else f" of {', '.join(sorted(speakers))}"
        if short:
            return f"all {short} clips{who} have fewer than {SHORTEST} frames: prepare longer ones"
        return (
            f"no clips{who} for the role {role!r} (split by {split.by}): --role all measures every clip, which is "
            "right for speakers that the model was not trained on"
        )
