"""Run a generator as in a call, on the crops of a prepared clip.

As in a call: past frames go through `realtime.face.history`, which chooses the references and the walk of the head, and
the patch is put in by `realtime.face.compose`. Left out are the badge and what leads over at the ends of an outage
(three eased frames, the hand-back), which show real mouths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.generator import FaceImage, Generator
from models.hearing import Columns
from realtime.face.compose import Compositor
from realtime.face.history import History
from realtime.face.measure import LandmarkSmoother, describe
from realtime.face.pastframe import PastFrame, motion
from train.data.clips import Clip
from train.evaluate.opening import FRAME_MS

_SHARED: Final = 10  # neighbouring rebuilt frames take their references from the same history


@dataclass(frozen=True, eq=False)
class SpokenFrame:
    """A video that stands for a clip's real one, frame by frame.

    Attributes:
        crops: (T, S, S, 3) uint8 BGR.
        poses: (T,) frame of the pose clip that each was made from.
        planned: (T, 468, 2) landmarks that the generator says it drew; None for what no generator made.
    """

    crops: NDArray[np.uint8]
    poses: NDArray[np.int64]
    planned: NDArray[np.float32] | None = None


class Gallery:
    """One clip's frames as a call would remember them. Not thread-safe."""

    def __init__(self, clip: Clip) -> None:
        smooth = LandmarkSmoother()
        self.frames: list[PastFrame] = []
        for index, (crop, found) in enumerate(zip(clip.crops, clip.landmarks, strict=True)):
            face = describe(crop, found, smooth(found, index * FRAME_MS), 1)
            frame = PastFrame(crop, face.smoothed, index * FRAME_MS, face.opening, face.sharpness, face.yaw, face.eyes)
            if index:
                frame.moved = motion(clip.landmarks[index - 1], found)
            self.frames.append(frame)
        self._histories: dict[tuple[int, ...], History] = {}

    def remember(self, indices: Sequence[int]) -> History:
        """Return the history of somebody of whom only these frames (rising) were seen."""
        known = self._histories.get(tuple(indices))
        if known is not None:
            return known
        history = self._histories[tuple(indices)] = History()
        last = None
        for index in indices:
            if last is not None and index != last + 1:
                history.interrupt()
            history.add(self.frames[index])
            last = index
        return history

    def index(self, frame: PastFrame) -> int:
        """Return the number of a frame in the clip."""
        return round(frame.media_ms / FRAME_MS)


class Talker:
    """Put words into the mouth of one clip's person. Not thread-safe."""

    def __init__(self, generator: Generator, gallery: Gallery) -> None:
        self._generator, self._gallery = generator, gallery
        self._compositor = Compositor()
        self._prepared: dict[int, Any] = {}

    def hear(self, samples: NDArray[np.int16]) -> Columns:
        """Return what the generator hears in int16 samples at 16 kHz, (rows, k)."""
        return self._generator.hearing.hear(samples.astype(np.float32) / np.float32(32768.0))

    def talk(self, heard: Columns, frames: Sequence[int], sources: Sequence[int], seed: int = 1) -> SpokenFrame:
        """Speak frames `frames` of `heard`, consecutive ones, while only `sources` of the clip were ever seen."""
        history = self._gallery.remember(sources)
        references = history.references(self._generator.references_wanted)
        path = history.path(seed)
        made = []
        for number, frame in enumerate(frames):
            pose = path.step(number * FRAME_MS)
            made.append(self._speak(heard, frame, pose, references))
        return _shown(made)

    def rebuild(self, heard: Columns, frames: Sequence[int], poses: Sequence[int], away: int) -> SpokenFrame:
        """Make frames `frames` of `heard` (rising) each on its pose, with references `away` frames or more off."""
        made = []
        # A few neighbours share what may be looked at: a history for each frame would take longer than its mouth.
        history, shared = History(), range(0)
        for frame, pose in zip(frames, poses, strict=True):
            if frame not in shared:
                shared = range(frame, frame + _SHARED)
                low, high = shared.start - away, shared.stop - 1 + away
                allowed = [index for index in range(len(self._gallery.frames)) if index <= low or index >= high]
                history = self._gallery.remember(allowed)
            near = self._gallery.frames[pose]
            references = history.references(self._generator.references_wanted, near)
            made.append(self._speak(heard, frame, near, references))
        return _shown(made)

    def _speak(
        self, heard: Columns, frame: int, pose: PastFrame, references: Sequence[PastFrame]
    ) -> tuple[NDArray[np.uint8], int, NDArray[np.float32]]:
        window = self._generator.hearing.cut(heard, frame * FRAME_MS)
        sources = [self._features(reference) for reference in references]
        patch = self._generator.generate(window, self._features(pose), sources)
        crop = self._compositor.paste(pose.image, patch, pose.landmarks)
        return crop, self._gallery.index(pose), patch.landmarks

    def _features(self, frame: PastFrame) -> Any:
        # Not kept in the frame: a history counts the bytes of its frames whenever one is added.
        index = self._gallery.index(frame)
        if index not in self._prepared:
            self._prepared[index] = self._generator.prepare(FaceImage(frame.image, frame.landmarks))
        return self._prepared[index]


def _shown(made: Sequence[tuple[NDArray[np.uint8], int, NDArray[np.float32]]]) -> SpokenFrame:
    crops, poses, planned = zip(*made, strict=True)
    return SpokenFrame(np.stack(crops), np.array(poses), np.stack(planned).astype(np.float32))
