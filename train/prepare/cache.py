"""What tracking a video gave, kept by the video's content: one tar per video, read again instead of tracking again.

A file is written under another name and renamed when it is whole, so that a stopped run leaves nothing half-made.
"""

import fcntl
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.data.shards import FRAME_SAMPLES, Sample, ShardError, ShardWriter, encode_sample, read_members
from train.prepare.offset import Curve
from train.prepare.settings import Settings

_OUTCOME: Final = "outcome"
_SPEECH: Final = "speech"
_DESCRIPTOR: Final = "descriptor.npy"


@dataclass(frozen=True, slots=True)
class CandidateClip:
    """Description of a clip that was cut from a video and may be kept.

    Attributes:
        key: its name in the cache, unique in the video.
        first: its first frame in the video.
        frames: how many.
        eyes: median distance of the outer eye corners in the video, px: how large the face is.
        part: which minute or so of the video it is from; the offset of sound and picture is found for each.
    """

    key: str
    first: int
    frames: int
    eyes: float
    part: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a video gave: all candidates, how many frames it has, and how many are in none of them, by reason.

    A reason with 0 frames is a remark on the video. `sound` is the length of its sound in whole frames.
    """

    frames: int
    sound: int
    lost: Mapping[str, int]
    candidates: tuple[CandidateClip, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A candidate with its clip, not yet moved to its sound, and who it looks like (reference.describe)."""

    candidate: CandidateClip
    sample: Sample
    descriptor: NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class TrackedPart:
    """What a part of a video gave.

    Attributes:
        clips: cut from it.
        lost: how many of its frames are in no clip, by reason; 0 is a remark on the video.
    """

    clips: Sequence[Tracked]
    lost: Mapping[str, int]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """Keep what was tracked with some settings. Processes may share a folder as long as each writes other videos."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Use `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._suffix = folder, settings.fingerprint()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run away.

        Raises:
            ShardError: one is using the folder.
        """
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ShardError(f"another run uses the cache {self._folder}: wait for it or give --cache") from error
            yield

    def holds(self, sha256: str) -> bool:
        """Say whether the video with this content has been tracked."""
        return self._tar(sha256).is_file()

    def write(self, sha256: str, parts: Iterable[TrackedPart], speech: NDArray[np.int16]) -> None:
        """Write what tracking gives, as it gives it. Every frame is in a clip or counted as lost."""
        candidates, frames, lost = [], set[int](), Counter[str]()
        with ShardWriter(self._tar(sha256).parent, self._name(sha256), limit_bytes=1 << 62) as writer:
            for part in parts:
                lost.update(part.lost)
                for one in part.clips:
                    members = encode_sample(one.sample) | {_DESCRIPTOR: _bytes(one.descriptor)}
                    writer.write_members(one.sample.key, members)
                    candidates.append(asdict(one.candidate))
                    frames |= set(range(one.candidate.first, one.candidate.first + one.candidate.frames))
            outcome = {
                "frames": len(frames) + lost.total(),
                "sound": len(speech) // FRAME_SAMPLES,
                "lost": dict(lost),
                "candidates": candidates,
            }
            writer.write_members(_SPEECH, {"npy": _bytes(speech)})
            writer.write_members(_OUTCOME, {"json": json.dumps(outcome).encode()})

    def outcome(self, sha256: str) -> Outcome:
        """Return what a tracked video gave.

        Raises:
            ShardError: the file is damaged.
        """
        try:
            said = json.loads(dict(read_members(self._tar(sha256), ("json",)))[_OUTCOME]["json"])
            candidates = tuple(CandidateClip(**one) for one in said["candidates"])
            return Outcome(said["frames"], said["sound"], said["lost"], candidates)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(sha256, error) from error

    def clips(self, sha256: str) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Yield key and members (`decode_sample` reads them) of every candidate; ShardError as above."""
        for key, members in read_members(self._tar(sha256)):
            if key not in (_OUTCOME, _SPEECH):
                yield key, members

    def descriptors(self, sha256: str) -> dict[str, NDArray[np.float16]]:
        """Return who each candidate looks like; ShardError as above."""
        found = read_members(self._tar(sha256), (_DESCRIPTOR,))
        return {key: np.asarray(_array(members[_DESCRIPTOR]), np.float16) for key, members in found if members}

    def speech(self, sha256: str) -> NDArray[np.int16]:
        """Return the whole sound of a video, 16 kHz; ShardError as above."""
        try:
            return np.asarray(_array(dict(read_members(self._tar(sha256), ("npy",)))[_SPEECH]["npy"]), dtype=np.int16)
        except (KeyError, ValueError) as error:
            raise self._damaged(sha256, error) from error

    def drop(self, sha256: str) -> None:
        """Forget a video, so that it is tracked anew."""
        self._tar(sha256).unlink(missing_ok=True)

    def curves(self, sha256: str, expert: str) -> dict[str, Curve] | None:
        """Return what the expert with this fingerprint heard in every candidate; None when it has not listened."""
        path = self._curves(sha256, expert)
        if not path.is_file():
            return None
        try:
            return {key: Curve.from_json(one) for key, one in json.loads(path.read_text()).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(sha256, error) from error

    def write_curves(self, sha256: str, expert: str, curves: Mapping[str, Curve]) -> None:
        """Keep what an expert heard."""
        path = self._curves(sha256, expert)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({key: one.to_json() for key, one in curves.items()}))
        partial.replace(path)

    def _name(self, sha256: str) -> str:
        return f"{sha256}-{self._suffix}"

    def _tar(self, sha256: str) -> Path:
        # The first (and only) shard of that name.
        return self._folder / sha256[:2] / f"{self._name(sha256)}-000000.tar"

    def _curves(self, sha256: str, expert: str) -> Path:
        return self._folder / sha256[:2] / f"{self._name(sha256)}-{expert}.json"

    def _damaged(self, sha256: str, error: Exception) -> ShardError:
        name = self._tar(sha256).name
        return ShardError(f"{name} in the cache is damaged ({error}): delete it and prepare again")


def _bytes(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _array(content: bytes) -> NDArray[np.generic]:
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
