"""One photo, drawing or short clip as the pose of a speaking face: heads move, eyes blink, nobody is there."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from models.facemesh import FaceMesh
from models.generator import FaceImage, Generator, Image, Landmarks
from models.landmarks import eye_distance
from realtime.face.history import History
from realtime.face.measure import TrackedFace, describe, eye_opening
from realtime.face.pastframe import PastFrame
from realtime.face.posepath import PoseSource, ReferenceSource
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import MediaError, read_video
from realtime.photo.eyelids import Eyelids
from realtime.photo.idle import IdleMotion
from realtime.photo.openmouth import open_mouth
from realtime.photo.portrait_file import MIN_EYES_PX, PortraitError, find_faces, place, read_picture
from realtime.photo.portrait_warp import PortraitWarp

_CLIP_FPS: Final = 25.0
_CLIP_FRAMES: Final = 200
_LEAST_CLIP: Final = 25  # frames with a face: a shorter walk would be seen to repeat, a still that sways is better
_LOOK_EVERY: Final = 10  # frames between two looks for the first face
_QUIET_DB: Final = -50.0
_LOUD_DB: Final = -18.0
_HEARD_MS: Final = 250.0  # loudness that is older says nothing any more
_GAPS: Final = (0.10, 0.22)  # how far the mouth is opened for references, eye distances
_SMILING: Final = 0.06  # mouth opening, eye distances
_BLURRED: Final = 2.5  # enlarged more than this a picture looks soft


class Portrait(Protocol):
    """A pose source made of a file.

    Attributes:
        notes: remarks on the file for the person who gave it, a line each.
    """

    notes: tuple[str, ...]

    @property
    def frame(self) -> PastFrame:
        """The picture at rest, in the size of the output."""

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the speech at `media_ms` is, dB relative to full scale."""

    def step(self, media_ms: float) -> PastFrame:
        """Return the frame for `media_ms`, which rises from call to call."""

    def references(self, count: int) -> list[PastFrame]:
        """Return up to `count` frames with different mouth openings, the most closed first."""


class StillPortrait:
    """A still picture that sways, breathes and blinks. One thread; the same seed and times give the same frames."""

    def __init__(self, image: Image, landmarks: Landmarks, seed: int = 0) -> None:
        """Begin with a picture in the size of the output.

        Args:
            image: (H, W, 3) uint8 BGR; kept, not copied.
            landmarks: (468, 2) px of the face.
            seed: varies the motion.
        """
        face = describe(image, landmarks, landmarks, 1)
        self._still = _past(image, landmarks, face, 0.0)
        self._motion, self._warp = IdleMotion(seed), PortraitWarp(landmarks, image.shape)
        lids = Eyelids(image, landmarks)
        self._lids = lids if lids.usable(image) else None
        self._open = eye_opening(landmarks)
        self._references = [self._still, *(_opened(self._still, gap) for gap in _GAPS)]
        self._level: tuple[float, float] | None = None
        notes = [] if self._lids else ["the eyes are shut or hidden: they will not blink"]
        if face.opening > _SMILING:
            notes.append("the mouth is open: a picture with closed lips is silent with closed lips")
        self.notes: tuple[str, ...] = tuple(notes)

    @property
    def frame(self) -> PastFrame:
        """The picture at rest."""
        return self._still

    def hear(self, media_ms: float, level_db: float) -> None:
        """Note how loud the speech at `media_ms` is, dB relative to full scale; the head nods with it."""
        self._level = (media_ms, level_db)

    def step(self, media_ms: float) -> PastFrame:
        """Return the frame for `media_ms`: about 5 ms for 640x480 on one core; the first is the picture itself."""
        pose = self._motion.step(media_ms, self._loudness(media_ms))
        image, landmarks = self._still.image, self._still.landmarks
        lids = pose.lids if self._lids is not None else 0.0
        if self._lids is not None and lids > 0.0:
            image, landmarks = self._lids.draw(image, lids), self._lids.carry(landmarks, lids)
        image, landmarks = self._warp.apply(image, landmarks, pose)
        still = self._still
        opening = self._open * (1.0 - lids)
        return PastFrame(image, landmarks, media_ms, still.opening, still.sharpness, still.yaw, opening)

    def references(self, count: int) -> list[PastFrame]:
        """Return the picture, then the same with its mouth opened: one picture shows no generator what is inside."""
        return self._references[:count]

    def _loudness(self, media_ms: float) -> float:
        if self._level is None or abs(media_ms - self._level[0]) > _HEARD_MS:
            return 0.0
        return float(np.clip((self._level[1] - _QUIET_DB) / (_LOUD_DB - _QUIET_DB), 0.0, 1.0))


class ClipPortrait:
    """A walk back and forth over the frames of a clip of oneself."""

    def __init__(self, history: History, seed: int = 0) -> None:
        """Begin with the tracked frames of the clip, at least one."""
        self._history = history
        path = history.path(seed)
        # The longest unbroken stretch shows its turns least.
        self._path = history.detour(len(path) + 1, seed) or path
        self.notes: tuple[str, ...] = ()

    @property
    def frame(self) -> PastFrame:
        """The newest frame of the clip."""
        return self._history.frames[-1]

    def hear(self, media_ms: float, level_db: float) -> None:
        """Do nothing: the clip has its own motion."""

    def step(self, media_ms: float) -> PastFrame:
        """Return the clip's frame for `media_ms`."""
        return self._path.step(media_ms)

    def references(self, count: int) -> list[PastFrame]:
        """Return up to `count` frames of the clip with different mouth openings, the most closed first."""
        return self._history.references(count)


