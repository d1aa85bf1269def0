"""Prepared clips on disk: tar files that a trainer streams, in the layout of WebDataset.

One sample is four members of a tar with the same key: `KEY.json` (SampleInfo), `KEY.jpg` (the aligned crops one above
the other), `KEY.landmarks.npy` and `KEY.wav`. Ordinary tools open all of them.
"""

import io
import json
import tarfile
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.mel import SAMPLE_RATE

FRAME_SAMPLES: Final = SAMPLE_RATE // 25
"""Samples of speech that belong to one frame."""

LIMIT_BYTES: Final = 256 << 20
_TALLEST: Final = 65_500  # px that a JPEG can be high
_JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


class ShardError(ValueError):
    """Which shard cannot be read or written, and what to do."""


@dataclass(frozen=True, slots=True)
class SampleInfo:
    """Description of one clip.

    Attributes:
        speaker: who speaks.
        source: stem of the video's file name.
        source_sha256: of the video's content.
        start_s: where the clip begins in the video.
        frames: length at 25 fps.
        size: side of the crops, px.
        offset_ms: audio-visual offset that was found and corrected; None when it was not measured.
        confidence: of that offset (LSE-C); None likewise.
        sharpness: median variance of the Laplacian over the mouth.
        yaw: largest absolute turn of the head, degrees.
        mesh: which landmarks there are: 1 of FaceMesh 0.10.21, 2 of Face Landmarker (models.facemesh).
    """

    speaker: str
    source: str
    source_sha256: str
    start_s: float
    frames: int
    size: int
    offset_ms: float | None
    confidence: float | None
    sharpness: float
    yaw: float
    mesh: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One clip; frame i shows sample 640 i of the speech.

    Attributes:
        key: unique in its corpus, without a dot.
        crops: (T, S, S, 3) uint8 BGR aligned crops.
        landmarks: (T, 468, 2) float32 px of the crop.
        speech: (n,) int16 mono at 16 kHz.
    """

    key: str
    info: SampleInfo
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    speech: NDArray[np.int16]


def encode_sample(sample: Sample) -> dict[str, bytes]:
    """Return the members of a sample by their endings.

    Raises:
        ShardError: the key has a dot or slash, or frames times size exceeds 65,500 px (10 s at 256 px fit).
    """
    frames, size = sample.crops.shape[:2]
    if "." in sample.key or "/" in sample.key:
        raise ShardError(f"the key {sample.key!r} has a dot or a slash: WebDataset would cut it there")
    if frames * size > _TALLEST:
        raise ShardError(f"{sample.key}: {frames} crops of {size} px make no JPEG: cut shorter clips or smaller crops")
    done, strip = cv2.imencode(".jpg", sample.crops.reshape(frames * size, size, 3), _JPEG)
    if not done:
        raise ShardError(f"{sample.key}: its crops cannot be written as JPEG")
    points = io.BytesIO()
    np.save(points, sample.landmarks.astype(np.float32), allow_pickle=False)
    return {
        "json": encode_info(sample.info),
        "jpg": strip.tobytes(),
        "landmarks.npy": points.getvalue(),
        "wav": encode_speech(sample.speech),
    }


def encode_info(info: SampleInfo) -> bytes:
    """Return the member `json`."""
    return json.dumps(asdict(info), sort_keys=True).encode()


def encode_speech(speech: NDArray[np.int16]) -> bytes:
    """Return the member `wav` of (n,) int16 mono at 16 kHz."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(speech.astype("<i2").tobytes())
    return sound.getvalue()


