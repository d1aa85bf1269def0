"""What the points of MediaPipe FaceMesh mean, and the crops that are cut by them.

Index tables are those of MediaPipe's face mesh (468 points, Apache-2.0, google-ai-edge/mediapipe).
All functions are pure; points are in px, x to the right and y down.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.generator import Landmarks

Matrix = NDArray[np.float64]
"""(2, 3) affine: px of the frame to px of the crop."""

LIPS_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
JAW: Final = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288)
"""Jaw line from the viewer's left to right."""

NOSE_BASE: Final = (98, 97, 2, 326, 327)
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

BROWS: Final = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
"""Upper edge of both brows, from the viewer's left to right."""

STABLE: Final = (33, 133, 362, 263, 168, 6, 197, 195, 5, 98, 327)
"""Eye corners, nose bridge and nose wings: points that speech hardly moves."""


def eye_distance(landmarks: Landmarks) -> float:
    """Return the distance of the outer eye corners in px."""
    return float(np.linalg.norm(landmarks[33] - landmarks[263]))


HEAD_JUMP: Final = 0.5
"""Face distance (see `face_distance`) that no head moves between two frames of one shot."""


def face_distance(one: Landmarks, other: Landmarks) -> float:
    """Return how far apart two faces are: the median over eyes and nose, in eye distances of the first."""
    stable = list(STABLE)
    apart = np.median(np.linalg.norm(one[stable] - other[stable], axis=1))
    return float(apart) / max(eye_distance(one), 1e-6)


def mouth_opening(landmarks: Landmarks) -> float:
    """Return the gap between the inner lips (points 13 and 14) over the eye distance; 0 is closed, about 0.5 a yawn."""
    return float(np.linalg.norm(landmarks[13] - landmarks[14])) / max(eye_distance(landmarks), 1e-6)


def yaw_degrees(landmarks: Landmarks) -> float:
    """Estimate the head's turn in degrees; 0 is frontal, positive when the nose points to the image's right.

    Takes the face as a half cylinder: the nose bridge sits off the middle of the temples by the sine of the turn.
    """
    left, right, nose = landmarks[234], landmarks[454], landmarks[6]
    axis = right - left
    width = float(axis @ axis)
    place = float((nose - left) @ axis) / max(width, 1e-6)
    return float(np.degrees(np.arcsin(np.clip((place - 0.5) * 2.0, -1.0, 1.0))))


ALIGNED_EYES: Final = 0.46
"""Distance of the outer eye corners in an aligned crop, as a share of its size."""

ALIGNED_ORIGIN: Final = (0.5, 0.24)
"""Where the middle between the outer eye corners lies in an aligned crop, as shares of its size."""

# Place of the STABLE points in units of ALIGNED_EYES, origin between the eyes, mirrored to be symmetric. The bundled
# networks learned on crops aligned by FaceMesh 0.10.21 (median of 16 speakers of GRID and CREMA-D). This is where Face
# Landmarker sees the points in such crops (GRID s1 and s4), so that a face lies in the crop where it lay.
_TEMPLATE: Final = np.array(
    [
        (-0.471, -0.009), (-0.181, 0.01), (0.181, 0.01), (0.471, -0.009), (0.0, -0.03), (0.0, 0.065),
        (0.0, 0.151), (0.0, 0.228), (0.0, 0.311), (-0.168, 0.525), (0.168, 0.525),
    ]
)  # fmt: skip


def aligned_matrix(landmarks: Landmarks, size: int) -> Matrix:
    """Return the similarity that maps a face to the aligned crop of `size` px.

    Eyes, nose bridge and nose wings land on fixed places, so that between two crops of one person only what speech
    moves differs; the crop reaches 1.65 eye distances below the eyes, which holds the chin of an open mouth.
    Least squares over the STABLE points.
    """
    target = _TEMPLATE * ALIGNED_EYES * size + np.array(ALIGNED_ORIGIN) * size
    return similarity(landmarks[list(STABLE)].astype(np.float64), target)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """Return the similarity that maps `source` (n, 2) to `target` with least squares.

    Source: S. Umeyama, IEEE TPAMI 13(4), 1991.
    """
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    # A 2-D similarity is multiplication by a complex number: x' = a x - b y, y' = b x + a y.
    energy = max(float((s * s).sum()), 1e-9)
    a = float((s * t).sum()) / energy
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / energy
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (mean_t - linear @ mean_s)[:, None]])


def transform(matrix: Matrix, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply an affine (2, 3) to points (..., 2)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)


def invert(matrix: Matrix) -> Matrix:
    """Return the inverse of an affine (2, 3)."""
    # Written out: LAPACK's way takes ten times as long for a matrix of this size.
    (a, b, c), (d, e, f) = matrix.tolist()
    over = 1.0 / (a * e - b * d)
    p, q, r, s = e * over, -b * over, -d * over, a * over
    return np.array([[p, q, -(p * c + q * f)], [r, s, -(r * c + s * f)]])


_CHIN_PAD: Final = 10.0 / 250.0
_FOREHEAD: Final = 0.5


def box_matrix(landmarks: Landmarks, size: int) -> Matrix:
    """Return the map from px to a square crop of the upright face box, as Wav2Lip's face detector would cut it.

    The box holds all landmarks from side to side, ends 4 % of its height below the chin (the 10 px that Wav2Lip adds,
    on a face of 250 px), and begins halfway between the brows and the forehead's last landmarks, about where S3FD boxes
    begin. Width and height are scaled apart, without rotation, as the stock code resizes its boxes. Pixel centres are
    at whole numbers in the frame and in the crop.
    """
    left, highest = landmarks.min(axis=0).astype(np.float64)
    right, chin = landmarks.max(axis=0).astype(np.float64)
    brows = float(landmarks[list(BROWS), 1].min())
    top = highest + _FOREHEAD * max(brows - highest, 0.0)
    bottom = chin + _CHIN_PAD * (chin - top)
    scale_x, scale_y = size / max(right - left, 1.0), size / max(bottom - top, 1.0)
    return np.array([[scale_x, 0.0, -left * scale_x - 0.5], [0.0, scale_y, -top * scale_y - 0.5]])
