"""Bring what the processes of a call found onto one time line, ready to be measured and drawn."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from client.rig.call import CallResult
from client.rig.clip import FPS, PlayedClip
from client.rig.picture import brightness, picture_delay, planar, shrunk
from client.rig.sound import NEAR_MS, AudioDelay, audio_delay, speaking
from client.rig.timeline import Floats, Span, match_kinds, spans
from models.facemesh import POINTS, FaceMesh
from models.generator import Image
from models.landmarks import mouth_opening
from realtime.picture.monitor import VideoMonitorConfig

SWITCH_TAIL = 2
"""Pictures after the first one of a new state that still belong to the switch."""

HAND_BACK_MS = VideoMonitorConfig().hand_back_ms
"""What the engine takes to hand back, when the head has not far to go."""

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """What is true of the clip.

    Attributes:
        times_ms: (n,) time of each frame.
        points: (n, 468, 2) landmarks of each frame in px, NaN without a face.
        opening: (n,) mouth opening in each frame, NaN without a face.
        small: (n, 36, 48) uint8 brightness of each frame.
    """

    times_ms: Floats
    points: Points
    opening: Floats
    small: NDArray[np.uint8]


@dataclass(frozen=True)
class Evidence:
    """One call as the viewer had it.

    Attributes:
        result: what the processes found.
        states: spans of the node's states.
        kinds: (n,) kind of each picture as the node sent it, "real", "synth" or "repeated"; "" when that is not known.
        points: (n, 468, 2) landmarks in each picture in px, NaN without a face.
        opening: (n,) mouth opening in each picture, NaN without a face.
        differs: (n,) whether each picture differs from the one before it.
        delay: how late the sound was.
        skew_ms: (n,) how much later than the sound heard with it each recognised picture was; NaN for others and while
            nobody speaks.
        seconds: length of the call.
    """

    result: CallResult
    states: list[Span]
    kinds: NDArray[np.str_]
    points: Points
    opening: Floats
    differs: NDArray[np.bool_]
    delay: AudioDelay
    skew_ms: Floats
    seconds: float

    @property
    def frame_ms(self) -> Floats:
        """Arrival of each picture."""
        return self.result.seen.frame_ms

    def picture(self, row: int) -> Image:
        """Return picture `row` as BGR."""
        return bgr(self.result.seen.frames[row])

    def synthetic(self) -> list[Span]:
        """Return the stretches in which the viewer saw synthetic pictures, by arrival, hand-back included."""
        rows = self.kinds == "synth"
        edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
        found: list[Span] = []
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            first, last = float(self.frame_ms[start]), float(self.frame_ms[end - 1])
            # A single repeated picture within a stretch does not end it.
            if found and first - found[-1].end_ms < 250.0:
                found[-1] = Span("synth", found[-1].start_ms, last + 1.0)
            else:
                found.append(Span("synth", first, last + 1.0))
        return found

    def entry(self, span: Span) -> NDArray[np.bool_]:
        """Return which pictures make the switch into the synthetic stretch `span`: its first and two more."""
        first = int(np.searchsorted(self.frame_ms, span.start_ms))
        return self._rows(first, first + 1 + SWITCH_TAIL)

    def hand_back(self, span: Span) -> NDArray[np.bool_]:
        """Return which pictures make the switch out of `span`: its hand-back and the first three real ones."""
        after = int(np.searchsorted(self.frame_ms, span.end_ms))
        return self._rows(int(np.searchsorted(self.frame_ms, span.end_ms - HAND_BACK_MS)), after + 1 + SWITCH_TAIL)

    def _rows(self, start: int, end: int) -> NDArray[np.bool_]:
        rows = np.zeros(len(self.frame_ms), np.bool_)
        rows[start:end] = True
        return rows


def truth(clip: PlayedClip) -> Truth:
    """Look at every frame of the clip."""
    points = find_faces(clip.images)
    # The same brightness as the viewer's planes have: 16 to 235, not 0 to 255.
    small = np.stack([shrunk(brightness(planar(image))) for image in clip.images])
    return Truth(np.arange(len(clip.images)) * 1000.0 / FPS, points, _openings(points), small)


def evidence(result: CallResult, clip: PlayedClip, known: Truth, seconds: float) -> Evidence:
    """Look at every picture that the viewer received."""
    seen = result.seen
    points = find_faces(bgr(frame) for frame in seen.frames)
    delay = audio_delay(seen.samples, clip.samples)
    kinds = match_kinds(seen.frame_ms, seen.media_ms, result.node.sent)
    late = np.full(len(seen.frame_ms), np.nan)
    real = np.flatnonzero(kinds != "synth")
    heard = delay.at(seen.frame_ms, NEAR_MS)
    late[real] = picture_delay(seen.frame_ms[real], seen.small[real], known.times_ms, known.small)
    return Evidence(
        result=result,
        states=spans(result.node.states, seconds * 1000.0),
        kinds=kinds,
        points=points,
        opening=_openings(points),
        differs=seen.differs,
        delay=delay,
        # A face at rest is coded by leaving it as it was, and nobody sees its skew.
        skew_ms=np.where(speaking(clip.samples, seen.frame_ms - heard), late - heard, np.nan),
        seconds=seconds,
    )


def bgr(planes: NDArray[np.uint8]) -> Image:
    """Turn a picture (H * 3 / 2, W) YUV 4:2:0 into (H, W, 3) BGR."""
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def find_faces(images: Iterable[Image]) -> Points:
    """Return the landmarks (n, 468, 2) px in each BGR image of an iterable, NaN where no face is found."""
    found = []
    with FaceMesh() as mesh:
        for image in images:
            points = mesh.find(image)
            found.append(np.full((POINTS, 2), np.nan, np.float32) if points is None else points)
    return np.stack(found) if found else np.zeros((0, POINTS, 2), np.float32)


def _openings(points: Points) -> Floats:
    return np.array([mouth_opening(face) if np.isfinite(face).all() else np.nan for face in points], np.float64)
