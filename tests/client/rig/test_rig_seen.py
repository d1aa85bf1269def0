from pathlib import Path

import numpy as np

from client.rig.picture import SMALL
from client.rig.seen import ViewerRecord, lateness, lay_out
from client.rig.sound import Samples


def block(value: int) -> Samples:
    return np.full(960, value, np.int16)


def test_sound_is_laid_out_by_timestamp_where_the_quickest_packet_puts_it() -> None:
    sounds = [(1100.0, 5000, block(1)), (1121.0, 5960, block(2)), (1180.0, 7880, block(4))]
    laid = lay_out(sounds, 1000.0, 1200.0)
    assert len(laid) == 9600
    assert laid[: 100 * 48].max() == 0
    assert (laid[100 * 48 : 120 * 48] == 1).all()
    assert (laid[120 * 48 : 140 * 48] == 2).all()
    assert (laid[140 * 48 : 160 * 48] == 0).all()
    assert (laid[160 * 48 : 180 * 48] == 4).all()


def test_sound_survives_a_wrap_and_the_ends_of_the_call() -> None:
    sounds = [(990.0, (1 << 32) - 960, block(1)), (1010.0, 0, block(2)), (1030.0, 960, block(3))]
    laid = lay_out(sounds, 1000.0, 1040.0)
    assert (laid[: 10 * 48] == 1).all()
    assert (laid[10 * 48 : 30 * 48] == 2).all()
    assert (laid[30 * 48 :] == 3).all()
    assert lay_out([], 0.0, 100.0).shape == (4800,)


def test_lateness_counts_from_the_quickest_packet_over_a_wrap() -> None:
    top = 1 << 32
    sounds = [(100.0, top - 960, block(1)), (115.0, 0, block(2)), (340.0, 960, block(3))]
    assert lateness(sounds).tolist() == [5.0, 0.0, 205.0]
    assert lateness([]).shape == (0,)


def test_seen_survives_its_file(tmp_path: Path) -> None:
    seen = ViewerRecord(
        frame_ms=np.array([1.0, 2.0]),
        media_ms=np.array([5.0, 6.0]),
        differs=np.array([True, False]),
        small=np.zeros((2, *SMALL[::-1]), np.uint8),
        frames=np.zeros((2, 6, 4), np.uint8),
        sound_ms=np.array([3.0]),
        late_ms=np.array([0.0]),
        samples=block(3),
    )
    seen.save(tmp_path / "seen.npz")
    again = ViewerRecord.load(tmp_path / "seen.npz")
    assert again.luma.shape == (2, 4, 4)
    assert again.media_ms.tolist() == [5.0, 6.0]
    assert again.differs.tolist() == [True, False]
    assert again.small.shape == (2, 36, 48)
    assert again.sound_ms.tolist() == [3.0]
    assert (again.samples == 3).all()
