"""Find all faces of a video, and tell who is who from frame to frame."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol

from models.facemesh import FaceMesh
from models.generator import Image, Landmarks
from models.landmarks import HEAD_JUMP, face_distance

_LOOK: Final = 25  # frames between looks for more faces than the one that is followed
_SAME: Final = 0.3  # eye distances by which two findings of one face differ


class Finder(Protocol):
    """Find the faces in one frame after the other."""

    def find(self, image: Image) -> list[Landmarks]:
        """Return the landmarks (468, 2) px of every face in the next frame, in any order."""


class FaceFinder:
    """Follow one face while there is one, which takes half the time, and all of them when there are several.

    Once a second the frame is searched anew for more faces. One process makes, uses and closes one instance.
    """

    def __init__(self, faces: int = 4) -> None:
        """Load the models; at most `faces` are followed."""
        self._single = FaceMesh()
        self._search = FaceMesh(static=True, faces=faces) if faces > 1 else None
        self._all = FaceMesh(faces=faces) if faces > 1 else self._single
        self._mesh, self._count = self._single, 0

    def begin(self) -> None:
        """Forget everything: what is found in a video must not depend on the one before."""
        for mesh in {self._single, self._all}:
            mesh.reset()
        self._mesh, self._count = self._single, 0

    def find(self, image: Image) -> list[Landmarks]:
        """Return the landmarks of every face in the next frame of the video."""
        if self._search is not None and self._count % _LOOK == 0:
            mesh = self._all if len(self._search.find_all(image)) > 1 else self._single
            if mesh is not self._mesh:
                mesh.reset()
                self._mesh = mesh
        self._count += 1
        return distinct(self._mesh.find_all(image))

    def close(self) -> None:
        """Free the models."""
        for mesh in {self._single, self._all, self._search} - {None}:
            assert mesh is not None
            mesh.close()

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()


def distinct(faces: Sequence[Landmarks]) -> list[Landmarks]:
    """Leave out what is found twice; MediaPipe follows one face twice when two of its searches met there."""
    kept: list[Landmarks] = []
    for face in faces:
        if all(face_distance(other, face) > _SAME for other in kept):
            kept.append(face)
    return kept


def linked(before: Sequence[Landmarks], now: Sequence[Landmarks]) -> dict[int, int]:
    """Return {place in `now`: place in `before`} of the faces that go on, the surest pairs first.

    No two go on from one, and none that moved more than half an eye distance goes on.
    """
    pairs = sorted(
        (apart, old, new)
        for old, face in enumerate(before)
        for new, found in enumerate(now)
        if (apart := face_distance(face, found)) <= HEAD_JUMP
    )
    links: dict[int, int] = {}
    for _, old, new in pairs:
        if new not in links and old not in links.values():
            links[new] = old
    return links
