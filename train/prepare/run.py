"""A preparation from the list of videos to the shards; what `lipline prepare` runs."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from realtime.media_file import MediaError
from realtime.statusline import StatusLine
from train.data.clips import FPS
from train.data.shards import ShardError
from train.prepare.cache import Cache, file_sha256
from train.prepare.corpus import Video
from train.prepare.job import Done, Job, work
from train.prepare.packer import pack
from train.prepare.report import PreparationReport
from train.prepare.settings import Choice, Settings
from train.prepare.workers import Failure, work_off

TWICE: Final = "same content as another file"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What to prepare and how.

    Attributes:
        out: folder of the shards.
        cache: folder of what is tracked.
        settings: how to track and cut.
        choice: what is kept.
        workers: processes.
        expert: the sync expert's file; None leaves sound and picture as they are.
        reference: descriptor of whom the clips must show; None is anybody.
    """

    out: Path
    cache: Path
    settings: Settings
    choice: Choice
    workers: int
    expert: Path | None = None
    reference: NDArray[np.float16] | None = None


def prepare(videos: Sequence[Video], plan: Preparation, report: PreparationReport, bar: "Bar | None" = None) -> None:
    """Track `videos` as far as the cache does not hold them, then write their shards and REPORT.json.

    What goes wrong with one video is told in `report` and ends nothing. A run that was stopped goes on.

    Raises:
        ShardError: another run uses the cache.
    """
    store = Cache(plan.cache, plan.settings)
    report.videos = len(videos)
    with store.locked():
        tracked = _track_all(videos, plan, report, bar or Bar(len(videos)))
        expert = None if plan.expert is None else _fingerprint(plan.expert)
        shortest = round(plan.settings.shortest_s * FPS)
        pack(tracked, store, plan.out, plan.choice, report, shortest, expert, plan.reference)
    report.write(plan.out)


def _track_all(
    videos: Sequence[Video], plan: Preparation, report: PreparationReport, bar: "Bar"
) -> list[tuple[Video, str]]:
    """Return the videos that could be read, each with the SHA-256 of its content."""
    expert = None if plan.expert is None else (plan.expert.resolve(), _fingerprint(plan.expert))
    by_content: dict[str, Video] = {}

    def jobs() -> Iterator[Job]:
        for video in videos:
            try:
                sha256 = file_sha256(video.path)
            except OSError as error:
                report.left_out(video.path.name, {f"cannot be read ({error.strerror})": 0})
                bar.show(None)
                continue
            if sha256 in by_content:
                report.left_out(video.path.name, {TWICE: 0})
                bar.show(None)
                continue
            by_content[sha256] = video
            yield Job(video.path, sha256, plan.cache, plan.settings, expert)

    tracked = []
    for job, result in work_off(jobs(), work, plan.workers, (MediaError, ModelError, ShardError)):
        if isinstance(result, Failure):
            reason = result.reason.replace(str(job.path), "the file").replace(job.path.name, "the file")
            report.left_out(job.path.name, {reason.partition(": ")[0]: 0})
            bar.show(None)
        else:
            tracked.append((by_content[job.sha256], job.sha256))
            bar.show(result)
    bar.end()
    return tracked


def _fingerprint(expert: Path) -> str:
    return file_sha256(expert)[:12]


@dataclass
class Bar:
    """Count videos and show progress on `status`; in a log, a line per tenth.

    Attributes:
        total: number of videos.
        status: where progress is shown.
    """

    total: int
    status: StatusLine = field(default_factory=lambda: StatusLine(every_s=0.2))
    _done: int = 0
    _fresh: int = 0
    _seconds: float = 0.0
    _begun: float = field(default_factory=time.monotonic)

    def show(self, done: Done | None) -> None:
        """Count a video; None is one that could not be used."""
        self._done += 1
        if done is not None and done.fresh:
            self._fresh += 1
            self._seconds += done.seconds
        self.status.show(self.line(time.monotonic()), self._done * 10 // self.total or None)

    def line(self, now: float) -> str:
        """Return the progress at the monotonic time `now`; what was in the cache counts for nothing in the rate."""
        passed = max(now - self._begun, 1e-9)
        text = f"prepare: {self._done}/{self.total} videos"
        if not self._fresh:
            return text
        left = (self.total - self._done) * passed / self._fresh
        speed = self._seconds / passed
        return f"{text}, {self._fresh / passed:.1f} a second ({speed:.1f} x real time), {_clock(left)} left"

    def end(self) -> None:
        """Leave the line."""
        self.status.end()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
