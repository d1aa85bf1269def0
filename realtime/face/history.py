"""Past frames of the caller: what a synthetic frame is made from. Pure: NumPy only, bounded in time and bytes."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.landmarks import eye_distance
from realtime.face.pastframe import PastFrame, count_bytes, motion
from realtime.face.posepath import PosePath

_BIN_EDGES: Final = (0.015, 0.04, 0.08, 0.13, 0.20)
_PER_BIN: Final = 2
_GALLERY_MS: Final = 120_000.0  # light and hair-do change; a reference older than this may not match
_GAP_MS: Final = 150.0
_SHARP: Final = 0.6  # of the median sharpness: below, a frame is too blurred to take teeth and lips from
_FRONTAL: Final = 25.0  # degrees
# One step in a hundred exceeds the 99th percentile by definition. The path may cross such a step, where the renderer
# spreads it over several frames; what is twice as large is a cut or a fault of the tracker.
_CROSSABLE: Final = 2.0


def natural_motion(frames: Iterable[PastFrame]) -> float:
    """Return the 99th percentile of frame-to-frame head motion in px within sections, cuts left out; 0 when unknown."""
    frames = list(frames)
    moved = np.array(
        [
            motion(a.landmarks, b.landmarks) if b.moved is None else b.moved
            for a, b in pairwise(frames)
            if a.section == b.section
        ]
    )
    if not moved.size:
        return 0.0
    # A join of two takes moves the whole face at once, ten times as far as heads do.
    cut = 10.0 * float(np.median(moved)) + 0.01 * eye_distance(frames[-1].landmarks)
    natural = moved[moved <= cut]
    return float(np.percentile(natural, 99, method="lower")) if natural.size else 0.0


class History:
    """The last seconds of tracked frames, and a gallery of good ones that are kept for longer. Not thread-safe."""

    def __init__(self, max_ms: float = 8000.0, max_bytes: int = 256 << 20) -> None:
        """Set the limits: `max_ms` of contiguous frames, `max_bytes` for all pixels and features together."""
        self._max_ms, self._max_bytes = max_ms, max_bytes
        self._frames: deque[PastFrame] = deque()
        self._gallery: list[list[PastFrame]] = [[] for _ in range(len(_BIN_EDGES) + 1)]
        self._section = 0
        self._sequence: int | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes held, frames that are in both places counted once."""
        return sum(frame.nbytes for frame in self._all())

    @property
    def last(self) -> PastFrame | None:
        """The newest frame, or None."""
        return self._frames[-1] if self._frames else None

    @property
    def frames(self) -> tuple[PastFrame, ...]:
        """The recent frames, oldest first."""
        return tuple(self._frames)

    def interrupt(self) -> None:
        """Note that the face was not seen: no path leads across this moment."""
        self._sequence = None
        self._section += 1

    def retract(self, since_ms: float) -> None:
        """Remove frames newer than `since_ms`, which show what they should not, here and in the gallery."""
        self._frames = deque(frame for frame in self._frames if frame.media_ms <= since_ms)
        self._gallery = [[frame for frame in bin_ if frame.media_ms <= since_ms] for bin_ in self._gallery]

    def add(self, frame: PastFrame, sequence: int = 0) -> None:
        """Add `frame`, the newest; its `section` is filled in.

        A change of `sequence` (the tracker's), a gap in time, time running back or another image size starts a section.
        """
        last = self.last
        if last is not None and (
            sequence != self._sequence
            or not 0.0 < frame.media_ms - last.media_ms <= _GAP_MS
            or frame.image.shape != last.image.shape
        ):
            self._section += 1
        if last is not None and frame.image.shape != last.image.shape:
            # Frames of another size can be neither pose nor reference any more.
            self._frames.clear()
            self._gallery = [[] for _ in self._gallery]
        self._sequence = sequence
        frame.section = self._section
        self._frames.append(frame)
        self._consider(frame)
        self._trim()

    def keep_features(self, frame: PastFrame, features: Any) -> None:
        """Store what a generator computed for `frame`, unless that would exceed the memory limit."""
        if self.nbytes + count_bytes(features) <= self._max_bytes:
            frame.features = features

    def path(self, seed: int = 0) -> PosePath:
        """Return a pose path that begins at the newest frame.

        Its steps lead from frame to neighbouring frame, none further than twice `natural_motion`, none across a cut or
        a moment without a face.

        Raises:
            LookupError: there is no frame.
        """
        if not self._frames:
            raise LookupError("history is empty: no face was seen yet")
        first, last = self._stretches()[-1]
        return self._path(first, last, last, seed)

    def detour(self, shortest: int, seed: int = 0) -> PosePath | None:
        """Return a path over the longest other stretch, beginning where its pose is nearest to the newest frame.

        It does not join the newest frame: whoever takes it must bridge the difference. None when no other stretch has
        `shortest` frames or more.
        """
        others = [(last - first + 1, first, last) for first, last in self._stretches()[:-1]]
        if not others or max(others)[0] < shortest:
            return None
        _, first, last = max(others)
        newest = self._frames[-1].landmarks
        near = min(range(first, last + 1), key=lambda index: motion(self._frames[index].landmarks, newest))
        return self._path(first, last, near, seed)

    def _stretches(self) -> list[tuple[int, int]]:
        """Return first and last index of each run of frames that a path may walk, oldest run first."""
        limit = _CROSSABLE * natural_motion(self._frames)
        cuts = [i for i, (a, b) in enumerate(pairwise(self._frames), 1) if not self._joined(a, b, limit)]
        return [(first, end - 1) for first, end in pairwise([0, *cuts, len(self._frames)])]

    def _path(self, first: int, last: int, begin: int, seed: int) -> PosePath:
        stretch = [self._frames[index] for index in range(first, last + 1)]
        times = np.array([frame.media_ms for frame in stretch])
        interval = float(np.median(np.diff(times))) if len(stretch) > 1 else 40.0
        return PosePath(stretch, self._costs(stretch), self._blinks(stretch), interval, seed, begin - first)

    def references(self, count: int, near: PastFrame | None = None) -> list[PastFrame]:
        """Return up to `count` frames with mouth openings spread over what was seen, most closed first.

        Sharp frames near the pose of `near` (default: the newest frame) come first. At least one frame unless empty.
        """
        near = near or self.last
        if near is None or count < 1:
            return []
        typical = self._median(frame.sharpness for frame in self._frames)
        pool = [frame for frame in self._all() if self._usable(frame, typical)] or [near]
        openings = np.array([frame.opening for frame in pool])
        low, high = float(openings.min()), float(openings.max())
        poor = np.array([self._distance(frame, near) for frame in pool])
        chosen: list[int] = []
        for wanted in np.linspace(low, high, count) if count > 1 else [low]:
            # A spread of openings counts more than the nearest pose: teeth and lips come from these frames.
            cost = 4.0 * np.abs(openings - wanted) / max(high - low, 0.05) + poor
            cost[chosen] = np.inf
            if np.isfinite(cost).any():
                chosen.append(int(np.argmin(cost)))
        return sorted((pool[index] for index in chosen), key=lambda frame: frame.opening)

    def _all(self) -> list[PastFrame]:
        seen: dict[int, PastFrame] = {id(frame): frame for frame in self._frames}
        seen.update((id(frame), frame) for bin_ in self._gallery for frame in bin_)
        return list(seen.values())

    def _median(self, values: Iterable[float]) -> float:
        return float(np.median(list(values)))

    @staticmethod
    def _usable(frame: PastFrame, typical: float) -> bool:
        return frame.sharpness >= _SHARP * typical and abs(frame.yaw) <= _FRONTAL

    @staticmethod
    def _distance(frame: PastFrame, near: PastFrame) -> float:
        size = eye_distance(frame.landmarks) / max(eye_distance(near.landmarks), 1e-6)
        blur = max(0.0, 1.0 - frame.sharpness / max(near.sharpness, 1e-9))
        # Equally bad: a turn of 15 degrees, a face 1.4 times as large or as small, a frame without any sharpness.
        return abs(frame.yaw - near.yaw) / 15.0 + 3.0 * abs(float(np.log(max(size, 1e-6)))) + blur

    def _consider(self, frame: PastFrame) -> None:
        bin_ = self._gallery[int(np.searchsorted(_BIN_EDGES, frame.opening))]
        bin_[:] = [past for past in bin_ if frame.media_ms - past.media_ms <= _GALLERY_MS]
        if not self._usable(frame, self._median(past.sharpness for past in self._frames)):
            return
        bin_.append(frame)
        if len(bin_) > _PER_BIN:
            bin_.remove(min(bin_, key=lambda past: past.sharpness * (1.0 - abs(past.yaw) / 90.0)))

    def _trim(self) -> None:
        newest = self._frames[-1].media_ms
        while len(self._frames) > 1 and abs(newest - self._frames[0].media_ms) > self._max_ms:
            self._frames.popleft()
        while len(self._frames) > 1 and self.nbytes > self._max_bytes:
            self._frames.popleft()
        while self.nbytes > self._max_bytes and any(self._gallery):
            max(self._gallery, key=len).pop(0)

    @staticmethod
    def _joined(before: PastFrame, after: PastFrame, limit: float) -> bool:
        # Rounding of the stored float32 landmarks must not cut the very motion that set the limit.
        return before.section == after.section and motion(before.landmarks, after.landmarks) <= limit + 1e-4

    def _blinks(self, stretch: Sequence[PastFrame]) -> NDArray[np.bool_]:
        eyes = np.array([frame.eyes for frame in stretch])
        return np.asarray(eyes < 0.65 * self._median(frame.eyes for frame in self._frames))

    def _costs(self, stretch: Sequence[PastFrame]) -> NDArray[np.float64]:
        """Return the cost of each frame as a pose: blur, turn, or an open mouth, whose jaw moves to unheard words."""
        typical = self._median(frame.sharpness for frame in self._frames)
        blur = [max(0.0, 1.0 - frame.sharpness / max(typical, 1e-9)) for frame in stretch]
        turn = [max(0.0, abs(frame.yaw) - 15.0) / 10.0 for frame in stretch]
        jaw = [frame.opening * 2.0 for frame in stretch]
        return np.asarray(np.array(blur) * 2.0 + np.array(turn) + np.array(jaw), dtype=np.float64)
