"""What a worker does with one video: track it, let the expert listen, keep both in the cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from models.mel import melspectrogram
from realtime.media_file import read_video
from train.data.clips import FPS
from train.data.shards import Sample, ShardError, decode_sample
from train.prepare.cache import Cache, TrackedPart
from train.prepare.faces import FaceFinder
from train.prepare.offset import Curve, Embedder, curve
from train.prepare.settings import Settings
from train.prepare.sound import read_speech
from train.prepare.tracker import track

DAMAGED: Final = "damaged or cut off, what decodes is used"


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with which video.

    Attributes:
        path: the video.
        sha256: of its content.
        cache: folder of the cache.
        settings: how to track and cut.
        expert: file of the sync expert and its fingerprint; None leaves sound and picture as they are.
    """

    path: Path
    sha256: str
    cache: Path
    settings: Settings
    expert: tuple[Path, str] | None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: how long the video is, and whether it had to be worked on."""

    seconds: float
    fresh: bool


def work(job: Job) -> Done:
    """Track a video and listen to it, as far as the cache does not hold it.

    Raises:
        MediaError: the file cannot be read, or has no picture or no sound.
    """
    store = Cache(job.cache, job.settings)
    fresh = not store.holds(job.sha256)
    if not fresh:
        try:
            store.outcome(job.sha256)
        except ShardError:  # damaged on disk since
            store.drop(job.sha256)
            fresh = True
    if fresh:
        _track(job, store)
    if job.expert is not None:
        file, fingerprint = job.expert
        if fresh or store.curves(job.sha256, fingerprint) is None:
            expert = _expert(file)
            heard = {key: listen(decode_sample(key, clip), expert) for key, clip in store.clips(job.sha256)}
            store.write_curves(job.sha256, fingerprint, heard)
            fresh = True
    return Done(store.outcome(job.sha256).frames / FPS, fresh)


def _track(job: Job, store: Cache) -> None:
    finder = _finder(job.settings.faces)
    finder.begin()
    damage: list[int] = []
    speech = read_speech(job.path, damage.append)

    def parts() -> Iterator[TrackedPart]:
        frames = (frame.image for frame in read_video(job.path, FPS, on_damage=damage.append))
        yield from track(frames, speech, job.sha256, finder, job.settings)
        if damage:
            yield TrackedPart((), {DAMAGED: 0})

    store.write(job.sha256, parts(), speech)


def listen(sample: Sample, expert: Embedder) -> Curve:
    """Return how far lips and sound of a clip are apart at each offset."""
    mel = melspectrogram(sample.speech.astype(np.float32) / np.float32(32768.0))
    return curve(*expert.embed(sample.crops, mel))


@cache
def _finder(faces: int) -> FaceFinder:
    """Return this process's finder: its models take a second to load."""
    return FaceFinder(faces)


@cache
def _expert(file: Path) -> Embedder:
    from models.expert.onnx import Expert as OnnxExpert

    expert: Embedder = OnnxExpert.open(file)
    return expert
