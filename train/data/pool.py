"""The clips that a trainer draws from at a step.

They are the whole corpus when it fits into memory, else a window that slides through it. The same seed and step give
the same clips, so that a resumed run sees what an uninterrupted one would.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from train.data.clips import FPS, Clip, Role, Split
from train.data.shards import ShardError, decode_sample, read_infos, read_members, sample_info, shard_paths

CAPACITY: Final = 6 << 30
"""Bytes of decoded clips that are held by default: 80 minutes at 128 px."""


class ClipSource(Protocol):
    """Give the clips that a task draws from; a `Pool` does."""

    def at(self, step: int) -> Sequence[Clip]:
        """Return the clips to draw from at `step`; steps may be skipped but never go back."""


class Pool:
    """The clips of some roles. Not thread-safe."""

    def __init__(
        self,
        folders: Sequence[Path],
        split: Split,
        roles: Collection[Role],
        *,
        speakers: Collection[str] | None = None,
        capacity_bytes: int = CAPACITY,
        steps_per_clip: float = 1.0,
        seed: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Look through the shards in `folders`.

        Args:
            folders: folders with shards, or shards.
            split: who is kept from training.
            roles: whose clips are wanted.
            speakers: only these; None is everybody.
            capacity_bytes: decoded clips in memory at once.
            steps_per_clip: when the corpus is larger than that, steps after which the oldest clip makes room.
            seed: of the order of a larger corpus.
            rank: this process in a distributed run; each streams its own part of a larger corpus.
            world: processes of that run.

        Raises:
            ShardError: no shards, or none with such clips.
        """
        self._paths = shard_paths(folders)
        self._split, self._roles, self._speakers = split, frozenset(roles), speakers
        self._seed, self._rank, self._world, self._pace = seed, rank, world, steps_per_clip
        infos = [
            info for path in self._paths for _, info in read_infos(path) if self._wanted(info.speaker, info.source)
        ]
        if not infos:
            who = "" if speakers is None else f" of {', '.join(sorted(speakers))}"
            raise ShardError(f"no clips{who} for {' or '.join(sorted(roles))}: prepare more videos or change the split")
        self.count = len(infos)
        self.minutes = sum(info.frames for info in infos) / FPS / 60.0
        per_frame = 468 * 8 + 1280
        size = sum(info.frames * (info.size**2 * 3 + per_frame) for info in infos)
        self._held: deque[Clip] = deque()
        self._begin = 0
        self._stream: Iterator[Clip] | None = None
        # A larger corpus: as many clips as fit on average.
        self._window = None if size <= capacity_bytes else max(1, int(capacity_bytes * len(infos) / size))

    @property
    def streams(self) -> bool:
        """Whether the corpus is larger than the memory it may take."""
        return self._window is not None

    def at(self, step: int) -> Sequence[Clip]:
        """Return the clips to draw from at `step`; steps may be skipped but never go back."""
        if self._window is None:
            if not self._held:
                self._held.extend(clip for path in self._paths for clip in self._read(path))
            return self._held
        begin = int(step / self._pace)
        if self._stream is None:
            self._stream, self._begin = self._endless(begin), begin
        if begin < self._begin:
            raise ValueError(f"step {step} lies before clips that were dropped: make a new Pool")
        for _ in range(begin - self._begin):
            if self._held:
                self._held.popleft()
            else:
                next(self._stream)
        self._begin = begin
        self._held.extend(islice(self._stream, self._window - len(self._held)))
        return self._held

    def _endless(self, skip: int) -> Iterator[Clip]:
        """Yield this rank's clips for ever, shards in another order each round; the first `skip` are not decoded."""
        place = epoch = 0
        while True:
            for index in np.random.default_rng((self._seed, epoch)).permutation(len(self._paths)):
                for key, members in read_members(self._paths[index]):
                    info = sample_info(key, members)
                    if not self._wanted(info.speaker, info.source):
                        continue
                    # Ranks take turns, so that they never hold the same clip at the same time.
                    turn, rank = divmod(place, self._world)
                    place += 1
                    if rank == self._rank and turn >= skip:
                        yield Clip.of(decode_sample(key, members))
            epoch += 1

    def _read(self, path: Path) -> Iterator[Clip]:
        wanted = {key for key, info in read_infos(path) if self._wanted(info.speaker, info.source)}
        for key, members in read_members(path):
            if key in wanted:
                yield Clip.of(decode_sample(key, members))

    def _wanted(self, speaker: str, source: str) -> bool:
        chosen = self._speakers is None or speaker in self._speakers
        return chosen and self._split.role(speaker, source) in self._roles
