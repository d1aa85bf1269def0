"""What the lite generator agrees on with its trainer and its runtime: points, regions, sizes. No torch here."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.generator import Landmarks
from models.landmarks import ALIGNED_EYES, ALIGNED_ORIGIN, JAW, LIPS_INNER, LIPS_OUTER

POINTS: Final = LIPS_OUTER + LIPS_INNER + JAW
"""FaceMesh indices of the points that speech moves: outer lips (20), inner lips (20), jaw (15)."""

OUTER: Final = slice(0, len(LIPS_OUTER))
INNER: Final = slice(len(LIPS_OUTER), len(LIPS_OUTER) + len(LIPS_INNER))
CHIN: Final = slice(len(LIPS_OUTER) + len(LIPS_INNER), len(POINTS))

# LIPS_INNER runs from the left corner along the lower lip to the right corner and back along the upper lip.
INNER_LOWER: Final = tuple(range(len(LIPS_OUTER), len(LIPS_OUTER) + 11))
INNER_UPPER: Final = (
    len(LIPS_OUTER),
    *reversed(range(len(LIPS_OUTER) + 11, len(LIPS_OUTER) + 20)),
    len(LIPS_OUTER) + 10,
)
GAP: Final = (POINTS.index(13, len(LIPS_OUTER)), POINTS.index(14, len(LIPS_OUTER)))
"""Middle of the upper and of the lower inner lip."""


_MESH_FILE: Final = Path(__file__).resolve().parents[1] / "weights" / "lite_mesh.npz"


@dataclass(frozen=True, slots=True)
class LiteConfig:
    """Fix the sizes of a lite generator.

    Attributes:
        size: aligned crop in px (models.landmarks.aligned_matrix).
        region: left, top, right, bottom of the mouth region in the crop, px; the only pixels that are generated.
        sources: pictures that are warped: the pose frame and `sources - 1` references.
        coefficients: numbers that describe a mouth shape.
        heard: numbers that describe a frame of what is heard (models.ears).
        columns: such frames, 20 ms apart, that a mouth shape is told from.
        hidden: numbers from which its coefficients follow, by one linear layer.
        lookahead_ms: sound needed after the picture's time.
        width: channels of the picture network's first level.
        features: what is remembered of a past frame, channels at half the crop's resolution.
        opening: how much farther the widest frame of the people it learned from is open than the most closed one, in
            eye distances; who opens theirs farther or less speaks so too (`opening_scale`). 0: everybody speaks alike.
    """

    size: int = 128
    region: tuple[int, int, int, int] = (16, 48, 112, 128)
    sources: int = 4
    coefficients: int = 12
    heard: int = 384
    columns: int = 11
    hidden: int = 256
    lookahead_ms: float = 80.0
    width: int = 32
    features: int = 12
    opening: float = 0.0

    @property
    def eye_px(self) -> float:
        """Distance of the outer eye corners in the crop, px."""
        return ALIGNED_EYES * self.size

    @property
    def region_hw(self) -> tuple[int, int]:
        """Height and width of the mouth region, px."""
        left, top, right, bottom = self.region
        return bottom - top, right - left

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a checkpoint or ONNX metadata."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LiteConfig":
        """Read what `to_json` wrote; unknown or missing fields raise TypeError."""
        return cls(**{**values, "region": tuple(values["region"])})


@lru_cache(maxsize=1)
def _mesh_change() -> tuple[Landmarks, Landmarks]:
    """Return what leads from shapes of today's landmarks to lite's: a constant, and a share of the gap, (55, 2) each.

    Lite learned from FaceMesh 0.10.21, which saw the gap of the lips half as wide. Fitted on the same frames of GRID
    s1, s4 and the bundled caller, each weighing the same; docs/results/eyes.md says how well it fits others.
    """
    with np.load(_MESH_FILE) as change:
        return change["constant"], change["per_gap"]


def shape_of(landmarks_px: Landmarks, size: int, mesh: int = 2) -> Landmarks:
    """Return mouth shapes (..., 55, 2) float32 of landmarks (..., 468, 2) in aligned-crop px.

    The origin is between the eyes, the unit the eye distance of the aligned crop. `mesh` 1 is for landmarks of FaceMesh
    0.10.21, as older shards hold them.
    """
    origin = np.array(ALIGNED_ORIGIN) * size
    points = landmarks_px[..., list(POINTS), :]
    shape = np.asarray((points - origin) / (ALIGNED_EYES * size), dtype=np.float32)
    if mesh == 1:
        return shape
    constant, per_gap = _mesh_change()
    return np.asarray(shape + constant + gap(shape)[..., None, None] * per_gap, dtype=np.float32)


def to_crop_px(shape: Landmarks, size: int) -> Landmarks:
    """Undo `shape_of`: shape (..., 55, 2) to today's landmarks in px of the aligned crop."""
    constant, per_gap = _mesh_change()
    seen = (gap(shape) - gap(constant)) / (1.0 + gap(per_gap))
    now = shape - constant - seen[..., None, None] * per_gap
    return np.asarray(now * (ALIGNED_EYES * size) + np.array(ALIGNED_ORIGIN) * size, dtype=np.float32)


def gap(shape: Landmarks) -> Landmarks:
    """Return the signed gap (...) between the inner lips of shapes (..., 55, 2), in eye distances."""
    upper, lower = GAP
    return np.asarray(shape[..., lower, 1] - shape[..., upper, 1], dtype=np.float32)


def gap_of_basis(basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far each coefficient of `basis` (B, 110) opens the inner lips, (B,) in eye distances."""
    upper, lower = GAP
    table = basis.reshape(len(basis), -1, 2)
    return np.asarray(table[:, lower, 1] - table[:, upper, 1])


SCALES: Final = (0.6, 2.2)
"""Least and largest scale of a mouth's motion for one person."""

_SEEN_SPEAKING: Final = 0.35
"""Part of the usual opening below which a person was not seen speaking, and nothing is known of theirs."""


def opening_scale(closed: Landmarks, widest: Landmarks, opening: float) -> float:
    """Return how many times as far a person opens their mouth as those that a generator learned from.

    People differ threefold in that, and speech does not tell it; their past frames do.

    Args:
        closed: shape (55, 2) of their most closed reference.
        widest: of their widest.
        opening: `LiteConfig.opening`.
    """
    if opening <= 0.0:
        return 1.0
    ratio = float(gap(widest) - gap(closed)) / opening
    return float(np.clip(ratio, *SCALES)) if ratio > _SEEN_SPEAKING else 1.0
