import numpy as np

from client.rig.picture import changed, picture_delay


def test_changed_sees_one_moving_block_and_ignores_coding_noise() -> None:
    pictures = np.full((4, 64, 64), 100, np.uint8)
    pictures[1, 3, 3] += 20
    pictures[2] = pictures[1]
    pictures[3] = pictures[1]
    pictures[3, 16:32, 16:32] += 2
    assert changed(pictures).tolist() == [True, False, False, True]


def test_picture_delay_recognises_frames_through_coding_noise() -> None:
    random = np.random.default_rng(3)
    source = np.cumsum(random.normal(0, 2, (100, 12, 16)), axis=0).clip(-100, 100) + 120
    source_ms = np.arange(100, dtype=np.float64) * 40.0
    coded = (source + random.normal(0, 3, source.shape)).clip(0, 255).astype(np.uint8)
    late = picture_delay(source_ms[50:80] + 133.0, coded[50:80], source_ms, source.astype(np.uint8))
    assert 5 <= np.isfinite(late).sum() <= 30 - 12
    assert np.abs(late[np.isfinite(late)] - 133.0).max() <= 10.0


def test_picture_delay_owns_up_to_doubt() -> None:
    source_ms = np.arange(100, dtype=np.float64) * 40.0
    still = np.full((100, 12, 16), 90, np.uint8)
    assert np.isnan(picture_delay(source_ms[50:80] + 100.0, still[50:80], source_ms, still)).all()
    moving = np.random.default_rng(3).integers(0, 255, (100, 12, 16), dtype=np.uint8)
    sparse = source_ms[20:80:4] + 100.0
    assert np.isnan(picture_delay(sparse, moving[20:80:4], source_ms, moving)).all()