def load_portrait(path: str | Path, size: tuple[int, int] = (640, 480), seed: int = 0) -> Portrait:
    """Return the person in a picture (JPEG, PNG, WebP, ...) or a clip, placed in frames of `size` (width, height).

    Of a clip the first 8 s are used; one with less than a second of a face is taken for a picture.

    Raises:
        PortraitError: no such file, not readable, no face, or one too small, cut off or turned away.
    """
    picture = read_picture(path)
    if picture is not None:
        return _still(picture, path, size, seed)
    try:
        frames = (frame.image for frame in islice(read_video(path, _CLIP_FPS), _CLIP_FRAMES))
        return _clip(frames, path, size, seed)
    except MediaError as error:
        raise PortraitError(
            f"{path} is neither a picture nor a video that can be read: give a JPEG, PNG, WebP or a short video"
        ) from error


def make_ready(source: PoseSource, generator: Generator) -> None:
    """Have `generator` encode the references of `source` now, so that its first frame takes no longer than the next.

    Not while another thread uses the generator.
    """
    for frame in source.references(generator.references_wanted) if isinstance(source, ReferenceSource) else ():
        if frame.features is None:
            frame.features = generator.prepare(FaceImage(frame.image, frame.landmarks))


def _still(picture: Image, path: str | Path, size: tuple[int, int], seed: int) -> StillPortrait:
    faces = find_faces(picture)
    face = _checked(picture, faces, path)
    placement = place(picture, face, size)
    image = placement.apply(picture)
    expected = face * placement.scale + np.array([placement.x, placement.y], dtype=np.float32)
    landmarks = _nearest(image, expected)
    if landmarks is None:
        landmarks = expected.astype(np.float32)
    seen = describe(image, landmarks, landmarks, 1)
    if not seen.visible:
        raise PortraitError(f"the face in {path} is cut off: give a picture with mouth and chin in view")
    portrait = StillPortrait(image, landmarks, seed)
    notes = []
    if len(faces) > 1:
        notes.append(f"{len(faces)} faces are in {Path(path).name}: the largest speaks")
    if placement.scale > _BLURRED:
        notes.append(f"the face is small and was enlarged {placement.scale:.1f} times: a closer picture looks sharper")
    portrait.notes = (*notes, *portrait.notes)
    return portrait


def _clip(frames: Iterator[Image], path: str | Path, size: tuple[int, int], seed: int) -> Portrait:
    tracker, history, placement = MediaPipeTracker(), History(), None
    chosen: Image | None = None
    failure = PortraitError(f"no frame of {path} decodes: the file is damaged, give another copy")
    try:
        for index, picture in enumerate(frames):
            if placement is None:
                if index % _LOOK_EVERY:
                    continue
                try:
                    placement = place(picture, _checked(picture, find_faces(picture), path), size)
                except PortraitError as error:
                    failure = error
                    continue
                chosen = picture
            image = placement.apply(picture)
            media_ms = index * 1000.0 / _CLIP_FPS
            face = tracker.track(image, media_ms)
            if face is None or not face.visible or not face.frontal:
                history.interrupt()
                continue
            history.add(_past(image, face.smoothed, face, media_ms), face.sequence)
    finally:
        tracker.close()
    if len(history) >= _LEAST_CLIP:
        return ClipPortrait(history, seed)
    if chosen is None:
        raise failure
    return _still(chosen, path, size, seed)


def _checked(picture: Image, faces: list[Landmarks], path: str | Path) -> Landmarks:
    """Return the largest face, if it will do."""
    if not faces:
        raise PortraitError(f"no face was found in {path}: give a picture in which one face looks to the camera")
    face = faces[0]
    if (eyes := eye_distance(face)) < MIN_EYES_PX:
        raise PortraitError(
            f"the face in {path} is too small ({eyes:.0f} px between the eyes' outer corners, at least "
            f"{MIN_EYES_PX:.0f} are needed): give a closer or larger picture"
        )
    if not (seen := describe(picture, face, face, 1)).frontal:
        raise PortraitError(
            f"the head in {path} is turned away by {abs(seen.yaw):.0f} degrees: it should face the camera"
        )
    return face


def _nearest(image: Image, expected: Landmarks) -> Landmarks | None:
    """Return the face found in `image` where one is expected, None when there is none."""
    with FaceMesh(static=True, faces=4) as mesh:
        found = mesh.find_all(image)
    if not found:
        return None
    off = [float(np.linalg.norm(face - expected, axis=1).mean()) for face in found]
    best = int(np.argmin(off))
    return found[best] if off[best] < 0.5 * eye_distance(expected) else None


def _opened(still: PastFrame, gap: float) -> PastFrame:
    image, landmarks = open_mouth(still.image, still.landmarks, gap)
    return _past(image, landmarks, describe(image, landmarks, landmarks, 1), still.media_ms)


def _past(image: Image, landmarks: Landmarks, face: TrackedFace, media_ms: float) -> PastFrame:
    return PastFrame(image, landmarks, media_ms, face.opening, face.sharpness, face.yaw, face.eyes)