def sample_info(key: str, members: Mapping[str, bytes]) -> SampleInfo:
    """Return the description among a sample's members; raises ShardError when it is missing or damaged."""
    try:
        return SampleInfo(**json.loads(members["json"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"the sample {key} is damaged ({error}): prepare its corpus again") from error


def decode_sample(key: str, members: Mapping[str, bytes]) -> Sample:
    """Undo `encode_sample`.

    Raises:
        ShardError: a member is missing or damaged.
    """
    info = sample_info(key, members)
    try:
        strip = cv2.imdecode(np.frombuffer(members["jpg"], dtype=np.uint8), cv2.IMREAD_COLOR)
        crops = np.asarray(strip, dtype=np.uint8).reshape(info.frames, info.size, info.size, 3)
        landmarks = np.load(io.BytesIO(members["landmarks.npy"]), allow_pickle=False).reshape(info.frames, 468, 2)
        with wave.open(io.BytesIO(members["wav"])) as file:
            speech = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (KeyError, TypeError, ValueError, EOFError, wave.Error) as error:
        raise ShardError(f"the sample {key} is damaged ({error}): prepare its corpus again") from error
    return Sample(key, info, crops, landmarks.astype(np.float32), speech.astype(np.int16))


class ShardWriter:
    """Write samples into NAME-000000.tar and so on; a shard gets its name when it is complete. Not thread-safe."""

    def __init__(self, folder: Path, name: str, limit_bytes: int = LIMIT_BYTES) -> None:
        """Write into `folder`, which is made; a new shard begins when one holds `limit_bytes`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._limit = folder, name, limit_bytes
        self._count = self._bytes = 0
        self._tar: tarfile.TarFile | None = None

    def write(self, sample: Sample) -> None:
        """Add a sample; raises ShardError as `encode_sample` does."""
        self.write_members(sample.key, encode_sample(sample))

    def write_members(self, key: str, members: Mapping[str, bytes]) -> None:
        """Add a sample that is encoded already."""
        if self._tar is None:
            self._tar = tarfile.open(self._partial, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - stays open over calls
        for ending, content in members.items():
            # Times and owners stay zero, so that equal samples make equal shards.
            entry = tarfile.TarInfo(f"{key}.{ending}")
            entry.size = len(content)
            self._tar.addfile(entry, io.BytesIO(content))
            self._bytes += len(content)
        if self._bytes >= self._limit:
            self.close()

    def close(self) -> None:
        """Finish the shard that is being written."""
        if self._tar is None:
            return
        self._tar.close()
        self._partial.replace(self._folder / f"{self._name}-{self._count:06d}.tar")
        self._tar, self._bytes = None, 0
        self._count += 1

    @property
    def _partial(self) -> Path:
        return self._folder / f"{self._name}-{self._count:06d}.tar.partial"

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        # After an error the last shard is not whole, and must not look so.
        if kind is None:
            self.close()
        elif self._tar is not None:
            self._tar.close()
            self._partial.unlink(missing_ok=True)


def shard_paths(folders: Sequence[Path]) -> list[Path]:
    """Return the shards in `folders` (or the shards named), sorted within each.

    Raises:
        ShardError: a folder holds none.
    """
    paths: list[Path] = []
    for folder in folders:
        found = [folder] if folder.is_file() else sorted(folder.glob("*.tar"))
        if not found:
            raise ShardError(f"no shards in {folder}: make them with `lipline prepare VIDEO... --out {folder}`")
        paths += found
    return paths


def read_members(
    path: Path, endings: Sequence[str] = ("json", "jpg", "landmarks.npy", "wav")
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield (key, members) of a shard in the order they lie in it, reading only the `endings` asked for.

    Raises:
        ShardError: the file is no tar or ends too early.
    """
    key, members = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                name, _, ending = Path(entry.name).name.partition(".")
                if name != key and members:
                    yield key, members
                    members = {}
                key = name
                content = tar.extractfile(entry) if ending in endings else None
                if content is not None:
                    members[ending] = content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ShardError(f"{path} cannot be read ({error}): prepare it again") from error
    if members:
        yield key, members


def read_samples(path: Path) -> Iterator[Sample]:
    """Yield the samples of a shard; raises ShardError when it is damaged."""
    for key, members in read_members(path):
        yield decode_sample(key, members)


def read_infos(path: Path) -> Iterator[tuple[str, SampleInfo]]:
    """Yield key and description of every sample of a shard without decoding it."""
    for key, members in read_members(path, ("json",)):
        yield key, sample_info(key, members)
