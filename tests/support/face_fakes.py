"""A face of drawn shapes with landmarks, and a generator that moves its lips by formula."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.alignment import SILENCE, MelWindow
from models.generator import FaceImage, Patch
from models.landmarks import FACE_OVAL, JAW, LIPS_INNER, LIPS_OUTER, NOSE_BASE, aligned_matrix
from realtime.face.morph import move_face

LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)


def canonical() -> NDArray[np.float64]:
    """Return a plausible face (468, 2) with eye distance 1 around the origin (between the eyes)."""
    rng = np.random.default_rng(7)
    points = rng.uniform((-0.5, -0.4), (0.5, 1.1), (468, 2))
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, 36, endpoint=False)
    points[list(FACE_OVAL)] = np.stack([0.78 * np.cos(angles), 0.37 + 0.95 * np.sin(angles)], 1)
    around = np.linspace(np.pi, -np.pi, 20, endpoint=False)
    points[list(LIPS_OUTER)] = np.stack([0.32 * np.cos(around), 0.85 + 0.12 * np.sin(around)], 1)
    points[list(LIPS_INNER)] = np.stack([0.25 * np.cos(around), 0.85 + 0.02 * np.sin(around)], 1)
    points[list(NOSE_BASE)] = [(-0.15, 0.55), (-0.08, 0.57), (0, 0.58), (0.08, 0.57), (0.15, 0.55)]
    points[[33, 133, 362, 263]] = [(-0.5, 0), (-0.2, 0.02), (0.2, 0.02), (0.5, 0)]
    points[[168, 6, 197, 195, 5]] = [(0, y) for y in (-0.04, 0.04, 0.12, 0.2, 0.28)]
    points[[159, 386, 145, 374]] = [(-0.35, -0.04), (0.35, -0.04), (-0.35, 0.06), (0.35, 0.06)]
    points[[234, 454]] = [(-0.78, 0.2), (0.78, 0.2)]
    return points


FACE = canonical()


def face_at(x: float = 160.0, y: float = 90.0, eyes: float = 60.0, opening: float = 0.02) -> NDArray[np.float32]:
    """Return landmarks (468, 2) float32 px; `opening` is the gap of the inner lips in eye distances."""
    points = FACE.copy()
    points[list(LOWER_LIP), 1] += opening
    points[13, 1], points[14, 1] = 0.85, 0.85 + opening
    points[[152, 148, 377, 176, 400], 1] += 0.6 * opening
    return (points * eyes + (x, y)).astype(np.float32)


def draw(landmarks: NDArray[np.float32], height: int = 240, width: int = 320, seed: int = 0) -> NDArray[np.uint8]:
    """Return a BGR picture of the face over a textured wall."""
    rng = np.random.default_rng(seed)
    wall = cv2.resize(
        rng.integers(60, 140, (12, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )

    def fill(indices: Sequence[int], colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(wall, [np.round(landmarks[list(indices)]).astype(np.int32)], colour, cv2.LINE_AA)

    fill(FACE_OVAL, (130, 160, 205))
    fill(LIPS_OUTER, (90, 90, 180))
    fill(LIPS_INNER, (30, 20, 60))
    for eye in (33, 133, 362, 263):
        cv2.circle(wall, tuple(np.round(landmarks[eye]).astype(int).tolist()), 3, (40, 40, 40), -1, cv2.LINE_AA)
    return np.asarray(wall, np.uint8)


class LoudnessMouth:
    """Open the mouth of the pose with the mean of the mel window. Same contract as a trained generator."""

    name = "loudness"
    references_wanted = 3

    def __init__(self, size: int = 160, tint: int = 0) -> None:
        self.hearing = MelWindow.for_lookahead(60.0)
        self.size, self.tint = size, tint
        self.prepared = 0
        self.seen: list[tuple[float, int]] = []
        self.poses: list[FaceImage] = []

    def prepare(self, face: FaceImage) -> FaceImage:
        self.prepared += 1
        return face

    def generate(self, mel: NDArray[np.float32], pose: FaceImage, references: Sequence[FaceImage]) -> Patch:
        assert mel.shape == (80, self.hearing.columns) and 1 <= len(references) <= self.references_wanted
        self.seen.append((float(mel.mean()), len(references)))
        self.poses.append(pose)
        loud = float(np.clip((mel.mean() - SILENCE) / 8.0, 0.0, 1.0))
        points = pose.landmarks.copy()
        eyes = float(np.linalg.norm(points[33] - points[263]))
        down = (points[152] - points[6]) / np.linalg.norm(points[152] - points[6])
        gap = float(np.linalg.norm(points[13] - points[14]))
        drop = (0.3 * loud * eyes - gap) * down
        points[list(LOWER_LIP)] += drop
        points[list(JAW[4:11])] += 0.5 * drop
        moved = move_face(pose.image, pose.landmarks, points)
        matrix = aligned_matrix(pose.landmarks, self.size)
        crop = cv2.warpAffine(moved, matrix, (self.size, self.size), borderMode=cv2.BORDER_REPLICATE)
        tinted = np.clip(crop.astype(np.int16) + self.tint, 0, 255).astype(np.uint8)
        return Patch(tinted, matrix, points.astype(np.float32))
