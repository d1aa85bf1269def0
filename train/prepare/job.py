"""What a worker does with one video: track it, let the listener hear it, keep both in the cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from realtime.media_file import read_video
from train.data.clips import FPS
from train.data.shards import Sample, ShardError, decode_sample
from train.prepare.cache import Cache, TrackedPart
from train.prepare.faces import FaceFinder
from train.prepare.listener import Listener, open_listener
from train.prepare.offset import Curve, curve
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
        expert: file of the listener and its fingerprint; None leaves sound and picture as they are.
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
            listener = open_listener(file)
            heard = {key: listen(decode_sample(key, clip), listener) for key, clip in store.clips(job.sha256)}
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


def listen(sample: Sample, listener: Listener) -> Curve:
    """Return how far lips and sound of a clip are apart at each offset."""
    return curve(*listener.embed(sample))


@cache
def _finder(faces: int) -> FaceFinder:
    """Return this process's finder: its models take a second to load."""
    return FaceFinder(faces)
