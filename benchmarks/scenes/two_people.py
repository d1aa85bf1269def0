"""Two rendered people side by side before one camera, both with their mouths shut: a lip that moves was painted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from models.facemesh import FaceMesh
from models.generator import Image
from models.landmarks import mouth_opening
from train.head import MouthAndPose, random_face, render
from train.head.clip import bundled_face
from train.head.pose import Motion

SIZE: Final = (640, 360)
FPS: Final = 25
_HALF: Final = (320, 360)
_NEARER: Final = 1.25
"""The right one is larger by this: the one who is followed until somebody chooses."""


def two_people(frames: int) -> Iterator[Image]:
    """Yield pictures (360, 640, 3) BGR of two people who sway, look about and blink.

    Time runs forth and back, so that a clip which is played over and over has no jump.
    """
    people = [(replace(random_face(11), glasses=False, beard="none"), 1.0), (bundled_face(), _NEARER)]
    moves = [Motion(11), Motion(12)]
    for index in range(frames):
        ms = 1000.0 / FPS * min(index, frames - index)
        halves = []
        for (face, scale), move in zip(people, moves, strict=True):
            head = move.at(ms)
            halves.append(render(face, MouthAndPose(head=replace(head, scale=scale * head.scale), grain=index), _HALF))
        yield np.hstack(halves)


def openings(pictures: Iterable[Image]) -> tuple[list[float], list[float]]:
    """Return how far the left and the right mouth are open in each picture, over the eye distance, as FaceMesh sees it.

    Raises:
        ValueError: a half shows no face.
    """
    seen: tuple[list[float], list[float]] = [], []
    with FaceMesh() as left, FaceMesh() as right:
        for picture in pictures:
            middle = picture.shape[1] // 2
            for mesh, half, to in ((left, picture[:, :middle], seen[0]), (right, picture[:, middle:], seen[1])):
                landmarks = mesh.find(np.ascontiguousarray(half))
                if landmarks is None:
                    raise ValueError("a half of the picture shows no face")
                to.append(mouth_opening(landmarks))
    return seen
