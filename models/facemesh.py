"""Face landmarks by MediaPipe FaceMesh 0.10.21, whose model files lie inside its wheel."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np

from models.generator import Image, Landmarks

POINTS: Final = 468

# What MediaPipe's native code writes to file descriptor 2 on every start, whatever its log settings say.
_NOISE: Final = re.compile(
    rb"XNNPACK delegate|before absl::InitializeLog|inference_feedback_manager\.cc|landmark_projection_calculator\.cc"
    rb"|gl_context(_egl)?\.cc"
)
_STDERR_LOCK: Final = threading.Lock()


@contextmanager
def _without_noise() -> Iterator[None]:
    """Collect what is written to file descriptor 2; pass on afterwards every line that is not MediaPipe's noise."""
    with _STDERR_LOCK, tempfile.TemporaryFile() as held:
        try:
            saved = os.dup(2)
        except OSError:  # the process has no stderr
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            held.seek(0)
            kept = b"".join(line for line in held if not _NOISE.search(line))
            if kept:
                os.write(saved, kept)
            os.close(saved)


class FaceMesh:
    """Find face landmarks in single images or along a video. One thread makes, uses and closes one instance.

    With `static` False the face found last is followed from image to image (about 2.5 ms at 360x288 on one core), which
    also keeps to one face while others come and go; with `static` True every image stands alone.
    """

    def __init__(self, static: bool = False, faces: int = 1, refined: bool = False) -> None:
        """Load the model; `faces` is the most faces that `find_all` returns, `refined` looks closer at eyes and lips.

        The refined model sees shut eyes as shut and costs about twice the time; generators know the other one's lips.
        """
        self._static = static
        self._warm = False
        # Importing MediaPipe takes seconds; a command that needs no face should not pay for it.
        from mediapipe.python.solutions import face_mesh

        with _without_noise():
            self._graph: Any = face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=faces,
                refine_landmarks=refined,
                min_detection_confidence=0.5,
                min_tracking_confidence=0.5,
            )
            self._open()

    def __enter__(self) -> "FaceMesh":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, image: Image) -> Landmarks | None:
        """Return the landmarks of the face in `image` (H, W, 3) uint8 BGR, (468, 2) float32 px, or None."""
        found = self.find_all(image)
        return found[0] if found else None

    def find_all(self, image: Image) -> list[Landmarks]:
        """Return the landmarks of all faces found, the largest first.

        Raises:
            ValueError: `image` is not (H, W, 3) uint8.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"want a BGR image (H, W, 3) uint8, got {image.shape} {image.dtype}")
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        result = self._process(rgb)
        size = np.array([image.shape[1], image.shape[0]], dtype=np.float32)
        faces = [
            np.array([(point.x, point.y) for point in face.landmark[:POINTS]], dtype=np.float32) * size
            for face in result.multi_face_landmarks or ()
        ]
        return sorted(faces, key=lambda face: -float(np.prod(np.ptp(face, axis=0))))

    def reset(self) -> None:
        """Forget the face that is being followed."""
        if not self._static:
            with _without_noise():
                self._graph.reset()
                self._open()
            self._warm = False

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()

    def _open(self) -> None:
        # The graph starts in threads of its own; once an image has gone through, all of them have said their piece.
        self._graph.process(np.zeros((64, 64, 3), dtype=np.uint8))

    def _process(self, rgb: Image) -> Any:
        if self._graph is None:
            raise RuntimeError("this FaceMesh is closed")
        if self._warm:
            return self._graph.process(rgb)
        with _without_noise():
            result = self._graph.process(rgb)
        # The landmark model writes its line when it first runs, which is with the first face.
        self._warm = bool(result.multi_face_landmarks)
        return result
