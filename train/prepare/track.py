"""Tracks: one person's aligned crops over consecutive frames, with what is known about each frame."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.generator import FaceImage, Image, Landmarks
from models.landmarks import eye_distance, transform, yaw_degrees
from models.lite.onnx import aligned_crop
from realtime.face.measure import LandmarkSmoother
from train.data.clips import FPS
from train.prepare import quality
from train.prepare.faces import Finder, linked
from train.prepare.settings import Settings

FINE: Final = "fine"
FAULTS: Final = ("mouth outside the picture", "face too small", "turned away", "blurred", "mouth covered or damaged")
"""Why a frame cannot be used; the first that holds is told."""


@dataclass
class Track:
    """One person from frame `first` on, without a gap. Entries of all lists belong to consecutive frames.

    Attributes:
        first: its first frame.
        crops: (S, S, 3) uint8 BGR each.
        landmarks: (468, 2) float32 px of the crop.
        pictures: (32, 32, 3) Lab (quality.small).
        eyes: distance of the outer eye corners in the video, px.
        yaws: degrees.
        sharpness: of the mouth (quality.sharpness).
        inside: whether lips and chin are inside the picture.
        lips: whether there are lips where they are thought to be (quality.looks_like_a_mouth).
    """

    first: int
    crops: list[Image] = field(default_factory=list)
    landmarks: list[Landmarks] = field(default_factory=list)
    pictures: list[NDArray[np.float32]] = field(default_factory=list)
    eyes: list[float] = field(default_factory=list)
    yaws: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)
    lips: list[bool] = field(default_factory=list)
    _smooth: LandmarkSmoother = field(default_factory=LandmarkSmoother)

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.first + len(self)

    def goes_on(self, image: Image, found: Landmarks, size: int) -> bool:
        """Add the next frame and return True, or False when the film was cut to somebody else in the same place.

        The head is smoothed as in a call, so that crops stay as still as those that a generator will see; the
        landmarks are what was found.
        """
        matrix, crop = aligned_crop(FaceImage(image, self._smooth(found, self.end * 1000.0 / FPS)), size)
        picture = quality.small(crop)
        if self.pictures and quality.cut_between(self.pictures[-1], picture):
            return False
        landmarks = transform(matrix, found)
        self.crops.append(crop)
        self.landmarks.append(landmarks)
        self.pictures.append(picture)
        self.eyes.append(eye_distance(found))
        self.yaws.append(abs(yaw_degrees(found)))
        self.sharpness.append(quality.sharpness(crop, landmarks))
        self.inside.append(quality.inside(found, image.shape))
        self.lips.append(quality.looks_like_a_mouth(crop, landmarks))
        return True

    def judged(self, settings: Settings) -> list[str]:
        """Say of every frame that it is `FINE` or which of `FAULTS` it has."""
        faults = np.stack(
            [
                ~np.array(self.inside),
                np.array(self.eyes) < settings.smallest_eyes,
                np.array(self.yaws) > settings.largest_yaw,
                np.array(self.sharpness) < settings.least_sharpness,
                quality.covered(np.stack(self.pictures)) | ~np.array(self.lips),
            ]
        )
        return [FAULTS[int(column.argmax())] if column.any() else FINE for column in faults.T]


def follow(frames: Iterable[Image], finder: Finder, size: int) -> tuple[list[Track], int]:
    """Return the tracks of all people in consecutive frames (H, W, 3) BGR, and how many frames there were.

    A track ends where its face is not found, jumps, or the film is cut; the person's return begins another.
    """
    done: list[Track] = []
    alive: list[tuple[Track, Landmarks]] = []
    count = 0
    for count, image in enumerate(frames, 1):
        faces = finder.find(image)
        links = linked([face for _, face in alive], faces)
        now: list[tuple[Track, Landmarks]] = []
        for place, face in enumerate(faces):
            track = alive[links[place]][0] if place in links else Track(count - 1)
            if not track.goes_on(image, face, size):
                track = Track(count - 1)
                track.goes_on(image, face, size)
            now.append((track, face))
        kept = {id(track) for track, _ in now}
        done += [track for track, _ in alive if id(track) not in kept]
        alive = now
    return sorted(done + [track for track, _ in alive], key=lambda track: (track.first, -sum(track.eyes))), count
