"""The upright face box that Wav2Lip's networks expect."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_generators import face_landmarks

from models.landmarks import BROWS, box_matrix, transform


def test_box_reaches_from_the_forehead_to_below_the_chin() -> None:
    landmarks = face_landmarks()
    mapped = transform(box_matrix(landmarks, 96), landmarks)
    assert np.isclose(mapped[:, 0].min(), -0.5, atol=1e-3) and np.isclose(mapped[:, 0].max(), 95.5, atol=1e-3)
    # The pad below the chin is 4 % of the unpadded height.
    assert np.isclose(mapped[:, 1].max(), 96 / 1.04 - 0.5, atol=1e-3)
    brows = mapped[list(BROWS), 1].min()
    assert 4 < brows < 12 and np.isclose(mapped[:, 1].min() + 0.5, -(brows + 0.5), atol=1e-3)


@given(st.floats(0.2, 5), st.floats(-300, 900), st.floats(-300, 900), st.sampled_from([96, 256]))
def test_crop_does_not_depend_on_place_and_size(scale: float, x: float, y: float, size: int) -> None:
    landmarks = face_landmarks()
    moved = (landmarks * scale + np.array([x, y])).astype(np.float32)
    np.testing.assert_allclose(
        transform(box_matrix(moved, size), moved), transform(box_matrix(landmarks, size), landmarks), atol=0.05
    )


def test_degenerate_points_give_a_finite_map() -> None:
    assert np.isfinite(box_matrix(np.zeros((468, 2), dtype=np.float32), 96)).all()
