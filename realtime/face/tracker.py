"""Follow one face through a video, whoever else comes into view."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.facemesh import FaceMesh
from models.generator import Image, Landmarks
from models.landmarks import HEAD_JUMP, face_distance
from realtime.face.measure import LandmarkSmoother, TrackedFace, describe, face_box, face_looks
from realtime.face.people import MOST_FACES, FaceMark, People, Person, SeenFace, moved

_LOST_AFTER: Final = 5  # frames without the face: then it counts as lost, and all faces are looked for anew
_ALONE_MS: Final = 2000.0  # between two looks for all faces while one is in view
_SEVERAL_MS: Final = 400.0  # between two looks while several are in view
_NEAR_MS: Final = 120.0  # between two looks while faces may cross or the followed one is hidden
_NEAR_WIDTHS: Final = 2.0  # face widths within which another face may cross the followed one


class FaceTracker(Protocol):
    """Follow one face from frame to frame. One thread calls one instance."""

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the face in `image` (H, W, 3) BGR taken at `t_ms`, or None when it is not seen."""

    def close(self) -> None:
        """Free what the tracker holds."""


class MediaPipeTracker:
    """Follow one face with MediaPipe FaceMesh: the largest, or who was chosen. One thread only.

    While one face is in view, others are looked for every 2 s; while there are several, more often. `choose` and
    `follow_next` may be called from any thread.
    """

    def __init__(self) -> None:
        """Load the models."""
        self._mesh, self._finder = FaceMesh(), FaceMesh(static=True, faces=MOST_FACES)
        self._smooth = LandmarkSmoother()
        self._people = People()
        self._wishes: deque[Callable[[], Person | None]] = deque(maxlen=8)
        self.marks: tuple[FaceMark, ...] = ()
        """All faces as seen when they were looked for last, the followed one as it is now; any thread may read it."""
        self._looked_ms: float | None = None
        self._hidden = False
        self._last: Landmarks | None = None
        self._misses = 0
        self._sequence = 0

    def choose(self, x: float, y: float) -> None:
        """Follow the face at the point (px of the image) from the next frame on; does nothing where there is none."""
        self._wishes.append(lambda: self._people.choose(x, y))

    def follow_next(self) -> None:
        """Follow the next face from left to right, and round, from the next frame on."""
        self._wishes.append(self._people.next)

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the followed face; a frame without it gives None and starts a new sequence."""
        landmarks = None if self._last is None or self._hidden else self._mesh.find(image)
        if landmarks is not None and self._jumped(landmarks):
            # A cut, or the graph went over to somebody else.
            self._last = landmarks = None
        if self._due(t_ms):
            landmarks = self._look(image, landmarks, t_ms)
        if landmarks is None:
            self._miss()
            return None
        if self._last is None or self._misses:
            self._sequence += 1
            self._smooth.reset()
        self._last, self._misses = landmarks, 0
        self.marks = moved(self.marks, landmarks)
        followed = self._people.followed
        who = None if followed is None else followed.number
        return describe(image, landmarks, self._smooth(landmarks, t_ms), self._sequence, who)

    def close(self) -> None:
        """Free the models."""
        self._mesh.close()
        self._finder.close()

    def _miss(self) -> None:
        self._misses += 1
        if self._misses >= _LOST_AFTER:
            self._last = None

    def _jumped(self, landmarks: Landmarks) -> bool:
        assert self._last is not None
        return face_distance(self._last, landmarks) > HEAD_JUMP * (1 + self._misses)

    def _due(self, t_ms: float) -> bool:
        """Return whether all faces are to be looked for in this frame."""
        if self._looked_ms is None or self._wishes or not 0.0 <= t_ms - self._looked_ms < _ALONE_MS:
            return True
        if self._last is None and not self._hidden:
            return True
        passed = t_ms - self._looked_ms
        if self._hidden or self._people.near(_NEAR_WIDTHS, t_ms):
            return passed >= _NEAR_MS
        return len(self._people.known) > 1 and passed >= _SEVERAL_MS

    def _look(self, image: Image, landmarks: Landmarks | None, t_ms: float) -> Landmarks | None:
        """Look for all faces and return that of the followed person, None when it is not there."""
        faces = self._finder.find_all(image)
        boxes = [(face.min(0), face.max(0)) for face in faces]
        seen = [
            SeenFace((float(low[0]), float(low[1]), float(high[0]), float(high[1])), face_looks(image, face))
            for (low, high), face in zip(boxes, faces, strict=True)
        ]
        if self._looked_ms is not None and t_ms <= self._looked_ms:
            self._people = People()
        self._looked_ms = t_ms
        self._people.update(seen, t_ms)
        while self._wishes:
            self._wishes.popleft()()
        self.marks = self._people.marks
        shown = self._people.shown
        self._hidden = shown is None and bool(faces)
        if shown is None:
            # The finder may miss the only face, which the graph has; others are not the followed one.
            return None if self._hidden else landmarks
        at = next(face for face, one in zip(faces, seen, strict=True) if one is shown.face)
        if landmarks is not None and face_distance(at, landmarks) <= HEAD_JUMP:
            return landmarks
        self._last = None
        self._mesh.reset()
        return self._mesh.find(image if len(faces) == 1 else _only(image, at))


def _only(image: Image, landmarks: Landmarks) -> Image:
    """Return `image` with all but one face blanked, so that a tracker that sees it settles on that face."""
    margin = 0.35 * np.ptp(landmarks, axis=0)
    x0, y0, x1, y1 = face_box(np.concatenate([landmarks - margin, landmarks + margin]).astype(np.float32), image.shape)
    alone = np.full_like(image, 128)
    alone[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    return alone


class ScriptedTracker:
    """Replay given landmarks, one entry per call, None for a face not seen; the last entry stays. For tests."""

    def __init__(self, script: Sequence[NDArray[np.float32] | None]) -> None:
        if not script:
            raise ValueError("a script needs at least one entry")
        self._script = list(script)
        self._next = 0
        self._sequence = 0
        self._seen = False
        self.closed = False

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        """Return the next entry of the script."""
        landmarks = self._script[min(self._next, len(self._script) - 1)]
        self._next += 1
        if landmarks is None:
            self._seen = False
            return None
        self._sequence += not self._seen
        self._seen = True
        return describe(image, landmarks, landmarks, self._sequence)

    def close(self) -> None:
        """Remember that the tracker was closed."""
        self.closed = True
